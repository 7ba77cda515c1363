"""How far a model judge says what people say: per answer, per preference, per system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau, rankdata, spearmanr

from medray.evaluation import statistics
from medray.evaluation.judging import rank_tables
from medray.evaluation.judging.agreement import within_item_sums, within_items
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import PREFERENCE, Dimension
from medray.evaluation.judging.units import Meeting, Units, all_times, cell_of, undefined
from medray.evaluation.statistics import Floats

# Two systems can only agree or not: their correlation is 1 or -1.
_FEWEST_SYSTEMS = 3
_PEOPLE, _JUDGE = "people", "judge"


def correlation(
    people: Sequence[Mark], judge: Sequence[Mark], dimensions: Sequence[Dimension], seed: int = 0
) -> dict[str, Any]:
    """Return judge -> dimension -> figure -> {value, n, low, high}.

    Each answer's value is the mean over the people who marked it; answers that people or the judge
    did not mark are left out.

    - ``spearman``, ``kendall_tau_b``: over answers;
    - ``kendall_within_items``: tau-b over pairs of answers to one question; with several systems;
    - ``preference_accuracy``: where people prefer one of two answers to a question, the share in
      which the judge does, its ties a half; of a pairwise protocol, over items. ``n``: items that
      have such a pair;
    - ``system_spearman``, ``system_kendall_tau_b``: over the systems' means; from three systems on;
    - ``mean_difference``: the judge's mean less the people's, on the dimension's scale.

    The 95 % interval is the percentile bootstrap's over items, each with all its answers. It tells
    what other items would change, not what other people would.
    """
    judges = sorted({mark.rater for mark in judge})
    return {
        name: {
            each.name: _of_dimension(
                _joined(people, [mark for mark in judge if mark.rater == name], each.name),
                each,
                seed,
            )
            for each in dimensions
        }
        for name in judges
    }


def _joined(people: Sequence[Mark], judge: Sequence[Mark], dimension: str) -> Units:
    """Return units of two raters, the judge and the people's mean, which both marked."""
    of_people: dict[tuple[str, str], list[float]] = {}
    for mark in people:
        if mark.dimension == dimension:
            of_people.setdefault((mark.item_id, mark.system), []).append(mark.value)
    marks = []
    for mark in judge:
        values = of_people.get((mark.item_id, mark.system))
        if mark.dimension == dimension and values:
            about = (mark.protocol, mark.item_id, mark.system, dimension)
            marks.append(Mark(_JUDGE, "model", *about, mark.value))
            # Sorted, so that the order of raters does not change the last bit.
            marks.append(Mark(_PEOPLE, "human", *about, float(np.mean(sorted(values)))))
    return Units.of(marks, dimension)


def _of_dimension(units: Units, dimension: Dimension, seed: int) -> dict[str, Any]:
    several = len(units.system_names) > 1
    names = ["spearman", "kendall_tau_b", *(["kendall_within_items"] if several else [])]
    names += ["preference_accuracy", "system_spearman", "system_kendall_tau_b", "mean_difference"]
    if not units.item_count:
        return {name: undefined(0, "people and judge marked no answer both") for name in names}
    times = all_times(units.item_count, seed)
    judge, people = units.marks
    found = _over_answers(units, times)
    if several:
        found["kendall_within_items"] = _within_items(units, times)
    found["preference_accuracy"] = _preference_accuracy(units, dimension, seed)
    found |= _over_systems(units, times)
    found["mean_difference"] = _mean_difference(judge - people, units, times)
    return {name: found[name] for name in names}


def _over_answers(units: Units, times: Floats) -> dict[str, Any]:
    judge, people = units.marks
    n = len(judge)
    for who, marks in (("the judge", judge), ("people", people)):
        if np.ptp(marks) < statistics.NO_SPREAD:
            gone = undefined(n, f"{who} gave one mark to all: no variance")
            return {"spearman": gone, "kendall_tau_b": gone}
    meeting = Meeting.of(judge, people, units.items)
    rounded = [np.round(marks, 12) for marks in units.marks]
    rho = meeting.resampled(rank_tables.spearman, times)
    tau = meeting.resampled(rank_tables.kendall_tau_b, times)
    return {
        "spearman": cell_of(float(spearmanr(*rounded).statistic), n, rho),
        "kendall_tau_b": cell_of(float(kendalltau(*rounded).statistic), n, tau),
    }


