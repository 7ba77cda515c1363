"""Rank correlations from tables of counts, many tables at once: what a bootstrap needs.

``scipy.stats`` takes the marks of one sample; a table of how often each two values meet gives the
same figures for 2,000 samples in one go. Tests hold both equal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def kendall_tau_b(tables: Floats) -> Floats:
    """Return tau-b of tables (..., values of one, values of the other); nan without variance.

    Kendall (1945), "The treatment of ties in ranking problems".
    """
    both = tables[..., ::-1, :].cumsum(axis=-2)[..., ::-1, :]
    above = both[..., ::-1].cumsum(axis=-1)[..., ::-1]
    below = both.cumsum(axis=-1)
    concordant = (tables[..., :-1, :-1] * above[..., 1:, 1:]).sum(axis=(-2, -1))
    discordant = (tables[..., :-1, 1:] * below[..., 1:, :-1]).sum(axis=(-2, -1))
    untied = [_pairs_untied(tables.sum(axis=axis)) for axis in (-1, -2)]
    return _over(concordant - discordant, np.sqrt(untied[0] * untied[1]))


def spearman(tables: Floats) -> Floats:
    """Return Spearman's rho of tables (..., values of one, values of the other), ties at mid-rank.

    nan without variance.
    """
    total = tables.sum(axis=(-2, -1))
    first, second = (_centred_ranks(tables.sum(axis=axis), total) for axis in (-1, -2))
    shared: Floats = (tables * first[..., :, None] * second[..., None, :]).sum(axis=(-2, -1))
    spreads = [
        (tables.sum(axis=axis) * np.square(ranks)).sum(axis=-1)
        for axis, ranks in ((-1, first), (-2, second))
    ]
    return _over(shared, np.sqrt(spreads[0] * spreads[1]))


def _pairs_untied(margins: Floats) -> Floats:
    total = margins.sum(axis=-1)
    untied: Floats = (total * (total - 1) - (margins * (margins - 1)).sum(axis=-1)) / 2
    return untied


def _centred_ranks(margins: Floats, total: Floats) -> Floats:
    ranks: Floats = margins.cumsum(axis=-1) - margins / 2 - total[..., None] / 2
    return ranks


def _over(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(denominator > 0, numerator / denominator, np.nan)
    return np.clip(found, -1.0, 1.0)
