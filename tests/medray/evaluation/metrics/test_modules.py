from __future__ import annotations

from typing import Any

import pytest

from medray.errors import InputError
from medray.evaluation.metrics.modules import (
    BertScore,
    EntityScores,
    LabelScores,
    SpanScores,
    TextScores,
)
from medray.evaluation.metrics.text import NAMES, text_scores

ROWS = [
    ("the heart beats", "the heart is beating", "en"),
    ("急性心肌梗死", "心肌梗死", "zh"),
    ("", "nichts", "fr"),
]
COLUMNS = tuple(map(list, zip(*ROWS, strict=True)))


def compute(**options: Any) -> dict[str, Any]:
    predictions, references, languages = COLUMNS
    found: dict[str, Any] = TextScores(keep_in_memory=True).compute(
        predictions=predictions, references=references, languages=languages, **options
    )
    return found


def test_it_gives_the_mean_of_each_text_metric() -> None:
    each = text_scores(*COLUMNS)  # type: ignore[arg-type]
    assert compute() == pytest.approx({name: sum(each[name]) / 3 for name in NAMES})


def test_it_gives_each_rows_value_where_asked() -> None:
    names = ("rouge_l", "bleu_1")
    assert compute(per_item=True, names=names) == text_scores(*COLUMNS, names=names)  # type: ignore[misc]


def test_batches_may_be_added_one_by_one() -> None:
    metric = TextScores(keep_in_memory=True)
    for prediction, reference, language in ROWS:
        metric.add_batch(predictions=[prediction], references=[reference], languages=[language])
    assert metric.compute() == pytest.approx(compute())


def test_a_row_may_have_several_references() -> None:
    found = TextScores(keep_in_memory=True).compute(
        predictions=["renal failure", "asthma"],
        references=[["kidney", "renal failure"], ["asthma"]],
        languages=["en", "en"],
        names=["exact_match"],
    )
    assert found == {"exact_match": 1}


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="Mismatch in the number"):
        TextScores(keep_in_memory=True).compute(
            predictions=["a", "b"], references=["a"], languages=["en", "en"]
        )


def test_entities() -> None:
    found = EntityScores(keep_in_memory=True).compute(
        predictions=[["aspirin", "x"], []], references=[["Aspirin"], ["heparin"]]
    )
    assert found == {"precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_entities_as_published() -> None:
    found = EntityScores(keep_in_memory=True).compute(
        predictions=["ibuprofen, aspirin."], references=["aspirin, ibuprofen."], mode="as-published"
    )
    assert found == {"precision": 0, "recall": 0, "f1": 0}


def test_spans() -> None:
    found = SpanScores(keep_in_memory=True).compute(
        predictions=[["B-DI", "I-DI", "O", "O"]], references=[["B-DI", "I-DI", "O", "I-DI"]]
    )
    assert found == pytest.approx(
        {"precision": 1, "recall": 0.5, "f1": 2 / 3, "token_accuracy": 0.75}
    )


def test_labels() -> None:
    found = LabelScores(keep_in_memory=True).compute(
        predictions=[["a"], []], references=[["a"], ["b"]], labels=["a", "b"]
    )
    assert found == pytest.approx(
        {
            "exact_set": 0.5,
            "hamming_loss": 0.25,
            "micro_precision": 1,
            "micro_recall": 0.5,
            "micro_f1": 2 / 3,
            "macro_precision": 0.5,
            "macro_recall": 0.5,
            "macro_f1": 0.5,
        }
    )


def test_bertscore_wants_a_folder() -> None:
    with pytest.raises(InputError, match="no model folder is given"):
        BertScore(keep_in_memory=True).compute(predictions=["a"], references=["a"])
