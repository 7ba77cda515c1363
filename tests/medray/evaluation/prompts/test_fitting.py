from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.fitting import PromptTooLongError, fit
from medray.evaluation.prompts.frames import Rendered, load_form

FORM = load_form("zero_shot")
CONTEXT = " ".join(f"word{n}" for n in range(100)) + " "
ITEM = Item(
    "1", "en", f"{CONTEXT}Is it so?", ("yes",), "label", {"yes": "", "no": ""}, context=CONTEXT
)
SHOT = Item("2", "en", "Is it not?", ("no",), "label", {"yes": "", "no": ""})


def words(text: str) -> int:
    return len(text.split())


def render(item: Item, shots: list[Item], context: str) -> Rendered:
    return FORM.render(item, shots, context)


def fitted(limit: int, shots: int = 0, item: Item = ITEM) -> tuple[str, int, int]:
    found = fit(item, [SHOT] * shots, partial(render, item), limit, words)
    return found.prompt.text, found.shots, found.cut_characters


def test_what_fits_is_left_as_it_is() -> None:
    text, shots, cut = fitted(1000, shots=2)
    assert (shots, cut) == (2, 0)
    assert CONTEXT in text


def test_shots_go_first_then_the_beginning_of_the_context() -> None:
    whole = words(FORM.render(ITEM).text)
    assert fitted(whole, shots=2)[1:] == (0, 0)
    assert fitted(whole + 5, shots=2)[1:] == (1, 0)
    text, shots, cut = fitted(whole - 40, shots=2)
    assert shots == 0 and cut > 0
    assert words(text) <= whole - 40
    assert text.endswith("word98 word99 Is it so?\nAnswer:")
    assert "word20 " not in text
    assert text.startswith("Answer with one of: yes, no.\n\n")


def test_the_question_is_never_cut() -> None:
    with pytest.raises(PromptTooLongError, match="has 10 tokens, 9 are allowed"):
        fitted(9)
    without_context = Item("3", "en", CONTEXT, ("x",), "text")
    with pytest.raises(PromptTooLongError):
        fitted(50, item=without_context)


@given(st.integers(10, 130), st.integers(0, 3))
def test_the_limit_is_kept_and_as_much_as_may_be_is_left(limit: int, shots: int) -> None:
    text, left, cut = fitted(limit, shots)
    assert words(text) <= limit
    assert text.endswith("Is it so?\nAnswer:")
    if cut:
        assert left == 0 and words(text) >= limit - 1
