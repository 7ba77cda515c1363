"""Agreement between raters: Kendall, Spearman, Krippendorff, each with its interval over items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import kendalltau, spearmanr

from medray.evaluation.judging import krippendorff, rank_tables
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import Dimension
from medray.evaluation.judging.units import Meeting, Units, all_times, cell_of, undefined
from medray.evaluation.statistics import Floats

Statistic = Callable[[Floats], Floats]
_NO_VARIANCE = "a rater gave one mark to all: no variance"
_ONE_RATER = "fewer than two raters marked the same answer"


def agreement(
    marks: Sequence[Mark], dimensions: Sequence[Dimension], seed: int = 0
) -> dict[str, Any]:
    """Return dimension -> figure -> {value, n, low, high} of how far raters agree.

    - ``kendall_tau_b``, ``spearman``: of two raters over the answers that both marked, then the
      mean over all ``pairs`` of raters for which it is defined;
    - ``kendall_within_items``: tau-b over pairs of answers to one question alone, which says
      whether raters order the systems alike; where there are several systems;
    - ``alpha_nominal``, ``alpha_ordinal``, ``alpha_interval``: Krippendorff's alpha of all raters.

    ``n``: answers with at least two marks. The 95 % interval is the percentile bootstrap's over
    items, each with all its answers. ``value`` is None with a ``reason`` where a figure is
    undefined; so is an interval (see ``units.cell_of``).
    """
    return {each.name: _of_dimension(Units.of(marks, each.name), seed) for each in dimensions}


def _of_dimension(units: Units, seed: int) -> dict[str, Any]:
    n = int((np.count_nonzero(~np.isnan(units.marks), axis=0) > 1).sum())
    names = ["kendall_tau_b", "spearman"]
    names += ["kendall_within_items"] if len(units.system_names) > 1 else []
    names += [f"alpha_{level}" for level in krippendorff.LEVELS]
    if not n:
        return {name: undefined(0, _ONE_RATER) for name in names}
    times = all_times(units.item_count, seed)
    found = {
        "kendall_tau_b": _mean_of_pairs(units, times, n, rank_tables.kendall_tau_b, _kendall),
        "spearman": _mean_of_pairs(units, times, n, rank_tables.spearman, _spearman),
    }
    if len(units.system_names) > 1:
        found["kendall_within_items"] = _within_items(units, times, n)
    return found | _alphas(units, times, n)


def _kendall(one: Floats, other: Floats) -> float:
    return float(kendalltau(one, other, variant="b").statistic)


def _spearman(one: Floats, other: Floats) -> float:
    return float(spearmanr(one, other).statistic)


def _mean_of_pairs(
    units: Units,
    times: Floats,
    n: int,
    statistic: Statistic,
    of_marks: Callable[[Floats, Floats], float],
) -> dict[str, Any]:
    values, samples = [], []
    for one, other in combinations(units.marks, 2):
        both = ~np.isnan(one) & ~np.isnan(other)
        if not _varies(one[both]) or not _varies(other[both]):
            continue
        meeting = Meeting.of(one[both], other[both], units.items[both])
        values.append(of_marks(one[both], other[both]))
        samples.append(meeting.resampled(statistic, times))
    if not values:
        return undefined(n, _NO_VARIANCE)
    return cell_of(_mean(values), n, np.mean(samples, axis=0), pairs=len(values))


def _varies(marks: Floats) -> bool:
    return bool(len(marks)) and bool(marks.min() < marks.max())


def _mean(values: Sequence[float]) -> float:
    return float(np.clip(np.mean(values), -1.0, 1.0))


def _within_items(units: Units, times: Floats, n: int) -> dict[str, Any]:
    values, samples = [], []
    for one, other in combinations(units.marks, 2):
        sums = within_item_sums(one, other, units)
        value = within_items(sums.sum(axis=0))
        if not np.isnan(value):
            values.append(float(value))
            samples.append(within_items(times @ sums))
    if not values:
        return undefined(n, "no two answers to one question were marked unlike by two raters")
    return cell_of(_mean(values), n, np.mean(samples, axis=0), pairs=len(values))


def within_item_sums(one: Floats, other: Floats, units: Units) -> Floats:
    """Return (items, 3): concordant less discordant pairs, and those untied by one, by the other.

    Pairs are of two answers to one item that both marked.
    """
    sums = np.zeros((units.item_count, 3))
    both = np.flatnonzero(~np.isnan(one) & ~np.isnan(other))
    # Units are sorted by item: those of one item stand together.
    for group in np.split(both, np.flatnonzero(np.diff(units.items[both])) + 1):
        if len(group) < 2:
            continue
        first, second = np.triu_indices(len(group), 1)
        signs = [np.sign(np.round(m[group][first] - m[group][second], 12)) for m in (one, other)]
        sums[units.items[group[0]]] = [
            (signs[0] * signs[1]).sum(), np.abs(signs[0]).sum(), np.abs(signs[1]).sum(),
        ]  # fmt: skip
    return sums


def within_items(sums: Floats) -> Floats:
    """Return tau-b (...) of sums (..., 3) of ``within_item_sums``; nan where undefined."""
    below = np.sqrt(sums[..., 1] * sums[..., 2])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, sums[..., 0] / below, np.nan)


def _alphas(units: Units, times: Floats, n: int) -> dict[str, Any]:
    values, of_units = krippendorff.coincidences(units.marks)
    of_items = np.zeros((units.item_count, *of_units.shape[1:]))
    np.add.at(of_items, units.items, of_units)
    flat = of_items.reshape(units.item_count, -1)
    resampled = (times @ flat).reshape(len(times), *of_items.shape[1:])
    found = {}
    for level in krippendorff.LEVELS:
        value = krippendorff.alpha(of_items.sum(axis=0), values, level)
        if np.isnan(value):
            found[f"alpha_{level}"] = undefined(n, "all marks are the same: no variance")
        else:
            samples = krippendorff.alpha(resampled, values, level)
            found[f"alpha_{level}"] = cell_of(float(value), n, samples)
    return found
