"""Metrics of entities: by name, and as spans of a tag a token."""

from __future__ import annotations

from medray.errors import InputError
from medray.evaluation.metrics.counts import ENTITY_STATISTICS, share
from medray.evaluation.metrics.entities import (
    entity_counts,
    published_entity_counts,
    span_counts,
    token_counts,
)
from medray.evaluation.scoring.answered import Answered
from medray.evaluation.scoring.measures import Measure
from medray.evaluation.scoring.reading import MISSING

# MedS-Ins's tasks teach to write so where there is no entity, spelt as the script wants it.
_NO_ENTITY = "There is no related enetity."


def entity_statistics(answered: Answered) -> list[Measure]:
    """Micro precision, recall and F1 of entities by name."""
    if _tagged(answered):
        answered.left_out["micro_f1"] = "outputs are tags; see entity_f1"
        return []
    if answered.mode == "as-published":
        outputs = [r.text if r.rule != MISSING else None for r in answered.readings]
        gold = [f"{', '.join(i.answers)}." if i.answers else _NO_ENTITY for i in answered.items]
        counts = published_entity_counts(outputs, gold)
    else:
        counts = entity_counts(
            [reading.answers for reading in answered.readings],
            [item.answers for item in answered.items],
        )
    return [answered.measure(f"micro_{n}", counts, s) for n, s in ENTITY_STATISTICS.items()]


def spans(answered: Answered) -> list[Measure]:
    """Precision, recall and F1 of spans, and the share of right tags; seqeval's default."""
    if not _tagged(answered):
        answered.left_out["entity_f1"] = "wants outputs that are a list with a tag for each token"
        return []
    tags = [
        r.tags or ("O",) * len(i.tags)
        for i, r in zip(answered.items, answered.readings, strict=True)
    ]
    gold = [item.tags for item in answered.items]
    counts = span_counts(tags, gold)
    found = [answered.measure(f"entity_{n}", counts, s) for n, s in ENTITY_STATISTICS.items()]
    return [*found, answered.measure("token_accuracy", token_counts(tags, gold), share)]


def _tagged(answered: Answered) -> bool:
    """Say whether outputs are tags; InputError where some are and some are texts."""
    given = [reading for reading in answered.readings if reading.rule != MISSING]
    tagged = sum(reading.tags is not None for reading in given)
    if 0 < tagged < len(given):
        raise InputError(
            f"{tagged} outputs are lists of tags, {len(given) - tagged} are texts; give one kind"
        )
    return tagged > 0
