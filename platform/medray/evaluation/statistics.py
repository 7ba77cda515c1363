"""Means, and statistics of summed counts, with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medray.evaluation.metrics.counts import Statistic, share
from medray.intervals import estimate, wilson

# 1 - confidence.
MISS_SHARE = 0.05
BOOTSTRAP_SAMPLES = 2000
_BLOCK_NUMBERS = 4_000_000
# Equal sums in another order of addition differ by some 1e-16.
NO_SPREAD = 1e-12

Floats = npt.NDArray[np.float64]


def mean(values: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """Return {value, n, low, high} of the mean of values in 0..1.

    The interval is the percentile bootstrap's where the values differ. Where they do not (one
    value, eight zeros) resampling shows no spread, and it is Hoeffding's bound, which asks only
    that values lie in 0..1. ``ValueError`` for a value that does not.
    """
    return _stratified([values] if values else [], seed)


def macro_mean(groups: Sequence[Sequence[float]], seed: int = 0) -> dict[str, Any]:
    """Return {value, n, low, high, languages} of the unweighted mean of the groups' means.

    A group holds one language's values, each in 0..1; an empty one is left out. ``n`` counts the
    values, ``languages`` the groups that are in. The interval is the percentile bootstrap's,
    resampled within each group, where some group's values differ, else Hoeffding's bound.
    ``ValueError`` for a value outside 0..1.
    """
    present = [group for group in groups if group]
    return _stratified(present, seed) | {"languages": len(present)}


def of_sums(items: npt.ArrayLike, statistic: Statistic, seed: int = 0) -> dict[str, Any]:
    """Return {value, n, low, high} of a statistic of the items' sums, in 0..1.

    ``items``: (items, columns ...), such as each text's true and false positives; ``statistic``
    takes sums (..., columns ...) and returns (...), such as ``metrics.counts.f1``. The interval is
    the percentile bootstrap's over items, texts and all that is in them. Where resampling shows no
    spread (one item, or all alike) it is Wilson's, with an item for a trial: it would be exact for
    items of one entity each, and is too wide for more.
    """
    return _of_sums([np.asarray(items, np.float64)], statistic, seed)


def macro_of_sums(
    groups: Sequence[npt.ArrayLike], statistic: Statistic, seed: int = 0
) -> dict[str, Any]:
    """Return {value, n, low, high, languages} of the unweighted mean of the groups' statistics.

    A group holds one language's items, shaped as in ``of_sums`` and resampled within it; an empty
    one is left out.
    """
    arrays = [np.asarray(group, np.float64) for group in groups]
    present = [array for array in arrays if len(array)]
    return _of_sums(present, statistic, seed) | {"languages": len(present)}


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], seed: int = 0
) -> dict[str, Any]:
    """Return {value, n, low, high} of the sum of ``numerators`` over that of ``denominators``.

    Items are resampled with both of their parts: points won of points to win, right tokens of all.
    """
    return of_sums(np.column_stack([numerators, denominators]), share, seed)


def resampled_sums(
    items: Floats, generator: np.random.Generator, samples: int = BOOTSTRAP_SAMPLES
) -> Floats:
    """Return (samples, columns ...): the sums of so many draws, with replacement, of all items."""
    count = len(items)
    flat = items.reshape(count, -1)
    sums = np.empty((samples, flat.shape[1]))
    first = 0
    for times in resampled_times(count, generator, samples):
        sums[first : first + len(times)] = times @ flat
        first += len(times)
    return sums.reshape(samples, *items.shape[1:])


def resampled_times(
    count: int, generator: np.random.Generator, samples: int = BOOTSTRAP_SAMPLES
) -> Iterator[Floats]:
    """Yield (samples of a block, count): how often each item is drawn, with replacement.

    A block holds 4 million numbers, 32 MB.
    """
    block = max(1, _BLOCK_NUMBERS // count)
    for first in range(0, samples, block):
        rows = min(block, samples - first)
        draws = generator.integers(0, count, (rows, count), np.int64)
        draws += np.arange(rows)[:, None] * count
        times = np.bincount(draws.ravel(), minlength=rows * count).reshape(rows, count)
        yield times.astype(np.float64)


def _of_sums(groups: Sequence[Floats], statistic: Statistic, seed: int) -> dict[str, Any]:
    if not groups or not len(groups[0]):
        return {"value": None, "n": 0, "low": None, "high": None}
    count = sum(map(len, groups))
    value = float(np.mean([statistic(group.sum(axis=0)) for group in groups]))
    generator = np.random.default_rng(seed)
    values = np.mean([statistic(resampled_sums(g, generator)) for g in groups], axis=0)
    low, high = (float(end) for end in np.percentile(values, [2.5, 97.5]))
    if high - low < NO_SPREAD:
        low, high = wilson(value, count)
    return estimate(value, count, low, high)


def _stratified(groups: Sequence[Sequence[float]], seed: int) -> dict[str, Any]:
    """Estimate the mean of the means of groups, none of them empty; of one group, its mean."""
    if not groups:
        return {"value": None, "n": 0, "low": None, "high": None}
    arrays = [np.asarray(group, np.float64) for group in groups]
    for array in arrays:
        # Not the other way round: of nan every comparison is false.
        if not np.all((array >= 0) & (array <= 1)):
            raise ValueError("a value lies outside 0..1")
    value = float(np.mean([array.mean() for array in arrays]))
    if any(array.min() < array.max() for array in arrays):
        generator = np.random.default_rng(seed)
        means = np.mean([_resampled_means(array, generator) for array in arrays], axis=0)
        low, high = (float(end) for end in np.percentile(means, [2.5, 97.5]))
    else:
        half = hoeffding_half_width([len(array) for array in arrays])
        low, high = value - half, value + half
    return estimate(value, sum(len(array) for array in arrays), low, high)


def _resampled_means(values: Floats, generator: np.random.Generator) -> Floats:
    count = len(values)
    draws = (generator.integers(0, count, count) for _ in range(BOOTSTRAP_SAMPLES))
    return np.array([values[draw].mean() for draw in draws])


def hoeffding_half_width(counts: Sequence[int]) -> float:
    """Return the t that the mean of L group means misses by with at most 5 % probability.

    Hoeffding (1963), "Probability inequalities for sums of bounded random variables", theorem 2:
    P(|S - E S| >= t) <= 2 exp(-2 t^2 / sum c_i^2) for independent terms with ranges c_i. An item
    of group l adds a term of range 1 / (L n_l), so sum c_i^2 = sum over l of 1 / (L^2 n_l).
    """
    ranges = sum(1 / (len(counts) ** 2 * count) for count in counts)
    return math.sqrt(math.log(2 / MISS_SHARE) / 2 * ranges)
