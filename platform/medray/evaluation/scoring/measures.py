"""A benchmark's metrics as columns of values or counts, one row an item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medray.evaluation import comparison, statistics
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.metrics.counts import Statistic
from medray.intervals import proportion

Places = npt.NDArray[np.int64]
Kind = Literal["yes or no", "mean", "sums"]


@dataclass(frozen=True)
class Measure:
    """One metric of some items.

    ``places``: the numbers of the items that it is of, rising. ``values``: of each such item a
    value in 0..1, or the counts (items, columns ...) that ``statistic`` takes the sums of.
    ``chances``: the value that a guess has of each item, where that is known.
    """

    name: str
    places: Places
    values: npt.NDArray[Any]
    statistic: Statistic | None = None
    chances: npt.NDArray[np.float64] | None = None

    def at(self, places: Places) -> Measure:
        """Return the same of those of the items that are in ``places``."""
        chosen = np.isin(self.places, places)
        chances = None if self.chances is None else self.chances[chosen]
        return Measure(self.name, self.places[chosen], self.values[chosen], self.statistic, chances)

    @property
    def kind(self) -> Kind:
        if self.statistic is not None:
            return "sums"
        return "yes or no" if np.isin(self.values, (0, 1)).all() else "mean"

    def estimate(self) -> dict[str, Any]:
        """Return {value, n, low, high}, ``chance`` where it is known, and of counts their ``sums``.

        The interval of a share is Wilson's, any other the bootstrap's (``statistics``).
        """
        if self.statistic is not None:
            found = statistics.of_sums(self.values, self.statistic)
            if self.values.ndim == 2:
                found["sums"] = self.values.sum(axis=0).tolist()
        elif self.kind == "yes or no":
            found = proportion(int(self.values.sum()), len(self.values))
        else:
            found = statistics.mean(self.values.tolist())
        if self.chances is not None and len(self.chances):
            found["chance"] = float(self.chances.mean())
        return found


def macro(groups: Sequence[Measure]) -> dict[str, Any]:
    """Return {value, n, low, high, languages} of the unweighted mean over the groups."""
    first = groups[0]
    if first.statistic is not None:
        return statistics.macro_of_sums([group.values for group in groups], first.statistic)
    found = statistics.macro_mean([group.values.tolist() for group in groups])
    chances = [
        group.chances.mean() for group in groups if group.chances is not None and len(group.chances)
    ]
    return found | ({"chance": float(np.mean(chances))} if chances else {})


def compare(first: Measure, second: Measure) -> dict[str, Any]:
    """Return the paired difference, first less second, over the items that both are of."""
    mine, theirs = first.at(second.places), second.at(first.places)
    if first.statistic is not None:
        return comparison.compare_sums(mine.values, theirs.values, first.statistic)
    return comparison.compare_means(mine.values.tolist(), theirs.values.tolist())


def compare_macro(first: Sequence[Measure], second: Sequence[Measure]) -> dict[str, Any]:
    """Return the same of the unweighted means over groups, a language each."""
    pairs = [(a.at(b.places), b.at(a.places)) for a, b in zip(first, second, strict=True)]
    pairs = [(a, b) for a, b in pairs if len(a.values)]
    mine, theirs = [a.values for a, _ in pairs], [b.values for _, b in pairs]
    statistic = first[0].statistic
    if statistic is not None:
        return comparison.compare_macro_sums(mine, theirs, statistic)
    return comparison.compare_macro_means([a.tolist() for a in mine], [a.tolist() for a in theirs])


def guess_chance(item: Item) -> float:
    """Return how often a guess that knows only how many answers are right finds all of them.

    One of the C(options, right) sets, drawn at random; of further right sets each adds its own. A
    guess that does not know their number does worse. 0 where a number is asked for, 1 where any
    answer is right.
    """
    if item.void:
        return 1.0
    if not item.options:
        return 0.0
    sets = [item.answers, *item.also_right]
    return min(1.0, sum(1 / math.comb(len(item.options), len(set(one))) for one in sets))
