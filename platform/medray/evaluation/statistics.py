"""Estimates with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# Two-sided 95 % quantile of the normal distribution.
Z_95 = 1.959963984540054
BOOTSTRAP_SAMPLES = 2000


def proportion(successes: int, count: int) -> dict[str, Any]:
    """Return {value, n, low, high} of a proportion, with Wilson's interval.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference". It
    holds for the small n of a smoke test, where a bootstrap of 0 of 8 would claim certainty.
    """
    if count == 0:
        return {"value": None, "n": 0, "low": None, "high": None}
    share, z2 = successes / count, Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    # Rounding puts the low end of 0 of 3 at 5.6e-17, above the value itself.
    low, high = min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))
    return {"value": share, "n": count, "low": low, "high": high}


def mean(values: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """Return {value, n, low, high} of a mean, with the percentile bootstrap's interval."""
    if not values:
        return {"value": None, "n": 0, "low": None, "high": None}
    array = np.asarray(values, np.float64)
    generator = np.random.default_rng(seed)
    means = [
        float(array[generator.integers(0, len(array), len(array))].mean())
        for _ in range(BOOTSTRAP_SAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"value": float(array.mean()), "n": len(array), "low": float(low), "high": float(high)}
