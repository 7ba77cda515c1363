"""The 95 % interval of a proportion, for every part that tells one."""

from __future__ import annotations

import math
from typing import Any

# Two-sided 95 % quantile of the normal distribution.
Z_95 = 1.959963984540054


def proportion(successes: int, count: int) -> dict[str, Any]:
    """Return {value, n, low, high} of a proportion, with Wilson's interval."""
    if count == 0:
        return {"value": None, "n": 0, "low": None, "high": None}
    share = successes / count
    return estimate(share, count, *wilson(share, count))


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a share of ``count`` trials.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference". It
    holds for the small n of a smoke test, where a bootstrap of 0 of 8 would claim certainty.
    """
    z2 = Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return middle - half, middle + half


def estimate(value: float, count: int, low: float, high: float) -> dict[str, Any]:
    """Return {value, n, low, high} with the ends held inside 0..1 and around the value."""
    # Rounding puts the low end of Wilson's 0 of 3 at 5.6e-17, above the value itself.
    low, high = min(value, max(0.0, low)), max(value, min(1.0, high))
    return {"value": value, "n": count, "low": low, "high": high}
