"""The similarity of rationales as a metric of the `evaluate` library; it needs no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from medray.evaluation.similarity import NAMES, similarity


class RationaleSimilarity(evaluate.Metric):
    """Mean bleu_1, rouge_1 and rouge_l over (prediction, reference, language) rows.

    With ``per_item=True`` it gives the list of each item's values instead of the mean.
    """

    def _info(self) -> Any:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="BLEU-1, ROUGE-1 and ROUGE-L with a tokeniser for each language",
            citation="",
            features=datasets.Features(
                {"predictions": text, "references": text, "languages": text}
            ),
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        languages: Sequence[str],
        per_item: bool = False,
    ) -> dict[str, Any]:
        rows = [similarity(*row) for row in zip(predictions, references, languages, strict=True)]
        values = {name: [row[name] for row in rows] for name in NAMES}
        if per_item:
            return dict(values)
        return {name: sum(scores) / len(scores) for name, scores in values.items()}
