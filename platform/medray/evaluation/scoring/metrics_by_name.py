"""What each metric that a declaration names is computed by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medray.evaluation.benchmarks.declaration import Metric
from medray.evaluation.metrics.counts import ENTITY_STATISTICS
from medray.evaluation.scoring.answered import Answered
from medray.evaluation.scoring.choice_metrics import accuracy, hamming, label_statistics, points
from medray.evaluation.scoring.entity_metrics import entity_statistics, spans
from medray.evaluation.scoring.measures import Measure
from medray.evaluation.scoring.text_metrics import (
    EXACT_METRICS,
    TEXT_METRICS,
    contains,
    text_measures,
)


def measures_of(answered: Answered) -> list[Measure]:
    """Return the measures of all metrics that the declaration names, in its order."""
    found: list[Measure] = []
    for name in answered.declaration.metrics:
        found += _METRICS[name](answered)
    return list({measure.name: measure for measure in found}.values())


def _prf(average: str, answered: Answered) -> list[Measure]:
    if answered.declaration.form == "entities":
        return entity_statistics(answered)
    return label_statistics(answered, [f"{average}_{name}" for name in ENTITY_STATISTICS])


def _judge(answered: Answered) -> list[Measure]:
    answered.left_out["judge"] = "told by a judge: medray judge"
    return []


_METRICS: dict[Metric, Callable[[Answered], list[Measure]]] = {
    "accuracy": lambda answered: [accuracy(answered)],
    "hamming": hamming,
    "macro_f1": partial(label_statistics, names=["macro_f1"]),
    "micro_prf": partial(_prf, "micro"),
    "macro_prf": partial(_prf, "macro"),
    "span_prf": spans,
    "text": partial(text_measures, names=TEXT_METRICS),
    "exact": partial(text_measures, names=EXACT_METRICS),
    "contains": contains,
    "points": points,
    "judge": _judge,
}
