"""Krippendorff's alpha: agreement of any number of raters, with missing marks.

Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability",
https://repository.upenn.edu/asc_papers/43. Formulae C and D there.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")


def coincidences(marks: Floats) -> tuple[Floats, Floats]:
    """Return the values that occur, and (units, values, values): each unit's coincidences.

    ``marks``: (raters, units), nan where missing. A unit of m marks adds 1 / (m - 1) for each
    ordered pair of its marks; one with fewer than two adds nothing.
    """
    values = np.unique(marks[~np.isnan(marks)])
    # counts: (units, values)
    counts = (marks[:, :, None] == values).sum(axis=0).astype(np.float64)
    number = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(len(values))
    pairs[:, diagonal, diagonal] -= counts
    weights = np.divide(1.0, number - 1, out=np.zeros_like(number), where=number > 1)
    return values, pairs * weights[:, None, None]


def alpha(matrix: Floats, values: Floats, level: Level) -> Floats:
    """Return alpha of coincidence matrices (..., values, values), summed over units.

    nan where all marks are of one value: then there is nothing to disagree about.
    """
    margins = matrix.sum(axis=-1)
    total = margins.sum(axis=-1)
    distances = _squared_distances(margins, values, level)
    observed = (matrix * distances).sum(axis=(-2, -1))
    products = margins[..., :, None] * margins[..., None, :]
    expected = (products * distances).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)


def _squared_distances(margins: Floats, values: Floats, level: Level) -> Floats:
    """Return (..., values, values): the squared distance of two values at a level."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return np.square(values[:, None] - values[None, :])
    # All marks from c to k, those of c and of k by half: a difference of mid-ranks.
    middle = np.cumsum(margins, axis=-1) - margins / 2
    return np.square(middle[..., :, None] - middle[..., None, :])
