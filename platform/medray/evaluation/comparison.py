"""Is one model better than another on the same items: difference, interval, p value.

The difference is the first model's value less the second's. Its 95 % interval is the percentile
bootstrap's of paired items: a resample draws the same items for both. The two-sided p value is
the permutation test's: if the models were alike, which of the two gave which answer to an item
would be chance, so every item's answers are exchanged or not, by a coin (for means: the signs of
the differences are flipped). Noreen (1989), "Computer-intensive methods for testing hypotheses".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medray.evaluation.metrics.counts import Statistic, share
from medray.evaluation.statistics import (
    NO_SPREAD,
    Floats,
    hoeffding_half_width,
    resampled_sums,
)

# p is known to 1 / 10,001. Below, all exchanges are tried: 8192 of 13 items that differ.
PERMUTATIONS = 10_000
_BLOCK_NUMBERS = 4_000_000

Comparison = dict[str, Any]
Pair = tuple[Floats, Floats]


def compare_means(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Comparison:
    """Return {difference, n, low, high, p_value, test} of the means of values in 0..1.

    Where all values are 0 or 1, p is McNemar's exact: of the items that one alone has right, is
    the split other than a fair coin's (McNemar 1947, binomial form).
    """
    pair = _pair(first, second)
    found = _compare([_with_ones(pair)], share, seed)
    if found["n"] and all(np.isin(values, (0, 1)).all() for values in pair):
        found |= {"p_value": _mcnemar(*pair), "test": "McNemar, exact"}
    return found


def compare_macro_means(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], seed: int = 0
) -> Comparison:
    """Return the same of the unweighted means of the groups' means, a language's values each."""
    pairs = [_with_ones(_pair(a, b)) for a, b in zip(first, second, strict=True)]
    return _compare(pairs, share, seed)


def compare_sums(
    first: npt.ArrayLike, second: npt.ArrayLike, statistic: Statistic, seed: int = 0
) -> Comparison:
    """Return the same of a statistic in 0..1 of the items' sums, as ``statistics.of_sums`` has it.

    ``first``, ``second``: (items, columns ...), such as each text's true and false positives.
    """
    return _compare([_pair(first, second)], statistic, seed)


def compare_macro_sums(
    first: Sequence[npt.ArrayLike],
    second: Sequence[npt.ArrayLike],
    statistic: Statistic,
    seed: int = 0,
) -> Comparison:
    """Return the same of the unweighted mean of the groups' statistics, a language's items each."""
    pairs = [_pair(a, b) for a, b in zip(first, second, strict=True)]
    return _compare(pairs, statistic, seed)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return p values corrected for there being many, by Holm's step-down rule.

    The smallest of m is multiplied by m, the next by m - 1 ..., none below the one before. None,
    where nothing was measured, stays and does not count. Holm (1979), "A simple sequentially
    rejective multiple test procedure".
    """
    known = {name: p for name, p in p_values.items() if p is not None}
    corrected: dict[str, float] = {}
    least = 0.0
    for place, name in enumerate(sorted(known, key=lambda name: known[name])):
        least = max(least, min(1.0, (len(known) - place) * known[name]))
        corrected[name] = least
    return {name: corrected.get(name) for name in p_values}


