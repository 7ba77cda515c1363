"""Outputs to answers, by the form that an item asks for; what no rule can read is said so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from medray.evaluation.benchmarks.item import Item
from medray.evaluation.extraction import extract
from medray.evaluation.extraction.entities import entities
from medray.evaluation.extraction.labels import many_labels, one_label
from medray.evaluation.scoring.predictions import Prediction

MISSING, UNPARSED = "missing", "unparsed"
# What a reasoning model thought before it answered.
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Reading:
    """What an output was taken to answer.

    ``rule``: the one that read it; ``missing`` where there is no output, ``unparsed`` where no rule
    fits. ``right``: set by a published rule that tells right from wrong and no answer. ``text``:
    what free text is compared: a rationale, or the whole answer. ``tags``: one a token.
    """

    answers: tuple[str, ...] = ()
    rule: str = MISSING
    text: str = ""
    tags: tuple[str, ...] | None = None
    right: bool | None = None


def read(item: Item, prediction: Prediction) -> Reading:
    """Read a generated output by the tolerant rules of ``extraction``. Never raises on any text."""
    output = prediction.output
    if output is None:
        return Reading()
    if isinstance(output, tuple):
        return Reading(rule="tags", tags=output)
    answer = _THOUGHT.sub("", output, count=1).strip()
    return _READERS[item.form](answer, item)


def _choice(answer: str, item: Item) -> Reading:
    if not item.options:
        return _number(answer, item)
    found = extract(answer, item.options)
    return Reading(found.letters, found.rule, found.rationale)


def _number(answer: str, item: Item) -> Reading:
    """The last number of the answer, written as the item's: 7.20 is 7.2, and ３ is 3."""
    found = _NUMBER.findall(unicodedata.normalize("NFKC", answer))
    if not found:
        return Reading((), UNPARSED, answer)
    said = found[-1]
    for right in item.answers:
        if _value(said) is not None and _value(said) == _value(right):
            return Reading((right,), "number", answer)
    return Reading((said,), "number", answer)


def _value(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _label(answer: str, item: Item) -> Reading:
    found, rule = one_label(answer, item.options)
    return Reading(found, rule, answer)


def _labels(answer: str, item: Item) -> Reading:
    found, rule = many_labels(answer, item.options)
    return Reading(found, rule, answer)


def _entities(answer: str, item: Item) -> Reading:
    found, rule = entities(answer)
    return Reading(found, rule, answer)


def _text(answer: str, item: Item) -> Reading:
    return Reading((answer,), "text", answer) if answer else Reading((), UNPARSED)


_READERS: dict[str, Callable[[str, Item], Reading]] = {
    "choice": _choice,
    "choices": _choice,
    "label": _label,
    "labels": _labels,
    "entities": _entities,
    "text": _text,
}


def likeliest(item: Item, prediction: Prediction, normalised: bool = False) -> Reading:
    """Return the option with the highest log-likelihood; of equal ones the first.

    ``normalised``: divided by the option text's bytes in UTF-8, as lm-evaluation-harness's
    ``acc_norm`` does, so that a long option is not unlikely by its length alone.
    """
    if not prediction.likelihoods:
        return Reading()

    def value(option: str) -> float:
        whole = prediction.likelihoods[option]
        # A label has no other text than its name.
        size = len((item.options[option] or option).encode())
        return whole / max(size, 1) if normalised else whole

    return Reading((max(prediction.likelihoods, key=value),), "likelihood")
