"""Marks to tables: each system's means, ranks and wins, as plain dicts for a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from medray.evaluation import statistics
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import PREFERENCE, Dimension

# item -> rater -> system -> value, of one dimension.
_Table = dict[str, dict[str, dict[str, float]]]
# Name of the mean over a protocol's dimensions; BenTsao's table prints it.
ALL = "all"


def summarise(
    marks: Sequence[Mark], dimensions: Sequence[Dimension], systems: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Return what a set of raters says of systems.

    - ``raters``, ``items``: who marked, and how many items;
    - ``systems``: system -> dimension -> {value, n, low, high} on the dimension's scale: the mean
      over items of the raters' mean, with the bootstrap's 95 % interval over items. Where there are
      several dimensions of one scale, ``all`` is their mean, of items marked in every one;
    - ``ranks``: dimension -> system -> place by that mean, 1 the best, equal ones sharing it;
    - ``wins``: dimension -> system -> other -> {value, n, low, high, win, tie, lose}: the share of
      (item, rater) in which it has the better mark, a tie a half; interval over items. None of a
      pairwise protocol, whose one system's mean is that share.
    """
    tables = {dimension.name: _table(marks, dimension.name) for dimension in dimensions}
    by_system: dict[str, dict[str, Any]] = {name: {} for name in systems}
    for dimension in dimensions:
        for name in systems:
            values = list(_item_means(tables[dimension.name], name).values())
            by_system[name][dimension.name] = mean_on_scale(values, dimension, seed)
    if len(dimensions) > 1 and len({(d.low, d.high, d.better) for d in dimensions}) == 1:
        for name in systems:
            means = [_item_means(tables[dimension.name], name) for dimension in dimensions]
            whole = [item for item in means[0] if all(item in each for each in means)]
            values = [fmean(each[item] for each in means) for item in whole]
            by_system[name][ALL] = mean_on_scale(values, dimensions[0], seed)
    marked = [dimension for dimension in dimensions if dimension.name != PREFERENCE]
    return {
        "raters": sorted({mark.rater for mark in marks}),
        "items": len({mark.item_id for mark in marks}),
        "systems": by_system,
        "ranks": {d.name: _ranks(by_system, d) for d in marked},
        "wins": {d.name: _wins(tables[d.name], systems, d, seed) for d in marked},
    }


def outcomes(marks: Sequence[Mark]) -> dict[str, Any]:
    """Return {win, tie, lose, n} of people's pairwise marks: one a rater and item."""
    values = [mark.value for mark in marks if mark.dimension == PREFERENCE]
    return {
        "n": len(values),
        "win": sum(value == 1 for value in values),
        "tie": sum(value == 0.5 for value in values),
        "lose": sum(value == 0 for value in values),
    }


def mean_on_scale(values: Sequence[float], dimension: Dimension, seed: int = 0) -> dict[str, Any]:
    """Return {value, n, low, high} of the mean of values that lie on a dimension's scale."""
    width = dimension.high - dimension.low
    found = statistics.mean([(value - dimension.low) / width for value in values], seed)
    if found["value"] is None:
        return found
    scaled = {end: dimension.low + width * found[end] for end in ("low", "high")}
    # Not the scaled mean: that loses the last digit.
    return {"value": fmean(values), "n": found["n"], **scaled}


def _table(marks: Sequence[Mark], dimension: str) -> _Table:
    table: _Table = defaultdict(lambda: defaultdict(dict))
    for mark in marks:
        if mark.dimension == dimension:
            table[mark.item_id][mark.rater][mark.system] = mark.value
    return table


def _item_means(table: _Table, system: str) -> dict[str, float]:
    """Return each item's mean over the raters who marked the system there."""
    found = {}
    for item, raters in table.items():
        values = [marked[system] for marked in raters.values() if system in marked]
        if values:
            found[item] = fmean(values)
    return found


def _ranks(by_system: Mapping[str, Mapping[str, Any]], dimension: Dimension) -> dict[str, int]:
    means = {name: cells[dimension.name]["value"] for name, cells in by_system.items()}
    sign = 1 if dimension.better == "higher" else -1
    known = {name: sign * value for name, value in means.items() if value is not None}
    # The raters' means of one value, 7 / 3, may differ in the last bit.
    return {
        name: 1 + sum(other > value + 1e-9 for other in known.values())
        for name, value in sorted(known.items(), key=lambda pair: -pair[1])
    }


def _wins(
    table: _Table, systems: Sequence[str], dimension: Dimension, seed: int
) -> dict[str, dict[str, Any]]:
    matrix: dict[str, dict[str, Any]] = {name: {} for name in systems}
    sign = 1 if dimension.better == "higher" else -1
    for one, other in combinations(systems, 2):
        by_item = [
            [
                sign * (marked[one] - marked[other])
                for marked in raters.values()
                if {one, other} <= marked.keys()
            ]
            for raters in table.values()
        ]
        by_item = [differences for differences in by_item if differences]
        scores = [fmean((0.5 if d == 0 else float(d > 0)) for d in item) for item in by_item]
        all_differences = [difference for item in by_item for difference in item]
        win, lose = (sum(s * d > 0 for d in all_differences) for s in (1, -1))
        share = statistics.mean(scores, seed)
        tie = len(all_differences) - win - lose
        matrix[one][other] = {**share, "win": win, "tie": tie, "lose": lose}
        matrix[other][one] = {**_mirrored(share), "win": lose, "tie": tie, "lose": win}
    return matrix


def _mirrored(share: Mapping[str, Any]) -> dict[str, Any]:
    if share["value"] is None:
        return dict(share)
    ends = {"low": 1 - share["high"], "high": 1 - share["low"]}
    return {"value": 1 - share["value"], "n": share["n"], **ends}