def with_holm(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Return the comparisons, each with ``p_value_holm``: corrected for all of them."""
    corrected = holm({name: each["p_value"] for name, each in comparisons.items()})
    return {name: each | {"p_value_holm": corrected[name]} for name, each in comparisons.items()}


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> Pair:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"not the same items: {a.shape} of the first, {b.shape} of the second")
    return a, b


def _with_ones(pair: Pair) -> Pair:
    """Return columns of value and 1, whose ``share`` is the mean. ``ValueError`` outside 0..1."""
    for values in pair:
        if not np.all((values >= 0) & (values <= 1)):
            raise ValueError("a value lies outside 0..1")
    first, second = (np.column_stack([values, np.ones_like(values)]) for values in pair)
    return first, second


def _compare(groups: Sequence[Pair], statistic: Statistic, seed: int) -> Comparison:
    present = [pair for pair in groups if len(pair[0])]
    if not present:
        nothing = dict.fromkeys(("low", "high", "p_value", "test"))
        return {"difference": None, "n": 0, **nothing}
    generator = np.random.default_rng(seed)
    difference = float(_difference([(a.sum(0), b.sum(0)) for a, b in present], statistic))
    low, high = _interval(present, statistic, difference, generator)
    p_value, test = _permutation_test(present, statistic, difference, generator)
    return {
        "difference": difference,
        "n": sum(len(a) for a, _ in present),
        "low": low,
        "high": high,
        "p_value": p_value,
        "test": test,
    }


def _difference(sums: Sequence[Pair], statistic: Statistic) -> Floats:
    """Return the mean over groups of the statistics' differences, of sums (..., columns ...)."""
    each = [statistic(first) - statistic(second) for first, second in sums]
    return np.mean(each, axis=0)  # type: ignore[no-any-return]


def _interval(
    groups: Sequence[Pair], statistic: Statistic, difference: float, generator: np.random.Generator
) -> tuple[float, float]:
    drawn = [resampled_sums(np.stack(pair, axis=1), generator) for pair in groups]
    values = _difference([(sums[:, 0], sums[:, 1]) for sums in drawn], statistic)
    low, high = (float(end) for end in np.percentile(values, [2.5, 97.5]))
    if high - low < NO_SPREAD:
        # All items differ alike, or none does. A difference lies in -1..1, twice as wide as a
        # value; Hoeffding's bound holds for means, and is a cautious guess for other statistics.
        half = 2 * hoeffding_half_width([len(first) for first, _ in groups])
        low, high = difference - half, difference + half
    return max(-1.0, min(low, difference)), min(1.0, max(high, difference))


def _permutation_test(
    groups: Sequence[Pair], statistic: Statistic, difference: float, generator: np.random.Generator
) -> tuple[float, str]:
    """Return p and how it was found: all exchanges of items that differ, or random ones."""
    moves = [_moves(pair) for pair in groups]
    changing = sum(map(len, moves))
    exact = 2**changing <= PERMUTATIONS
    total = 2**changing if exact else PERMUTATIONS
    block = max(1, _BLOCK_NUMBERS // max(changing, 1))
    reached = 0
    for start in range(0, total, block):
        rows = min(block, total - start)
        if exact:
            numbers = np.arange(start, start + rows)[:, None]
            exchanged = (numbers >> np.arange(changing)) & 1
        else:
            exchanged = generator.integers(0, 2, (rows, changing), np.int8)
        values = _difference(_exchange(groups, moves, exchanged), statistic)
        reached += int(np.sum(np.abs(values) >= abs(difference) - NO_SPREAD))
    if exact:
        return reached / total, f"permutation of paired items, all {total}"
    return (1 + reached) / (1 + total), f"permutation of paired items, {total} random"


def _moves(pair: Pair) -> Floats:
    """Return (items that differ, columns): what an exchange adds to the first's sums."""
    moves = (pair[1] - pair[0]).reshape(len(pair[0]), -1)
    return moves[np.any(moves != 0, axis=1)]


def _exchange(
    groups: Sequence[Pair], moves: Sequence[Floats], exchanged: npt.NDArray[Any]
) -> list[Pair]:
    """Return both models' sums after each row of exchanges, 1 where an item's answers change."""
    sums, first = [], 0
    for (mine, theirs), move in zip(groups, moves, strict=True):
        here = exchanged[:, first : first + len(move)].astype(np.float64)
        moved = (here @ move).reshape(len(exchanged), *mine.shape[1:])
        sums.append((mine.sum(axis=0) + moved, theirs.sum(axis=0) - moved))
        first += len(move)
    return sums


def _mcnemar(first: Floats, second: Floats) -> float:
    # Imported here: scipy takes a third of a second, and most commands compare nothing.
    from scipy.stats import binomtest

    mine, theirs = int(np.sum(first > second)), int(np.sum(second > first))
    return float(binomtest(mine, mine + theirs).pvalue) if mine + theirs else 1.0
