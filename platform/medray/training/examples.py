"""Questions and dialogues as token sequences whose answers alone are to be learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from medray.instruct.dialogues import Dialogue
from medray.instruct.prompts import question_dialogues
from medray.instruct.questions import Question
from medray.instruct.templates import CHAT, Segment, chat_segments, load_template
from medray.training.sequences import IGNORED, Example


def encode(
    segments: Iterable[Segment], tokenizer: Any, maximum_tokens: int, *, begins: bool
) -> tuple[list[int], list[int]]:
    """Return tokens and labels of a text's stretches, each tokenised by itself.

    So the border between prompt and answer is one between tokens, as it is where the model is
    asked. ``begins``: let the tokenizer put its begin token first, where it has one. What is too
    long loses tokens on its left: a prompt keeps its end, an answer its conclusion.
    """
    tokens: list[int] = []
    labels: list[int] = []
    for segment in segments:
        first = begins and not tokens
        made = tokenizer(segment.text, add_special_tokens=first)["input_ids"]
        if segment.ends:
            made = [*made, tokenizer.eos_token_id]
        tokens += made
        labels += made if segment.learned else [IGNORED] * len(made)
    return tokens[-maximum_tokens:], labels[-maximum_tokens:]


def taught_examples(
    taught: Iterable[Question | Dialogue],
    template: str,
    tokenizer: Any,
    maximum_tokens: int,
    entry: str = "",
) -> list[Example]:
    """Return the examples of questions and dialogues, written down by a template.

    A dialogue is one example, a question one or two: with rationale, where it has one, and without.
    ``entry``: the name of the recipe's entry that they belong to.
    """
    return [
        _example(dialogue, template, tokenizer, maximum_tokens, entry)
        for one in taught
        for dialogue in (question_dialogues(one, template) if isinstance(one, Question) else [one])
    ]


def _example(
    dialogue: Dialogue, template: str, tokenizer: Any, maximum_tokens: int, entry: str
) -> Example:
    if template == CHAT:
        segments = chat_segments(dialogue, tokenizer)
    else:
        segments = load_template(template).segments(dialogue)
    made = encode(segments, tokenizer, maximum_tokens, begins=template != CHAT)
    return Example(*made, dialogue.language, dialogue.dialogue_id, entry)
