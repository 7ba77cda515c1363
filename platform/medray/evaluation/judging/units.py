"""Marks of one dimension as an array, and resampling of items with all that belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medray.evaluation.judging.marks import Mark
from medray.evaluation.statistics import NO_SPREAD, Floats, resampled_times

Integers = npt.NDArray[np.int64]
# Of a batch of tables: 4 million numbers, 32 MB.
_BATCH_NUMBERS = 4_000_000
# A figure that more resamples than these leave undefined has no honest interval.
_MOST_UNDEFINED = 0.05


@dataclass(frozen=True)
class Units:
    """``marks``: (raters, units), nan where missing; a unit is an answer: (item, system).

    ``items``: (units,) the number of each unit's item; ``systems`` likewise.
    """

    raters: list[str]
    marks: Floats
    items: Integers
    systems: Integers
    item_count: int
    system_names: list[str]

    @classmethod
    def of(cls, marks: Sequence[Mark], dimension: str) -> Units:
        """Arrange the marks of a dimension; all names sorted, so no order of marks counts."""
        mine = [mark for mark in marks if mark.dimension == dimension]
        raters = sorted({mark.rater for mark in mine})
        items = {name: n for n, name in enumerate(sorted({mark.item_id for mark in mine}))}
        systems = {name: n for n, name in enumerate(sorted({mark.system for mark in mine}))}
        units = sorted({(items[mark.item_id], systems[mark.system]) for mark in mine})
        place = {unit: n for n, unit in enumerate(units)}
        row = {rater: n for n, rater in enumerate(raters)}
        table = np.full((len(raters), len(units)), np.nan)
        for mark in mine:
            unit = place[items[mark.item_id], systems[mark.system]]
            table[row[mark.rater], unit] = mark.value
        pairs = np.array(units, np.int64).reshape(-1, 2)
        return cls(raters, table, pairs[:, 0], pairs[:, 1], len(items), list(systems))


@dataclass(frozen=True)
class Meeting:
    """How two lists of marks meet: their values' numbers in each unit, and the unit's item."""

    cells: Integers
    items: Integers
    shape: tuple[int, int]

    @classmethod
    def of(cls, one: Floats, other: Floats, items: Integers) -> Meeting:
        """Take units (units,) in which neither mark is nan."""
        # To 12 digits: the means of one mark, 7 / 3, may differ in the last bit.
        first, second = (
            np.unique(np.round(each, 12), return_inverse=True) for each in (one, other)
        )
        shape = (max(len(first[0]), 1), max(len(second[0]), 1))
        return cls(first[1] * shape[1] + second[1], items, shape)

    def tables(self, times: Floats) -> Floats:
        """Return (samples, values, values): how often they meet, with items drawn so often."""
        size = self.shape[0] * self.shape[1]
        counted = [
            np.bincount(self.cells, weights=row[self.items], minlength=size) for row in times
        ]
        return np.array(counted, np.float64).reshape(len(times), *self.shape)

    def resampled(self, statistic: Callable[[Floats], Floats], times: Floats) -> Floats:
        """Return the statistic (samples,) of the tables, some batches of them at a time."""
        step = max(1, _BATCH_NUMBERS // (self.shape[0] * self.shape[1]))
        batches = [times[first : first + step] for first in range(0, len(times), step)]
        return np.concatenate([statistic(self.tables(batch)) for batch in batches])


def all_times(items: int, seed: int) -> Floats:
    """Return (samples, items): how often each item is drawn in each sample of the bootstrap."""
    return np.concatenate(list(resampled_times(items, np.random.default_rng(seed))))


def cell_of(value: float, n: int, samples: Floats, **more: Any) -> dict[str, Any]:
    """Return {value, n, low, high} with the percentile bootstrap's 95 % interval.

    The interval is None, with ``reason``, where too many samples leave the figure undefined, or
    all are alike: that shows no certainty, only that there is nothing to resample.
    """
    told = {"value": value, "n": n, "low": None, "high": None, **more}
    known = samples[~np.isnan(samples)]
    if len(known) < (1 - _MOST_UNDEFINED) * len(samples):
        return told | {"reason": "too few marks that differ to resample"}
    low, high = (float(end) for end in np.percentile(known, [2.5, 97.5]))
    if high - low < NO_SPREAD:
        return told | {"reason": "resampling shows no spread"}
    return told | {"low": min(low, value), "high": max(high, value)}


def undefined(n: int, reason: str) -> dict[str, Any]:
    """Return a cell without a value, and why."""
    return {"value": None, "n": n, "low": None, "high": None, "reason": reason}
