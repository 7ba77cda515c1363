from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medray.errors import InputError
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.scoring.predictions import NO_PREDICTION, Prediction, read_predictions
from medray.storage.location import Location

EXAM = [
    Item(name, "en", "What?", ("A",), options={"A": "one", "B": "two"}) for name in ("q1", "q2")
]
SENTENCE = [Item("s", "en", "a b", (), "entities", tokens=("a", "b"), tags=("O", "O"))]


def read(folder: Path, rows: list[Any], items: list[Item], **options: Any) -> list[Prediction]:
    file = folder / "answers.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return read_predictions(Location.of(file), items, **options)


def test_rows_are_matched_by_id_and_may_be_missing(tmp_path: Path) -> None:
    rows = [{"item_id": "q2", "output": "B", "latency": 3}]
    assert read(tmp_path, rows, EXAM) == [NO_PREDICTION, Prediction("B")]


def test_numbers_are_ids_too_and_a_null_is_no_answer(tmp_path: Path) -> None:
    items = [Item(str(n), "en", "What?", ("A",), options={"A": "one"}) for n in range(2)]
    rows = [{"id": 0, "output": None}, {"id": 1, "output": ""}]
    assert read(tmp_path, rows, items) == [NO_PREDICTION, Prediction("")]


def test_a_json_list_is_read_like_lines(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps([{"id": "q1", "output": "A\u2028B"}]))
    assert read_predictions(Location.of(file), EXAM)[0].output == "A\u2028B"


def test_likelihoods_and_tags(tmp_path: Path) -> None:
    row = {"id": "q1", "likelihoods": {"A": -1, "B": -2.5}, "scored": "texts"}
    [first, _] = read(tmp_path, [row], EXAM)
    assert first == Prediction(None, {"A": -1.0, "B": -2.5}, "texts")
    assert read(tmp_path, [{"id": "s", "output": ["O", "B-X"]}], SENTENCE)[0].output == ("O", "B-X")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"output": "A"}, "row 1: no id"),
        ({"id": True, "output": "A"}, "row 1: no id"),
        ({"id": "q3", "output": "A"}, "no item 'q3' in this split; ids are like q1"),
        ({"id": "q1"}, "item q1 has neither output nor likelihoods"),
        ({"id": "q1", "output": 3}, "neither a text nor a list of tags"),
        ({"id": "q1", "output": ["O"]}, "this benchmark marks no tokens"),
        ({"id": "q1", "likelihoods": {"A": -1}}, "must name exactly the options: A, B"),
        ({"id": "q1", "likelihoods": {"A": -1, "B": 0.5}}, "of B: 0.5 is no log-likelihood"),
        ({"id": "q1", "likelihoods": {"A": -1, "B": float("nan")}}, "no log-likelihood"),
        ({"id": "q1", "likelihoods": {"A": -1, "B": -2}, "scored": "words"}, "scored is 'words'"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(tmp_path, [row], EXAM)


def test_a_row_twice_too_few_tags_and_a_missing_row(tmp_path: Path) -> None:
    row = {"id": "q1", "output": "A"}
    with pytest.raises(InputError, match="row 2: item q1 stands twice"):
        read(tmp_path, [row, row], EXAM)
    with pytest.raises(InputError, match="1 tags, but item s has 2 tokens"):
        read(tmp_path, [{"id": "s", "output": ["O"]}], SENTENCE)
    with pytest.raises(InputError, match="1 items have no row, the first q2"):
        read(tmp_path, [row], EXAM, all_answered=True)
    with pytest.raises(InputError, match="did you mean long-name-1"):
        items = [Item("long-name-1", "en", "What?", ("A",), options={"A": "one"})]
        read(tmp_path, [{"id": "long-nam-1", "output": "A"}], items)
