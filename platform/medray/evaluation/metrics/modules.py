"""The metrics as modules of the `evaluate` library: local classes, nothing to download.

They give values. For intervals and comparisons take the counts and values of each item, and
``statistics`` and ``comparison``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import evaluate

from medray.evaluation.metrics import entities
from medray.evaluation.metrics.counts import (
    ENTITY_STATISTICS,
    LABEL_STATISTICS,
    Counts,
    Statistic,
    share,
)
from medray.evaluation.metrics.labels import exact_set, hamming_loss, label_counts
from medray.evaluation.metrics.text import NAMES, Mode, text_scores

_TEXT = datasets.Value("string")
_LIST = datasets.List(_TEXT)


def _info(description: str, *features: dict[str, Any]) -> Any:
    forms = [datasets.Features(form) for form in features]
    return evaluate.MetricInfo(
        description=description, citation="", features=forms if len(forms) > 1 else forms[0]
    )


class TextScores(evaluate.Metric):
    """Means of text metrics over (prediction, reference or references, language) rows.

    ``compute`` takes ``names`` and ``mode`` as ``text_scores`` does. With ``per_item=True`` it
    gives the list of each item's values instead of the mean.
    """

    def _info(self) -> Any:
        row = {"predictions": _TEXT, "languages": _TEXT}
        return _info(
            "BLEU, ROUGE, exact match and token F1 with a tokeniser for each language",
            row | {"references": _TEXT},
            row | {"references": _LIST},
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str | Sequence[str]],
        languages: Sequence[str],
        names: Sequence[str] = NAMES,
        mode: Mode = "correct",
        per_item: bool = False,
    ) -> dict[str, Any]:
        values = text_scores(predictions, references, languages, names, mode)
        if per_item:
            return dict(values)
        return {name: _mean(scores) for name, scores in values.items()}


class EntityScores(evaluate.Metric):
    """Micro precision, recall and F1 over rows of entities found and entities that are there.

    Rows are lists of names. With ``mode="as-published"`` rows are whole answers and whole gold
    texts, and MedS-Ins's defect is kept: see ``entities.published_entity_counts``.
    """

    def _info(self) -> Any:
        return _info(
            "Micro precision, recall and F1 of entities",
            {"predictions": _TEXT, "references": _TEXT},
            {"predictions": _LIST, "references": _LIST},
        )

    def _compute(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        mode: Mode = "correct",
        repeated: bool = False,
    ) -> dict[str, float]:
        if mode == "as-published":
            counts = entities.published_entity_counts(predictions, references)
        else:
            counts = entities.entity_counts(predictions, references, repeated)
        return _of_sums(counts, ENTITY_STATISTICS)


class SpanScores(evaluate.Metric):
    """Micro precision, recall, F1 and token accuracy over rows of IOB tags, a tag a token."""

    def _info(self) -> Any:
        return _info(
            "Entity spans of IOB tags as seqeval counts them by default, and token accuracy",
            {"predictions": _LIST, "references": _LIST},
        )

    def _compute(
        self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        counts = entities.span_counts(predictions, references)
        tokens = entities.token_counts(predictions, references)
        return _of_sums(counts, ENTITY_STATISTICS) | _of_sums(tokens, {"token_accuracy": share})


class LabelScores(evaluate.Metric):
    """Exact sets, Hamming loss, micro and macro precision, recall and F1 over rows of labels.

    ``compute`` wants ``labels``, all that there are. One label a row is a list of one.
    """

    def _info(self) -> Any:
        return _info(
            "Multi-label scores as scikit-learn counts them, zero_division 0",
            {"predictions": _LIST, "references": _LIST},
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        labels: Sequence[str],
    ) -> dict[str, float]:
        return {
            "exact_set": _mean(exact_set(predictions, references)),
            "hamming_loss": _mean(hamming_loss(predictions, references, labels)),
        } | _of_sums(label_counts(predictions, references, labels), LABEL_STATISTICS)


class BertScore(evaluate.Metric):
    """Mean BERTScore precision, recall and F1 over (prediction, reference) rows.

    ``compute`` wants ``folder``, a local encoder; ``layer``, ``idf``, ``device`` and
    ``batch_size`` as ``bertscore`` takes them. With ``per_item=True`` it gives lists.
    """

    def _info(self) -> Any:
        return _info(
            "BERTScore by a model of a local folder", {"predictions": _TEXT, "references": _TEXT}
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        folder: Path | str | None = None,
        layer: int | None = None,
        idf: bool = False,
        device: str = "cpu",
        batch_size: int = 32,
        per_item: bool = False,
    ) -> dict[str, Any]:
        from medray.evaluation.metrics.bertscore import BertScorer

        scorer = BertScorer.load(folder, layer, device, batch_size)
        found = scorer.scores(predictions, references, idf)
        values = {"precision": found.precision, "recall": found.recall, "f1": found.f1}
        if per_item:
            return values
        return {name: _mean(scores) for name, scores in values.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _of_sums(counts: Counts, statistics: dict[str, Statistic]) -> dict[str, float]:
    sums = counts.sum(axis=0)
    return {name: float(statistic(sums)) for name, statistic in statistics.items()}