def _within_items(units: Units, times: Floats) -> dict[str, Any]:
    judge, people = units.marks
    sums = within_item_sums(judge, people, units)
    value = float(within_items(sums.sum(axis=0)))
    n = units.item_count
    if np.isnan(value):
        return undefined(n, "no two answers to one question were marked unlike by both")
    return cell_of(value, n, within_items(times @ sums))


def _preference_accuracy(units: Units, dimension: Dimension, seed: int) -> dict[str, Any]:
    if dimension.name == PREFERENCE:
        right, pairs = _pair_scores(units)
    else:
        right, pairs = _mark_scores(units)
    there = pairs > 0
    if not there.any():
        return undefined(0, "people prefer no answer to another one of the same question")
    return statistics.ratio(right[there].tolist(), pairs[there].tolist(), seed)


def _pair_scores(units: Units) -> tuple[Floats, Floats]:
    """Return, by unit, what the judge has right and whether people prefer one of the two."""
    judge, people = np.sign(np.round(units.marks - 0.5, 12))
    return np.where(people != 0, (judge * people + 1) / 2, 0.0), np.abs(people)


def _mark_scores(units: Units) -> tuple[Floats, Floats]:
    """Return, by item, how many preferences the judge has right, a tie a half, and of how many."""
    judge, people = units.marks
    both = within_item_sums(judge, people, units)
    # Of people's n preferences, r agree, w are the other way round, the rest are the judge's ties:
    # r + (n - r - w) / 2 = (n + (r - w)) / 2.
    return (both[:, 2] + both[:, 0]) / 2, both[:, 2]


def _over_systems(units: Units, times: Floats) -> dict[str, Any]:
    count = len(units.system_names)
    if count < _FEWEST_SYSTEMS:
        gone = undefined(count, "fewer than three systems")
        return {"system_spearman": gone, "system_kendall_tau_b": gone}
    once = np.ones((1, units.item_count))
    rho, tau = (each[0] for each in _system_figures(units, once))
    if np.isnan(rho):
        gone = undefined(count, "all systems have one mean: no variance")
        return {"system_spearman": gone, "system_kendall_tau_b": gone}
    rhos, taus = _system_figures(units, times)
    return {
        "system_spearman": cell_of(float(rho), count, rhos),
        "system_kendall_tau_b": cell_of(float(tau), count, taus),
    }


def _system_figures(units: Units, times: Floats) -> tuple[Floats, Floats]:
    """Return Spearman's rho and tau-b (samples,) of the systems' means; nan where undefined."""
    judge, people = (_system_means(marks, units, times) for marks in units.marks)
    ranks = [rankdata(means, axis=1) for means in (judge, people)]
    centred = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    first, second = np.triu_indices(judge.shape[1], 1)
    signs = [np.sign(means[:, first] - means[:, second]) for means in (judge, people)]
    # A system of which no item was drawn has no mean, and that sample no figure.
    known = np.asarray(~np.isnan(judge).any(axis=1))
    rho, tau = (_product(one, other, known) for one, other in (centred, signs))
    return rho, tau


def _product(one: Floats, other: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    below = np.sqrt(np.square(one).sum(axis=1) * np.square(other).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(known & (below > 0), (one * other).sum(axis=1) / below, np.nan)
    return np.clip(found, -1.0, 1.0)


def _system_means(marks: Floats, units: Units, times: Floats) -> Floats:
    """Return (samples, systems)."""
    sums = np.zeros((2, units.item_count, len(units.system_names)))
    sums[0, units.items, units.systems] = marks
    sums[1, units.items, units.systems] = 1
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = np.round((times @ sums[0]) / (times @ sums[1]), 12)
    return means


def _mean_difference(differences: Floats, units: Units, times: Floats) -> dict[str, Any]:
    sums = np.zeros((units.item_count, 2))
    np.add.at(sums, units.items, np.column_stack([differences, np.ones(len(differences))]))
    drawn = times @ sums
    value = float(differences.mean())
    return cell_of(value, len(differences), drawn[:, 0] / drawn[:, 1])
