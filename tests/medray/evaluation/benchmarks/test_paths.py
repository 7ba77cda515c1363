from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.benchmarks.paths import fits, text_at, text_of, value_at

ROW: dict[str, Any] = {
    "question": "Which?",
    "meta": {"title": "Exam", "year": 2019},
    "choices": [{"text": "one"}, {"text": "two"}],
    "No. of doses": "3",
    "explained": None,
    "checked": True,
    "contexts": ["First.", "Second."],
}


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("question", "Which?"),
        ("meta.title", "Exam"),
        ("choices.1.text", "two"),
        ("No. of doses", "3"),
        ("explained", ""),
        ("checked", "true"),
        ("contexts", "First.\nSecond."),
        ("missing?", ""),
        ("meta.missing?", ""),
        ("question?", "Which?"),
        ("{meta.title} {meta.year}: {question}{missing?}", "Exam 2019: Which?"),
    ],
)
def test_texts(place: str, text: str) -> None:
    assert text_at(ROW, place) == text


@pytest.mark.parametrize("path", ["missing", "meta.missing", "choices.2.text", "question.x", ""])
def test_what_is_not_there_is_named(path: str) -> None:
    with pytest.raises(KeyError) as raised:
        value_at(ROW, path)
    assert raised.value.args == (path,)


@pytest.mark.parametrize(
    ("where", "unless", "fit"),
    [
        ({}, {}, True),
        ({"checked": True}, {}, True),
        ({"checked": "true"}, {}, True),
        ({"checked": False}, {}, False),
        ({"meta.year": 2019}, {}, True),
        ({"meta.year": [2018, 2019], "question": "Which?"}, {}, True),
        ({"meta.year": [2018], "question": "Which?"}, {}, False),
        ({}, {"explained": ""}, False),
        ({}, {"explained": "x", "question": ["Why?", "Which?"]}, False),
        ({}, {"explained": "x"}, True),
    ],
)
def test_filters(where: dict[str, Any], unless: dict[str, Any], fit: bool) -> None:
    assert fits(ROW, where, unless) is fit


def test_a_filter_by_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="cheked"):
        fits(ROW, {"cheked": True})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_every_value_has_a_text(value: Any) -> None:
    assert isinstance(text_of(value), str)
