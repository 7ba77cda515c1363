from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.running.plan import Ask, first_items, plan
from medray.evaluation.running.settings import RunSettings

NOWHERE = Path("/nowhere")
OPTIONS = {"A": "the heart", "B": "the liver"}
ITEMS = [
    Item("1", "en", "Which organ?", ("A",), "choice", OPTIONS),
    Item("2", "fr", "Quel organe ?", ("B",), "choice", OPTIONS, rationale="Le foie."),
    Item("3", "en", "Which other?", ("B",), "choice", OPTIONS),
]


def declared(prompt: str = "zero_shot", form: str = "choice") -> Declaration:
    return Declaration.model_validate(
        {
            "name": "ward", "languages": ["en", "fr"], "form": form, "metrics": ["accuracy"],
            "prompt": prompt,
            "columns": {"question": "q", "answers": "a", "options": "o", "language": "l"},
            "splits": {"test": {"files": "x.jsonl"}},
        }
    )  # fmt: skip


def asks(prompt: str = "zero_shot", count: Any = None, **settings: Any) -> list[Ask]:
    return plan(declared(prompt), NOWHERE, ITEMS, RunSettings(**settings), "small", count)


def test_an_answer_is_asked_for_greedily_as_long_as_its_form_needs() -> None:
    first = asks()[0]
    assert first.generate is not None and first.generate.text.endswith("\nAnswer:")
    assert first.score is None
    assert first.settings == {"max_tokens": 256, "temperature": 0.0}
    warm = asks(temperature=0.7, seed=3, maximum_new_tokens=9, stop=["\n"])[0]
    assert warm.settings == {"max_tokens": 9, "temperature": 0.7, "seed": 3, "stop": ["\n"]}


def test_likelihoods_alone_or_beside_the_answer() -> None:
    first = asks(way="likelihood")[0]
    assert first.generate is None and first.score is not None
    assert (first.continuations, first.scored) == ({"A": " A", "B": " B"}, "letters")
    both = asks(way="both")[0]
    assert both.generate == both.score
    texts = asks("headqa", way="likelihood")[0]
    assert (texts.continuations["A"], texts.scored) == (" the heart", "texts")


def test_mmedlm_asks_for_the_reason_and_scores_without_it() -> None:
    french = asks("mmedlm", way="both")[1]
    assert french.generate is not None and french.score is not None
    assert "give the reason in French" in french.generate.text
    assert french.score.text.endswith("###Answer: OPTION")
    assert "reason" not in french.score.text
    plain = asks("mmedlm", rationale=False)[1]
    assert plain.generate is not None and "Answer with the best option" in plain.generate.text


def test_the_key_changes_with_all_that_changes_an_answer() -> None:
    first = asks()
    assert len({ask.key for ask in first}) == 3
    assert [ask.key for ask in first] == [ask.key for ask in asks(concurrency=3, timeout_s=5)]
    others = [
        asks(chat=True), asks(maximum_new_tokens=9), asks(way="both"), asks("mmedlm"),
        plan(declared(), NOWHERE, ITEMS, RunSettings(), "large"),
    ]  # fmt: skip
    assert len({a[0].key for a in [first, *others]}) == 6


def test_the_first_of_each_language() -> None:
    assert [item.item_id for item in first_items(ITEMS, 1)] == ["1", "2"]
    assert len(first_items(ITEMS, None)) == 3


def test_what_does_not_fit_is_refused_and_says_why() -> None:
    [first, *_] = asks(count=lambda text: len(text.split()), maximum_prompt_tokens=8)
    assert first.generate is None
    assert "8 are allowed" in first.refused


def test_wrong_settings_are_told() -> None:
    with pytest.raises(InputError, match="wants a tokenizer"):
        asks(maximum_prompt_tokens=100)
    with pytest.raises(InputError, match="no prompt form 'zero'"):
        asks(prompt="zero")
    text = [Item("1", "en", "Why?", ("So.",), "text")]
    with pytest.raises(InputError, match="no options to take likelihoods of"):
        plan(declared(), NOWHERE, text, RunSettings(way="likelihood"), "small")
    with pytest.raises(InputError, match="item 1 has no lettered options"):
        plan(declared("mmedlm"), NOWHERE, text, RunSettings(), "small")
