"""Benchmark items: what must not stand in the corpus, one type whatever file it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medray.instruct.questions import Question

Role = Literal["question", "option", "passage", "rationale"]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a benchmark: its texts, each with the part that it plays."""

    benchmark: str
    item_id: str
    language: str
    texts: tuple[tuple[Role, str], ...]


def item_of(question: Question, benchmark: str) -> Item:
    """Return an exam question as an item."""
    texts: list[tuple[Role, str]] = [("question", question.question)]
    texts += [("option", text) for text in question.options.values()]
    if question.rationale:
        texts.append(("rationale", question.rationale))
    return Item(benchmark, question.question_id, question.language, tuple(texts))
