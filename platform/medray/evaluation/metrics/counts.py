"""Precision, recall, F1 and shares from counts that are summed over items first.

A statistic takes sums, arrays whose last axes are the columns of what is counted, and returns an
array without them; so it goes through thousands of resamples at once (``statistics.of_sums``).
0 / 0 is 0, scikit-learn's ``zero_division=0``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Statistic = Callable[[npt.NDArray[Any]], Floats]


def precision(sums: npt.NDArray[Any]) -> Floats:
    """Return tp / (tp + fp) of sums (..., 3): true positives, false positives, false negatives."""
    return _divide(sums[..., 0], sums[..., 0] + sums[..., 1])


def recall(sums: npt.NDArray[Any]) -> Floats:
    """Return tp / (tp + fn) of sums (..., 3)."""
    return _divide(sums[..., 0], sums[..., 0] + sums[..., 2])


def f1(sums: npt.NDArray[Any]) -> Floats:
    """Return 2 tp / (2 tp + fp + fn) of sums (..., 3)."""
    return _divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def share(sums: npt.NDArray[Any]) -> Floats:
    """Return the first over the second of sums (..., 2), such as right tokens and all tokens."""
    return _divide(sums[..., 0], sums[..., 1])


def micro(statistic: Statistic) -> Statistic:
    """Return the statistic of label counts (..., labels, 3) with the labels' counts added up."""
    return lambda sums: statistic(sums.sum(axis=-2))


def macro(statistic: Statistic) -> Statistic:
    """Return the unweighted mean of the labels' statistics, of label counts (..., labels, 3)."""
    return lambda sums: statistic(sums).mean(axis=-1)


# By name, of what ``entities`` counts and of what ``labels`` counts.
ENTITY_STATISTICS: dict[str, Statistic] = {"precision": precision, "recall": recall, "f1": f1}
LABEL_STATISTICS: dict[str, Statistic] = {
    f"{average.__name__}_{name}": average(statistic)
    for average in (micro, macro)
    for name, statistic in ENTITY_STATISTICS.items()
}


def _divide(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    # Not np.maximum(whole, 1): of sums that are no integers a whole may lie below 1.
    values: Floats = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole != 0)
    return values
