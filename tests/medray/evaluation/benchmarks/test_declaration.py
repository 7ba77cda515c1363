from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medray.evaluation.benchmarks.declaration import Declaration

OWN: dict[str, Any] = {
    "name": "ward",
    "languages": ["en"],
    "form": "choice",
    "metrics": ["accuracy"],
    "columns": {"question": "stem", "options": {"columns": ["a", "b"]}, "answers": "key"},
    "splits": {"test": {"files": "ward.csv"}},
}


def test_a_split_of_one_part_may_be_written_without_parts() -> None:
    short = Declaration.model_validate(OWN | {"splits": {"test": {"count": 3, "files": "w.csv"}}})
    parts = [{"files": "w.csv"}]
    assert short == Declaration.model_validate(
        OWN | {"splits": {"test": {"count": 3, "parts": parts}}}
    )
    assert (short.scored_split, short.licence) == ("test", "not stated")


def test_without_a_split_called_test_the_first_is_scored() -> None:
    splits = {"validation": {"files": "a.csv"}, "train": {"files": "b.csv"}}
    assert Declaration.model_validate(OWN | {"splits": splits}).scored_split == "validation"


ANSWERED = {"question": "q", "answers": "a"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Ward 3"}, "should match pattern"),
        ({"metrics": ["acuracy"]}, "Input should be 'accuracy'"),
        ({"languages": []}, "at least 1 item"),
        ({"languages": ["xx"]}, "language xx is none of en, zh"),
        ({"languages": ["en", "fr"]}, "of which of the languages is ward.csv"),
        ({"form": "number"}, "Input should be 'choice'"),
        ({"columns": None}, "columns are missing"),
        ({"columns": ANSWERED}, "form choice wants columns.options"),
        ({"columns": {"question": "q", "options": "o"}}, "there is no metric but judge"),
        ({"columns": {"answers": "a"}}, "exactly one of question and iob"),
        ({"columns": {"iob": {}, "answers": "a"}}, "iob tells the answers"),
        ({"columns": {"iob": {}, "options": "o"}}, "iob tells the answers"),
        ({"form": "text", "columns": {"iob": {}}}, "columns.iob wants form entities"),
        ({"columns": ANSWERED | {"options": {"column": "o", "columns": ["a"]}}}, "exactly one of"),
        ({"columns": ANSWERED | {"options": {}}}, "exactly one of column, columns"),
        ({"splits": {}}, "at least 1 item"),
        ({"splits": {"test": {"count": 3}}}, "either files or benchmark"),
        ({"splits": {"test": {"files": "a.csv", "benchmark": "medqa"}}}, "either files or bench"),
        ({"splits": {"test": {"files": "a", "format": "csv", "reader": "x"}}}, "either format or"),
        ({"splits": {"test": {"files": "a.csv", "language": "xx"}}}, "language xx is none of"),
        ({"splits": {"test": {"files": "a.csv", "counts": 3}}}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Declaration.model_validate(OWN | changes)
