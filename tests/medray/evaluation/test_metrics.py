from __future__ import annotations

import pytest

from medray.evaluation.metrics import RationaleSimilarity
from medray.evaluation.similarity import NAMES, similarity

ROWS = [
    ("the heart beats", "the heart is beating", "en"),
    ("急性心肌梗死", "心肌梗死", "zh"),
    ("", "nichts", "fr"),
]


def compute(**options: bool) -> dict[str, object]:
    predictions, references, languages = map(list, zip(*ROWS, strict=True))
    found: dict[str, object] = RationaleSimilarity(keep_in_memory=True).compute(
        predictions=predictions, references=references, languages=languages, **options
    )
    return found


def test_it_gives_the_mean_of_each_value() -> None:
    single = [similarity(*row) for row in ROWS]
    expected = {name: sum(row[name] for row in single) / 3 for name in NAMES}
    assert compute() == pytest.approx(expected)


def test_it_gives_each_rows_value_where_asked() -> None:
    single = [similarity(*row) for row in ROWS]
    assert compute(per_item=True) == {name: [row[name] for row in single] for name in NAMES}


def test_batches_may_be_added_one_by_one() -> None:
    metric = RationaleSimilarity(keep_in_memory=True)
    for prediction, reference, language in ROWS:
        metric.add_batch(predictions=[prediction], references=[reference], languages=[language])
    assert metric.compute() == pytest.approx(compute())


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="Mismatch in the number"):
        RationaleSimilarity(keep_in_memory=True).compute(
            predictions=["a", "b"], references=["a"], languages=["en", "en"]
        )
