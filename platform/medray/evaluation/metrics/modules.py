"""The metrics as modules of the `evaluate` library: local classes, nothing to download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from medray.evaluation.metrics.text import NAMES, Mode, text_scores

_TEXT = datasets.Value("string")


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
            row | {"references": datasets.List(_TEXT)},
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
        return {name: sum(scores) / len(scores) for name, scores in values.items()}
