"""One question of a benchmark, whatever it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# What an answer is, and so how it is read and scored:
# choice    one right letter of ``options``
# choices   the exact set of right letters of ``options``
# label     one of ``options``, which are written out: yes, no, maybe
# labels    any number of ``options``, written out; none is an answer too
# entities  the strings that are found in a text; none is an answer too
# text      free text
AnswerForm = Literal["choice", "choices", "label", "labels", "entities", "text"]


@dataclass(frozen=True)
class Item:
    """One question.

    ``item_id``: unique in its benchmark and the same at every reading; answer files name it.
    ``form``: what an answer is. ``question``: all that is asked about, a context included.
    ``options``: letter -> text; of ``label`` and ``labels`` the names themselves, each -> how a
    prompt explains it, often "". Of ``choice`` and ``choices`` empty where an exam asks for a
    number, which then stands in ``answers`` as it is to be written.
    ``answers``: the right letters, the right label names, the entities in the order of the text,
    or the reference texts, of which any will do. Empty where nothing is the right answer
    (``labels``, ``entities``), and of questions without references.
    ``also_right``: further whole sets of answers that count as right. ``void``: the examiners
    count every answer as right. ``rationale``: why, where the data tells and it may be scored.
    ``groups``: by what else results are told, as {"subject": "Physiology", "year": "2019"}.
    ``points``: what a right answer gives, in exams that count so. ``instruction``: what to do.
    ``tokens``, ``tags``: of entities that the data marks in IOB; ``iob.spans`` reads the tags.
    ``context``: how ``question`` begins, and what may be cut off it from the left where a prompt is
    too long; else nothing of it may. ``options_in_question``: its text lists the options itself.
    """

    item_id: str
    language: str
    question: str
    answers: tuple[str, ...]
    form: AnswerForm = "choice"
    options: Mapping[str, str] = field(default_factory=dict)
    also_right: tuple[tuple[str, ...], ...] = ()
    void: bool = False
    rationale: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    points: float = 1.0
    instruction: str = ""
    tokens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    context: str = ""
    options_in_question: bool = False
