from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.judging.protocol import load
from medray.evaluation.judging.scores import read_scores

RATING = load("mmedbench_rationale").dimensions
POINTS = load("medglm_short_answers").dimensions
BENTSAO = load("bentsao").dimensions

# (the judge's words, the mark of 1 to 6, by which rule)
ONE = [
    ('Sound. {"rating": 5}', 5, "json"),
    ('{"rating": "4"}', 4, "json"),
    ('{"Rating": "4/6"}', 4, "json"),
    ('First {"rating": 2}, no: {"rating": 3}', 3, "json"),
    ("Rating: 5", 5, "line"),
    ("**Rating**: 5/6", 5, "line"),
    ("The rating is 4.", 4, "line"),
    ("Ｒａｔｉｎｇ：３／６", 3, "line"),
    ("I give it [[6]]", 6, "only"),
    ("score: 2", 2, "only"),
    ("It deserves 3/6 in all.", 3, "only"),
    ("5", 5, "only"),
    ("4 points.", 4, "only"),
    ("评分为4分", 4, "only"),
]
NONE = [
    "",
    "A sound rationale.",
    '{"rating": 7}',
    '{"rating": 2.5}',
    '{"rating": true}',
    '{"rating": null}',
    '{"rating": NaN}',
    '{"rating": 1e999}',
    '{"rating": {"value": 3}}',
    "Rating: 0",
    "Rating: 5/10",
    "Rating: 4-5",
    "Rating: 50%",
    "Rating: 2.5",
    "[[12]]",
    "It names 3 of the causes.",
    "In 2019, 5 mg were given",
]


@pytest.mark.parametrize(("text", "value", "rule"), ONE)
def test_a_mark_is_read_by_its_rule(text: str, value: float, rule: str) -> None:
    found = read_scores(text, RATING)
    assert (found.values["rating"], found.rules["rating"]) == (value, rule)


@pytest.mark.parametrize("text", NONE)
def test_no_mark_is_made_up(text: str) -> None:
    found = read_scores(text, RATING)
    assert (found.values["rating"], found.rules["rating"]) == (None, "unparsed")


def test_half_points_are_marks_where_the_scale_has_them() -> None:
    assert read_scores('{"points": 7.5}', POINTS).values == {"points": 7.5}
    assert read_scores("得分：7.5/10", POINTS).values == {"points": 7.5}
    assert read_scores('{"points": 7.25}', POINTS).values == {"points": None}


def test_each_dimension_is_read_for_itself() -> None:
    text = '理由。\n{"completeness": 3, "专业性": 2, "depth": 9}'
    assert read_scores(text, BENTSAO).values == {
        "completeness": 3,
        "depth": None,
        "professionalism": 2,
    }
    lines = "完整性：2分\n深刻性: 1/3\n专业性 = 0"
    found = read_scores(lines, BENTSAO)
    assert list(found.values.values()) == [2, 1, 0]
    assert set(found.rules.values()) == {"line"}


def test_a_number_alone_marks_no_one_of_several_dimensions() -> None:
    assert set(read_scores("2", BENTSAO).values.values()) == {None}


PARTS = st.sampled_from(
    ["rating", "Rating", "完整性", "：", ": ", "{", "}", '"', "3", "-", "/", "6", "[[", "]]", "%",
     "分", "score", " ", "\n", "１", "²", "٣", "e9", ".", "true", "null", "[", ","]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PARTS, max_size=20).map("".join)))
def test_no_text_raises_and_a_value_is_on_its_scale(text: str) -> None:
    for dimensions in (RATING, POINTS, BENTSAO):
        found = read_scores(text, dimensions)
        for dimension in dimensions:
            value = found.values[dimension.name]
            assert value is None or value in dimension.scale
            assert (value is None) == (found.rules[dimension.name] == "unparsed")


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3), st.text(max_size=30))
def test_what_the_prompt_asks_for_is_read_whatever_stands_before(
    marks: list[int], before: str
) -> None:
    said = dict(zip([d.name for d in BENTSAO], marks, strict=True))
    found = read_scores(f"{before}\n{json.dumps(said)}", BENTSAO)
    assert found.values == said


def test_a_long_answer_takes_no_long_time() -> None:
    for piece in ("rating ", "rating: 1", "{", '{"rating"', "1", "[[1", "score***", "9/", " "):
        text = piece * (40_000 // len(piece))
        start = time.perf_counter()
        read_scores(text, RATING)
        assert time.perf_counter() - start < 2
