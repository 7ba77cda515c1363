"""Metrics of letters and labels: right sets, shares of letters, points, F1 over labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medray.evaluation.metrics.counts import LABEL_STATISTICS, share
from medray.evaluation.metrics.labels import label_counts
from medray.evaluation.scoring.answered import Answered, is_right
from medray.evaluation.scoring.measures import Measure, guess_chance


def accuracy(answered: Answered, name: str = "accuracy") -> Measure:
    """Return whether each item's answer is right, and how often a guess is."""
    rows = list(zip(answered.items, answered.readings, strict=True))
    right = np.array([is_right(item, reading) for item, reading in rows], np.float64)
    chances = None
    if answered.declaration.form in ("choice", "choices", "label"):
        chances = np.array([guess_chance(item) for item in answered.items])
    return Measure(name, answered.places, right, None, chances)


def hamming(answered: Answered) -> list[Measure]:
    """FrenchMedMCQA's Hamming score: letters given and right over letters given or right.

    Labrak et al. 2022; not 1 less the Hamming loss.
    """
    values = [
        1.0 if is_right(item, reading) else _overlap(set(reading.answers), set(item.answers))
        for item, reading in zip(answered.items, answered.readings, strict=True)
    ]
    return [answered.measure("hamming_score", values)]


def _overlap(given: set[str], right: set[str]) -> float:
    return len(given & right) / max(len(given | right), 1)


def points(answered: Answered) -> list[Measure]:
    rows = zip(answered.items, answered.readings, strict=True)
    won = [(item.points * is_right(item, reading), item.points) for item, reading in rows]
    return [answered.measure("points", np.array(won).reshape(-1, 2), share)]


def label_statistics(answered: Answered, names: Sequence[str]) -> list[Measure]:
    if any(reading.right is not None for reading in answered.readings):
        answered.left_out |= dict.fromkeys(names, "the published rule tells right from wrong only")
        return []
    labels = list(dict.fromkeys(label for item in answered.items for label in item.options))
    counts = label_counts(
        [reading.answers for reading in answered.readings],
        [item.answers for item in answered.items],
        labels,
    )
    return [answered.measure(name, counts, LABEL_STATISTICS[name]) for name in names]
