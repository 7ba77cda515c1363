from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from medray.evaluation.judging.pairwise import OUTCOMES, Pair, measure, outcome
from medray.intervals import proportion

MIRROR = {"win": "lose", "lose": "win", "tie": "tie", None: None}
RATES = (
    "win_rate",
    "win_rate_non_tied",
    "win_rate_half_ties",
    "mean_of_two_orders",
    "consistency",
    "error",
    "first_shown",
)
outcomes = st.sampled_from([*OUTCOMES, None])
pairs = st.lists(st.builds(Pair, st.text(max_size=3), outcomes, outcomes), max_size=12)


def mirrored(pair: Pair) -> Pair:
    """The same verdicts told from the reference's side: what was shown first is now the other's."""
    return Pair(pair.item_id, MIRROR[pair.reference_first], MIRROR[pair.model_first])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "model_first", "expected"),
    [
        ("first", True, "win"),
        ("first", False, "lose"),
        ("second", True, "lose"),
        ("second", False, "win"),
        ("tie", True, "tie"),
        (None, False, None),
    ],
)
def test_what_a_choice_means(choice: Any, model_first: bool, expected: str | None) -> None:
    assert outcome(choice, model_first=model_first) == expected


def test_only_two_equal_verdicts_make_a_win() -> None:
    found = {(a, b): Pair("1", a, b).outcome for a in (*OUTCOMES, None) for b in (*OUTCOMES, None)}
    assert [key for key, value in found.items() if value == "win"] == [("win", "win")]
    assert [key for key, value in found.items() if value == "lose"] == [("lose", "lose")]
    assert {key for key, value in found.items() if value is None} == {
        key for key in found if None in key
    }


def test_the_figures_of_a_small_table() -> None:
    table = [
        Pair("1", "win", "win"),
        Pair("2", "win", "lose"),
        Pair("3", "win", "tie"),
        Pair("4", "lose", "lose"),
        Pair("5", None, "win"),
    ]
    found = measure(table)
    assert [found[key] for key in ("n", "win", "tie", "lose", "unparsed")] == [5, 1, 2, 1, 1]
    values = {name: found[name]["value"] for name in RATES}
    assert values == {
        "win_rate": 0.25,
        "win_rate_non_tied": 0.5,
        "win_rate_half_ties": 0.5,
        "mean_of_two_orders": pytest.approx(2.25 / 4),
        "consistency": 0.5,
        "error": 0.2,
        # Shown first and preferred: 1 and 2 and 3, model; 2 and 4, reference.
        "first_shown": 5 / 8,
    }
    assert found["win_rate"] == proportion(1, 4)
    assert found["orders"] == {
        "model_first": {"win": 3, "tie": 0, "lose": 1, "unparsed": 1},
        "reference_first": {"win": 2, "tie": 1, "lose": 2, "unparsed": 0},
    }
    assert found["sign_test_p"] == 1.0


def test_the_sign_test_is_the_exact_one() -> None:
    table = [Pair(str(n), "win", "win") for n in range(9)] + [Pair("x", "lose", "lose")]
    assert measure(table)["sign_test_p"] == pytest.approx(binomtest(9, 10).pvalue)
    assert measure([Pair("1", "tie", "tie")])["sign_test_p"] is None


def test_without_a_readable_item_nothing_is_claimed() -> None:
    for table in ([], [Pair("1", None, "win")]):
        found = measure(table)
        assert found["win_rate"]["value"] is None
        assert found["mean_of_two_orders"]["value"] is None
        assert found["unparsed"] == len(table)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_figures_are_bounded_and_add_up(table: list[Pair]) -> None:
    found = measure(table)
    assert sum(found[key] for key in ("win", "tie", "lose", "unparsed")) == found["n"]
    for name in RATES:
        if found[name]["value"] is not None:
            assert 0 <= found[name]["low"] <= found[name]["value"] <= found[name]["high"] <= 1


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_swapping_the_systems_mirrors_win_and_lose(table: list[Pair]) -> None:
    here, there = measure(table), measure([mirrored(pair) for pair in table])
    for key in ("n", "tie", "unparsed", "consistency", "error", "first_shown", "sign_test_p"):
        assert here[key] == there[key], key
    assert (here["win"], here["lose"]) == (there["lose"], there["win"])
    for name in ("win_rate_non_tied", "win_rate_half_ties", "mean_of_two_orders"):
        one, other = here[name]["value"], there[name]["value"]
        assert (one is None and other is None) or math.isclose(one, 1 - other, abs_tol=1e-12)


@settings(max_examples=40, deadline=None)
@given(pairs, st.randoms())
def test_the_order_of_items_does_not_count(table: list[Pair], random: Any) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)
    here, there = measure(table), measure(shuffled)
    for name in RATES:
        assert here[name]["value"] == pytest.approx(there[name]["value"])
