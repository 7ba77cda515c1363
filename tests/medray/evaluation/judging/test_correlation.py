from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from medray.evaluation.judging.correlation import correlation
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import Dimension, preference_dimension

DEPTH = Dimension(name="depth", label="Depth", low=0, high=5)


def mark(rater: str, item: str, system: str, value: float, dimension: str = "depth") -> Mark:
    kind = "model" if rater == "gpt" else "human"
    return Mark(rater, kind, "ward", item, system, dimension, value)


def test_the_people_count_by_their_mean() -> None:
    people = [[1, 2, 2, 4, 5, 3], [2, 2, 1, 5, 4, 0]]
    judge = [1, 1, 3, 4, 5, 2]
    marks = [
        mark(rater, str(n), "a", value)
        for rater, values in zip("xy", people, strict=True)
        for n, value in enumerate(values)
    ]
    said = [mark("gpt", str(n), "a", v) for n, v in enumerate(judge)]
    found = correlation(marks, said, [DEPTH])["gpt"]["depth"]
    means = [sum(pair) / 2 for pair in zip(*people, strict=True)]
    assert found["spearman"]["value"] == pytest.approx(spearmanr(means, judge).statistic)
    assert found["kendall_tau_b"]["value"] == pytest.approx(kendalltau(means, judge).statistic)
    assert found["spearman"]["n"] == 6
    assert found["spearman"]["low"] < found["spearman"]["value"] <= found["spearman"]["high"]
    assert found["mean_difference"]["value"] == pytest.approx(sum(judge) / 6 - sum(means) / 6)
    assert found["system_spearman"]["reason"] == "fewer than three systems"
    assert "one of the same question" in found["preference_accuracy"]["reason"]


def test_preferences_of_marks_the_judges_ties_a_half() -> None:
    people = [("1", 5, 3, 1), ("2", 3, 3, 1), ("3", 2, 2, 2)]
    judge = [("1", 4, 4, 1), ("2", 1, 3, 2), ("3", 1, 2, 3)]
    both = [
        [mark(rater, row[0], "abc"[n], row[1 + n]) for row in table for n in range(3)]
        for rater, table in (("x", people), ("gpt", judge))
    ]
    found = correlation(*both, [DEPTH])["gpt"]["depth"]
    # Item 1: a>b tie 0.5, a>c 1, b>c 1; item 2: a>c 0, b>c 1; item 3: people prefer none.
    accuracy = found["preference_accuracy"]
    assert (accuracy["value"], accuracy["n"]) == (pytest.approx(3.5 / 5), 2)
    # Item 1: 2 of 3 concordant, item 2: one either way of 2, untied by people 5, by the judge 8.
    assert found["kendall_within_items"]["value"] == pytest.approx(2 / (8 * 5) ** 0.5)
    # Means of people 10/3, 8/3, 4/3; of the judge 2, 3, 2.
    assert found["system_spearman"]["n"] == 3
    assert found["system_spearman"]["value"] == pytest.approx(spearmanr([10, 8, 4], [2, 3, 2])[0])
    tau = kendalltau([10, 8, 4], [2, 3, 2]).statistic
    assert found["system_kendall_tau_b"]["value"] == pytest.approx(tau)


def test_preferences_of_pairs() -> None:
    people = [("1", 1.0), ("2", 0.0), ("3", 0.5), ("4", 1.0), ("5", 1.0)]
    judge = [("1", 0.75), ("2", 1.0), ("3", 1.0), ("4", 0.5), ("6", 0.0)]
    both = [
        [mark(rater, item, "a", value, "preference") for item, value in table]
        for rater, table in (("x", people), ("gpt", judge))
    ]
    found = correlation(*both, [preference_dimension()])["gpt"]["preference"]
    # Right of 1, wrong of 2, half of 4; people have no preference of 3; 5 and 6 are not of both.
    accuracy = found["preference_accuracy"]
    assert (accuracy["value"], accuracy["n"]) == (0.5, 3)
    assert found["spearman"]["n"] == 4


def test_without_common_answers_or_variance_it_says_why() -> None:
    people = [mark("x", "1", "a", 1), mark("x", "2", "a", 2)]
    apart = correlation(people, [mark("gpt", "9", "a", 1)], [DEPTH])["gpt"]["depth"]
    assert apart["spearman"]["reason"] == "people and judge marked no answer both"
    flat = [mark("gpt", item, "a", 3) for item in "12"]
    found = correlation(people, flat, [DEPTH])["gpt"]["depth"]
    assert found["spearman"]["reason"] == "the judge gave one mark to all: no variance"
    assert found["mean_difference"]["value"] == 1.5
    assert correlation(people, [], [DEPTH]) == {}


PEOPLE = st.lists(
    st.builds(
        mark, st.sampled_from("xyz"), st.sampled_from("1234"), st.sampled_from("abc"),
        st.integers(0, 5).map(float),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda m: (m.rater, m.item_id, m.system),
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(PEOPLE, PEOPLE, st.randoms())
def test_no_order_counts_and_values_lie_in_their_bounds(
    people: list[Mark], said: list[Mark], chance: random.Random
) -> None:
    values = {(each.item_id, each.system): each.value for each in said}
    judge = [mark("gpt", *unit, value) for unit, value in values.items()]
    renamed = dict(zip("xyz", chance.sample("uvw", 3), strict=True))
    other = [mark(renamed[m.rater], m.item_id, m.system, m.value) for m in people]
    chance.shuffle(other)
    here = correlation(people, judge, [DEPTH])["gpt"]["depth"]
    there = correlation(other, judge[::-1], [DEPTH])["gpt"]["depth"]
    for name, cell in here.items():
        assert there[name] == pytest.approx(cell), name
        if cell["value"] is not None and name != "mean_difference":
            assert (0 if name == "preference_accuracy" else -1) <= cell["value"] <= 1
        if cell["low"] is not None:
            assert cell["low"] <= cell["value"] <= cell["high"]


@settings(max_examples=30, deadline=None)
@given(PEOPLE)
def test_a_judge_who_says_what_people_say_is_right(people: list[Mark]) -> None:
    means: dict[tuple[str, str], list[float]] = {}
    for each in people:
        means.setdefault((each.item_id, each.system), []).append(each.value)
    judge = [mark("gpt", *key, sum(values) / len(values)) for key, values in means.items()]
    found = correlation(people, judge, [DEPTH])["gpt"]["depth"]
    for name, cell in found.items():
        expected = 0 if name == "mean_difference" else 1
        assert cell["value"] is None or cell["value"] == pytest.approx(expected), name
