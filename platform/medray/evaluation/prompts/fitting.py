"""Making a prompt fit: shots go first, then the beginning of the context; nothing else is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.frames import Rendered

Count = Callable[[str], int]
Render = Callable[[Sequence[Item], str], Rendered]


class PromptTooLongError(Exception):
    """What may not be cut is longer than the limit."""


@dataclass(frozen=True)
class Fitted:
    """``shots``: how many are left; ``cut_characters``: how many of the context are not."""

    prompt: Rendered
    shots: int
    cut_characters: int


def fit(item: Item, shots: Sequence[Item], render: Render, limit: int, count: Count) -> Fitted:
    """Return the longest prompt of at most ``limit`` tokens.

    ``render`` takes shots and what is left of the item's context. Shots are dropped from the first
    on, then the context is cut from the left. Question, options, instruction and the answer's
    header are never cut: ``PromptTooLongError`` where they do not fit.
    """
    for first in range(len(shots) + 1):
        prompt = render(shots[first:], item.context)
        if count(prompt.text) <= limit:
            return Fitted(prompt, len(shots) - first, 0)
    whole = item.context
    least = count(render((), "").text)
    if least > limit:
        raise PromptTooLongError(
            f"without its context the prompt has {least} tokens, {limit} are allowed"
        )
    # The fewest characters off the left that make it fit. A cut moves the borders of tokens, so a
    # longer cut may count a token more; the last step makes sure.
    low, high = 1, len(whole)
    while low < high:
        middle = (low + high) // 2
        fits = count(render((), whole[middle:]).text) <= limit
        low, high = (low, middle) if fits else (middle + 1, high)
    while count(render((), whole[low:]).text) > limit:
        low += 1
    return Fitted(render((), whole[low:]), 0, low)
