"""Golden numbers: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability"."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medray.evaluation.judging.krippendorff import LEVELS, Floats, Level, alpha, coincidences

NAN = float("nan")
# A. Binary data, two observers, no missing data.
BINARY = [
    [0, 1, 0, 0, 0, 0, 0, 0, 1, 0],
    [1, 1, 1, 0, 0, 1, 0, 0, 0, 0],
]
# B. Nominal data, two observers, no missing data: a to e as 1 to 5.
NOMINAL = [
    [1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1],
    [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4],
]
# C. and D. Any number of observers, missing data.
FOUR = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


def of(marks: list[list[float]] | Floats, level: Level) -> float:
    values, units = coincidences(np.array(marks, np.float64))
    return float(alpha(units.sum(axis=0), values, level))


@pytest.mark.parametrize(
    ("marks", "level", "published"),
    [
        (BINARY, "nominal", 0.095),
        (NOMINAL, "nominal", 0.692),
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
    ],
)
def test_the_published_examples(marks: list[list[float]], level: Level, published: float) -> None:
    assert of(marks, level) == pytest.approx(published, abs=5e-4)


def test_the_published_coincidences() -> None:
    """Of C: o_11 = 7, o_12 = 4/3, o_13 = 1/3, o_14 = 1/3, o_22 = 10 ... and n = 40."""
    values, units = coincidences(np.array(FOUR))
    matrix = units.sum(axis=0)
    assert values.tolist() == [1, 2, 3, 4, 5]
    assert matrix[0] == pytest.approx([7, 4 / 3, 1 / 3, 1 / 3, 0])
    assert matrix[1] == pytest.approx([4 / 3, 10, 4 / 3, 1 / 3, 0])
    assert matrix.sum(axis=1) == pytest.approx([9, 13, 10, 5, 3])
    # Unit 12 has one mark, which pairs with none.
    assert units[11].sum() == 0


def test_of_one_value_alone_nothing_is_known() -> None:
    assert np.isnan(of([[2, 2], [2, NAN]], "nominal"))
    assert np.isnan(of([[1, NAN], [NAN, 2]], "interval"))


MARKS = arrays(
    np.float64,
    st.tuples(st.integers(2, 4), st.integers(1, 8)),
    elements=st.sampled_from([1, 2, 3, 5, NAN]),
)


@given(MARKS, st.randoms())
def test_no_order_of_raters_or_units_counts(marks: Floats, random: object) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    shuffled = generator.permutation(generator.permutation(marks, axis=0), axis=1)
    for level in LEVELS:
        one, other = of(marks, level), of(shuffled, level)
        assert one == pytest.approx(other, nan_ok=True)
        assert np.isnan(one) or one <= 1


@given(MARKS)
def test_raters_who_say_the_same_agree_wholly(marks: Floats) -> None:
    same = np.broadcast_to(marks[:1], marks.shape)
    for level in LEVELS:
        found = of(same, level)
        assert np.isnan(found) or found == pytest.approx(1)
        assert np.isnan(found) == (len(set(marks[0][~np.isnan(marks[0])])) < 2)
