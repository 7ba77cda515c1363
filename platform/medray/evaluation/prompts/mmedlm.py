"""MMedLM's form of exam questions: what medray's fine-tuning teaches, and MMedBench is asked in."""

from __future__ import annotations

from collections.abc import Sequence

from medray.errors import InputError
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.frames import Rendered
from medray.instruct.prompts import ANSWER_HEADER, prompt_for, question_dialogue
from medray.instruct.questions import Question

NAME = "mmedlm"


def question_of(item: Item) -> Question:
    """Return an item as the question that the instruction templates write down."""
    if item.form not in ("choice", "choices") or not item.options:
        raise InputError(
            f"prompt form {NAME}: item {item.item_id} has no lettered options; choose another form"
        )
    return Question(
        question_id=item.item_id,
        language=item.language,
        question=item.question,
        options=dict(item.options),
        answers=item.answers,
        rationale=item.rationale,
    )


def render(item: Item, shots: Sequence[Item], *, rationale: bool, header: bool) -> Rendered:
    """Return an item's prompt, after shots with their answers.

    ``rationale``: ask for the reason before the answer. ``header``: end where the letter follows.
    A shot is shown as it was taught; where a rationale is asked for, with its own.
    """
    shown = ""
    for shot in shots:
        question = question_of(shot)
        with_reason = rationale and bool(question.rationale)
        answer = question_dialogue(question, rationale=with_reason).turns[0].output
        shown += f"{prompt_for(question, rationale=with_reason)}{answer}\n\n"
    # Without the header's last blank, which belongs to the letter's own token.
    end = ANSWER_HEADER.rstrip() if header else ""
    return Rendered("", f"{shown}{prompt_for(question_of(item), rationale=rationale)}{end}")
