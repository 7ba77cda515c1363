from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import (
    Dimension,
    load,
    preference_dimension,
    rank_dimension,
)
from medray.evaluation.judging.summaries import outcomes, summarise

SAFETY = Dimension(name="safety", label="Safety", low=1, high=5)


def mark(rater: str, item: str, system: str, value: float, dimension: str = "safety") -> Mark:
    return Mark(rater, "human", "ward", item, system, dimension, value)


# Two raters, two items; the second rater left item 2 of "theirs" out.
TABLE = [
    mark("r", "1", "ours", 5), mark("r", "1", "theirs", 3),
    mark("r", "2", "ours", 4), mark("r", "2", "theirs", 4),
    mark("s", "1", "ours", 4), mark("s", "1", "theirs", 5),
    mark("s", "2", "ours", 2),
]  # fmt: skip


def test_means_are_of_items_and_an_item_is_the_mean_of_its_raters() -> None:
    found = summarise(TABLE, [SAFETY], ["ours", "theirs"])
    assert (found["raters"], found["items"]) == (["r", "s"], 2)
    ours, theirs = (found["systems"][name]["safety"] for name in ("ours", "theirs"))
    # ours: item 1 (5+4)/2, item 2 (4+2)/2; theirs: item 1 (3+5)/2, item 2 4
    assert (ours["value"], ours["n"]) == (3.75, 2)
    assert (theirs["value"], theirs["n"]) == (4.0, 2)
    assert 3.0 <= ours["low"] < 3.75 < ours["high"] <= 4.5
    # Values that do not differ have Hoeffding's bound, cut at the scale's ends: never no width.
    assert 1 <= theirs["low"] < 4 < theirs["high"] <= 5
    assert found["ranks"] == {"safety": {"theirs": 1, "ours": 2}}


def test_wins_are_counted_where_a_rater_marked_both() -> None:
    found = summarise(TABLE, [SAFETY], ["ours", "theirs"])["wins"]["safety"]
    ours = found["ours"]["theirs"]
    # r: win on 1, tie on 2; s: lose on 1. Item 1: (1 + 0) / 2, item 2: 0.5.
    assert (ours["win"], ours["tie"], ours["lose"]) == (1, 1, 1)
    assert (ours["value"], ours["n"]) == (0.5, 2)
    theirs = found["theirs"]["ours"]
    assert (theirs["win"], theirs["tie"], theirs["lose"]) == (1, 1, 1)


def test_of_ranks_the_lower_is_the_better() -> None:
    marks = [
        mark("r", "1", "a", 1, "rank"), mark("r", "1", "b", 2.5, "rank"),
        mark("r", "1", "c", 2.5, "rank"),
    ]  # fmt: skip
    found = summarise(marks, [rank_dimension(3)], ["a", "b", "c"])
    assert found["ranks"]["rank"] == {"a": 1, "b": 2, "c": 2}
    assert found["wins"]["rank"]["a"]["b"]["win"] == 1
    assert found["wins"]["rank"]["b"]["c"]["tie"] == 1


def test_the_mean_over_dimensions_is_bentsaos_and_of_whole_items() -> None:
    dimensions = load("bentsao").dimensions
    names = [d.name for d in dimensions]
    marks = [mark("r", "1", "ours", v, d) for v, d in zip((3, 2, 1), names, strict=True)]
    marks += [mark("r", "2", "ours", 0, names[0])]
    found = summarise(marks, dimensions, ["ours"])["systems"]["ours"]
    assert (found["all"]["value"], found["all"]["n"]) == (2.0, 1)
    assert (found["completeness"]["value"], found["completeness"]["n"]) == (1.5, 2)


def test_a_system_without_marks_has_no_figure() -> None:
    found = summarise(TABLE, [SAFETY], ["ours", "nobody"])
    assert found["systems"]["nobody"]["safety"]["value"] is None
    assert found["ranks"]["safety"] == {"ours": 1}
    assert found["wins"]["safety"]["ours"]["nobody"]["value"] is None
    assert found["wins"]["safety"]["nobody"]["ours"]["value"] is None


def test_outcomes_of_people() -> None:
    marks = [mark("r", str(n), "ours", v, "preference") for n, v in enumerate((1, 0.5, 0, 1))]
    assert outcomes(marks) == {"n": 4, "win": 2, "tie": 1, "lose": 1}
    found = summarise(marks, [preference_dimension()], ["ours"])
    assert found["systems"]["ours"]["preference"]["value"] == 0.625
    assert found["wins"] == found["ranks"] == {}


def rows() -> st.SearchStrategy[list[Mark]]:
    one = st.builds(
        mark, st.sampled_from("rst"), st.sampled_from("1234"), st.sampled_from("ab"),
        st.integers(1, 5).map(float),
    )  # fmt: skip
    return st.lists(one, max_size=20, unique_by=lambda m: (m.rater, m.item_id, m.system))


@settings(max_examples=30, deadline=None)
@given(rows(), st.randoms())
def test_no_order_counts_and_values_lie_in_their_intervals(
    marks: list[Mark], shuffle: random.Random
) -> None:
    found = summarise(marks, [SAFETY], ["a", "b"])
    shuffled = list(marks)
    shuffle.shuffle(shuffled)
    other = summarise(shuffled, [SAFETY], ["a", "b"])
    for name in "ab":
        cell: dict[str, Any] = found["systems"][name]["safety"]
        if cell["value"] is None:
            continue
        assert 1 <= cell["low"] <= cell["value"] + 1e-9
        assert cell["value"] - 1e-9 <= cell["high"] <= 5 + 1e-9
        assert other["systems"][name]["safety"]["value"] == pytest.approx(cell["value"])
    assert other["ranks"] == found["ranks"]
    one, two = found["wins"]["safety"]["a"]["b"], found["wins"]["safety"]["b"]["a"]
    assert (one["win"], one["tie"], one["lose"]) == (two["lose"], two["tie"], two["win"])
