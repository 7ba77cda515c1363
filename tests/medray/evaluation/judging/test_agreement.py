from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from medray.evaluation.judging.agreement import agreement
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import Dimension

DEPTH = Dimension(name="depth", label="Depth", low=0, high=5)
FIGURES = ["kendall_tau_b", "spearman", "alpha_nominal", "alpha_ordinal", "alpha_interval"]


def mark(rater: str, item: str, system: str, value: float) -> Mark:
    return Mark(rater, "human", "ward", item, system, "depth", value)


def of(rater: str, *values: float | None) -> list[Mark]:
    """A rater's marks of one system's answers to items 0, 1 ...; None: left out."""
    return [mark(rater, f"{n:02}", "a", v) for n, v in enumerate(values) if v is not None]


# Krippendorff (2011), example C: four observers, twelve units.
FOUR = [
    *of("A", 1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    *of("B", 1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    *of("C", None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    *of("D", 1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
]


def test_krippendorffs_four_observers() -> None:
    found = agreement(FOUR, [DEPTH])["depth"]
    assert found["alpha_nominal"]["value"] == pytest.approx(0.743, abs=5e-4)
    assert found["alpha_ordinal"]["value"] == pytest.approx(0.815, abs=5e-4)
    assert found["alpha_interval"]["value"] == pytest.approx(0.849, abs=5e-4)
    for name in FIGURES:
        assert found[name]["n"] == 11
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    assert found["spearman"]["pairs"] == 6
    assert "kendall_within_items" not in found


def test_two_raters_have_scipys_figures() -> None:
    one, other = (1, 2, 3, 3, 2, 1, 4, 1), (1, 2, 3, 2, 2, 2, 4, 3)
    found = agreement([*of("A", *one), *of("B", *other)], [DEPTH])["depth"]
    assert found["kendall_tau_b"]["value"] == pytest.approx(kendalltau(one, other).statistic)
    assert found["spearman"]["value"] == pytest.approx(spearmanr(one, other).statistic)


def test_three_raters_have_the_mean_of_their_pairs() -> None:
    marks = {"A": (1, 2, 3, 4), "B": (1, 2, 4, 3), "C": (4, 3, 2, 1)}
    found = agreement([m for name, v in marks.items() for m in of(name, *v)], [DEPTH])["depth"]
    # tau: A and B 4/6, A and C -1, B and C -4/6; rho: 0.8, -1, -0.8
    assert found["kendall_tau_b"]["value"] == pytest.approx(-1 / 3)
    assert found["spearman"]["value"] == pytest.approx(-1 / 3)


def test_pairs_within_items_compare_only_answers_to_one_question() -> None:
    """Both raters order a before b in each item, yet the marks of the items run apart."""
    marks = [
        mark("A", "1", "a", 5), mark("A", "1", "b", 4), mark("A", "2", "a", 2),
        mark("A", "2", "b", 1), mark("B", "1", "a", 2), mark("B", "1", "b", 1),
        mark("B", "2", "a", 5), mark("B", "2", "b", 4),
    ]  # fmt: skip
    found = agreement(marks, [DEPTH])["depth"]
    assert found["kendall_within_items"]["value"] == 1
    assert found["kendall_tau_b"]["value"] < 0


@pytest.mark.parametrize(
    ("marks", "figure", "reason"),
    [
        (of("A", 1, 2, 3), "spearman", "fewer than two raters marked the same answer"),
        (of("A", 1, 2, 3), "alpha_nominal", "fewer than two raters marked the same answer"),
        ([], "alpha_nominal", "fewer than two raters"),
        ([*of("A", 1, None), *of("B", None, 2)], "kendall_tau_b", "fewer than two raters"),
        ([*of("A", 1, 2), *of("B", 3, 3)], "spearman", "a rater gave one mark to all: no variance"),
        ([*of("A", 3, 3), *of("B", 3, 3)], "alpha_ordinal", "all marks are the same: no variance"),
    ],
)
def test_what_is_undefined_says_why(marks: list[Mark], figure: str, reason: str) -> None:
    found = agreement(marks, [DEPTH])["depth"][figure]
    assert (found["value"], found["low"], found["high"]) == (None, None, None)
    assert reason in found["reason"]


def test_where_resampling_shows_nothing_no_certainty_is_claimed() -> None:
    found = agreement([*of("A", *range(6)), *of("B", *range(6))], [DEPTH])["depth"]
    assert found["alpha_interval"]["value"] == 1
    assert (found["alpha_interval"]["low"], found["alpha_interval"]["high"]) == (None, None)
    assert found["alpha_interval"]["reason"] == "resampling shows no spread"
    two = agreement([*of("A", 1, 2), *of("B", 1, 3)], [DEPTH])["depth"]
    assert two["spearman"]["value"] == pytest.approx(1)
    assert two["spearman"]["reason"] == "too few marks that differ to resample"


def test_the_interval_shrinks_with_the_items() -> None:
    def width(items: int) -> float:
        chance = random.Random(1)
        values = [float(chance.randint(0, 5)) for _ in range(items)]
        noisy = [min(5.0, max(0.0, v + chance.choice([-1, 0, 0, 1]))) for v in values]
        cell = agreement([*of("A", *values), *of("B", *noisy)], [DEPTH])["depth"]["spearman"]
        return float(cell["high"] - cell["low"])

    assert width(20) > 2 * width(320)


MARKS = st.lists(
    st.builds(
        mark, st.sampled_from("rst"), st.sampled_from("12345"), st.sampled_from("ab"),
        st.integers(0, 5).map(float),
    ),
    max_size=30,
    unique_by=lambda m: (m.rater, m.item_id, m.system),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(MARKS, st.randoms())
def test_no_order_of_items_or_raters_counts(marks: list[Mark], chance: random.Random) -> None:
    renamed = dict(zip("rst", chance.sample("xyz", 3), strict=True))
    moved = dict(zip("12345", chance.sample("12345", 5), strict=True))
    other = [
        Mark(renamed[m.rater], m.kind, m.protocol, moved[m.item_id], m.system, m.dimension, m.value)
        for m in marks
    ]
    chance.shuffle(other)
    here, there = agreement(marks, [DEPTH])["depth"], agreement(other, [DEPTH])["depth"]
    assert here.keys() == there.keys()
    for name, cell in here.items():
        assert cell["n"] == there[name]["n"]
        assert cell["value"] == pytest.approx(there[name]["value"], nan_ok=True)
        if cell["value"] is not None:
            assert -1 <= cell["value"] <= 1 or name.startswith("alpha")
        if cell["low"] is not None:
            assert cell["low"] <= cell["value"] <= cell["high"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=8), st.integers(2, 4))
def test_raters_who_say_the_same_agree_wholly(values: list[int], raters: int) -> None:
    marks = [m for rater in range(raters) for m in of(str(rater), *values)]
    for name, cell in agreement(marks, [DEPTH])["depth"].items():
        if len(set(values)) > 1:
            assert cell["value"] == pytest.approx(1), name
        else:
            assert cell["value"] is None
