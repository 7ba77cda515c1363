from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.judging.marks import Mark, of_pairs, read_files, write_marks
from medray.evaluation.judging.pairwise import Pair
from medray.storage.location import Location

MARK = Mark("Wang", "human", "bentsao", "1", "ours", "depth", 2.0)
ROW = {**MARK.__dict__}


def test_pairs_become_the_models_marks_and_unparsed_ones_none() -> None:
    pairs = [Pair("1", "win", "win"), Pair("2", "win", "tie"), Pair("3", None, "win")]
    found = of_pairs(pairs, "gpt", "alpacare", "ours")
    assert [(mark.item_id, mark.value) for mark in found] == [("1", 1.0), ("2", 0.75)]
    assert {(m.rater, m.kind, m.system, m.dimension) for m in found} == {
        ("gpt", "model", "ours", "preference")
    }


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), unique=True, min_size=1, max_size=5))
def test_marks_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str, str]]
) -> None:
    marks = [Mark(rater, "human", "p", item, system, "d", 0.5) for rater, item, system in names]
    place = Location.of(tmp_path_factory.mktemp("marks") / "marks.jsonl")
    write_marks(place, marks)
    assert read_files([place]) == marks


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([ROW, ROW], r"row 2: Wang marks item 1, ours, depth twice"),
        ([ROW, ROW | {"protocol": "alpacare"}], r"row 2: marks by the protocol alpacare, where"),
        ([{"rater": "Wang"}], r"row 1: no mark \("),
        ([ROW | {"weight": 2}], r"row 1: no mark \("),
        ([ROW | {"value": "2"}], r"row 1: no mark; give the marks\.jsonl"),
        ([ROW | {"value": True}], r"row 1: no mark"),
        ([ROW | {"item_id": 1}], r"row 1: no mark"),
        ([ROW | {"kind": "dog"}], r"row 1: no mark"),
    ],
)
def test_what_is_no_mark_names_file_and_row(
    tmp_path: Path, rows: list[dict[str, Any]], told: str
) -> None:
    file = tmp_path / "marks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=rf"marks\.jsonl: {told}"):
        read_files([Location.of(file)])
