"""Right sets of labels: exact, by the share that is wrong, and counts for each label.

One label an item or many: an item is a set of labels. An unparsed answer is the empty set, so its
right label is missed and no other is given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from medray.errors import InputError
from medray.evaluation.metrics.counts import Counts
from medray.recipe import nearest


def exact_set(predicted: Sequence[Collection[str]], gold: Sequence[Collection[str]]) -> list[float]:
    """Return 1 for each item whose labels are exactly the right ones, else 0 (subset accuracy)."""
    return [float(set(a) == set(b)) for a, b in zip(predicted, gold, strict=True)]


def hamming_loss(
    predicted: Sequence[Collection[str]],
    gold: Sequence[Collection[str]],
    labels: Sequence[str],
) -> list[float]:
    """Return the share of ``labels`` that each item has wrong: given and not right, or missed."""
    wrong = label_counts(predicted, gold, labels)[:, :, 1:].sum(axis=(1, 2))
    return [float(value) for value in wrong / max(len(labels), 1)]


def label_counts(
    predicted: Sequence[Collection[str]],
    gold: Sequence[Collection[str]],
    labels: Sequence[str],
) -> Counts:
    """Return (items, labels, 3): whether each label is a true or false positive, or missed.

    ``counts.LABEL_STATISTICS`` gives micro and macro precision, recall and F1 of the sums, as
    scikit-learn does with ``labels`` and ``zero_division=0``: a label that is never given nor
    right has F1 0 and counts in the macro mean. A predicted label that is none of ``labels``
    counts for nothing. ``InputError`` where a right one is none.
    """
    number = {label: place for place, label in enumerate(labels)}
    given = np.zeros((len(gold), len(labels)), np.bool_)
    right = np.zeros_like(given)
    for item, (mine, theirs) in enumerate(zip(predicted, gold, strict=True)):
        given[item, [number[label] for label in mine if label in number]] = True
        for label in theirs:
            if label not in number:
                raise InputError(f"item {item}: no label {label!r}{nearest(label, list(labels))}")
            right[item, number[label]] = True
    return np.stack([given & right, given & ~right, right & ~given], axis=2).astype(np.int64)
