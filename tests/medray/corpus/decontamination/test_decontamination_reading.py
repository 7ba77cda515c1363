"""Benchmarks of every form are read to the last item, and what is wrong is told in one line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from medray.corpus.decontamination import DecontaminateConfig
from medray.corpus.decontamination.items import Item
from medray.corpus.decontamination.reading import check_benchmarks, read_items
from medray.errors import InputError

from .planted import locate

ROWS: list[dict[str, Any]] = [
    {"id": "q1", "question": "What is\nthis, a cell?", "a": "first", "b": "second"},
    {"id": "q2", "question": 'And "that"?', "a": "third", "b": "fourth; fifth"},
]
COLUMNS = {"question": "question", "a": "option", "b": "option"}


def config_of(file: Path, **more: Any) -> DecontaminateConfig:
    entry = {"language": "en", "benchmark": "mine", "files": str(file), "columns": COLUMNS} | more
    return DecontaminateConfig.model_validate({"files": [entry]})


def items_in(file: Path, **more: Any) -> list[Item]:
    config = config_of(file, **more)
    items = list(read_items(config, locate))
    assert check_benchmarks(config, locate) == len(items)
    return items


def expected(*ids: str, file: Path) -> list[Item]:
    return [
        Item(
            "mine",
            f"{file.name}:{name}",
            "en",
            (("question", row["question"]), ("option", row["a"]), ("option", row["b"])),
        )
        for name, row in zip(ids, ROWS, strict=True)
    ]


def as_csv(header: bool, delimiter: str = ",") -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
    if header:
        writer.writeheader()
    writer.writerows(ROWS)
    return stream.getvalue().encode()


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "json", "csv", "tsv", "parquet"])
def test_rows_of_named_columns(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"exam.{form}"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    else:
        data = {
            "jsonl": b"\xef\xbb\xbf" + lines,
            "jsonl.gz": gzip.compress(lines),
            "json": json.dumps(ROWS).encode(),
            "csv": as_csv(header=True),
            "tsv": as_csv(header=True, delimiter="\t"),
        }
        file.write_bytes(data[form])
    assert items_in(file, id_column="id") == expected("q1", "q2", file=file)


def test_csv_without_header_and_places_for_names(tmp_path: Path) -> None:
    file = tmp_path / "exam.csv"
    file.write_bytes(as_csv(header=False))
    items = items_in(file, column_names=["id", "question", "a", "b"])
    assert items == expected("row 1", "row 2", file=file)


def test_json_by_id_with_lists_and_mappings(tmp_path: Path) -> None:
    file = tmp_path / "exam.json"
    row = {"contexts": ["one", "two"], "question": "three", "options": {"A": "four", "B": ""}}
    file.write_text(json.dumps({"2164": row}))
    columns = {"contexts": "passage", "question": "question", "options": "option"}
    (item,) = items_in(file, columns=columns)
    assert item.item_id == "exam.json:2164"
    roles = [("passage", "one"), ("passage", "two"), ("question", "three"), ("option", "four")]
    assert item.texts == tuple(roles)


def test_plain_text_by_blocks(tmp_path: Path) -> None:
    file = tmp_path / "exam.txt"
    file.write_text("first\nline\r\n\r\n\n\nsecond\n")
    items = items_in(file, columns={})
    assert [item.texts for item in items] == [
        (("passage", "first\nline"),),
        (("passage", "second"),),
    ]


def test_questions_in_the_formats_that_medray_asks(tmp_path: Path) -> None:
    row = {
        "question": "Which?", "options": {"A": "this", "B": "that"}, "answer_idx": "B",
        "rationale": "Because.",
    }  # fmt: skip
    file = tmp_path / "English.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps(row))
    entry = {"language": "en", "files": str(file), "format": "mmedbench", "limit": 1}
    config = DecontaminateConfig.model_validate({"questions": [entry]})
    first, second = read_items(config, locate)  # the limit is the benchmark's, not the index's
    assert first.item_id == "English.jsonl:line 1"
    assert second.benchmark == "mmedbench"
    roles = [("question", "Which?"), ("option", "this"), ("option", "that")]
    assert second.texts == (*roles, ("rationale", "Because."))


@pytest.mark.parametrize(
    ("name", "content", "more", "told"),
    [
        ("a.jsonl", b'{"question": 1}\n', {}, "line 1: no column a"),
        ("a.jsonl", b'{"question"\n', {}, "cannot be read as .jsonl"),
        ("a.jsonl", b'["question"]\n', {}, "line 1: no column question"),
        ("a.jsonl", b'{"question": null, "a": "", "b": []}\n', {}, "holds no item of mine"),
        ("a.jsonl", b"", {}, "holds no item of mine"),
        ("a.jsonl", b"\xff\xfe", {}, "cannot be read as .jsonl"),
        ("a.json", b"3", {}, "neither a list of rows nor rows by id"),
        ("a.csv", b"question,a\nx,y\n", {}, "no column b; there are question, a"),
        ("a.csv", b"", {}, "cannot be read as .csv"),
        ("a.parquet", b"PAR1", {}, "cannot be read as .parquet"),
        ("a.jsonl.gz", b"no gzip", {}, "cannot be read as .jsonl"),
        ("a.xlsx", b"", {}, "a benchmark file ends in one of"),
        ("a.txt", b"text", {}, "leave columns away"),
        ("a.csv", b"question\nx\n", {"columns": {}}, "write columns: {NAME: question}"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, name: str, content: bytes, more: dict[str, Any], told: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        check_benchmarks(config_of(file, **more), locate)
    assert str(file) in str(error.value)
    assert told in str(error.value)


def test_a_missing_file_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"decontaminate\.files\.0\.files: no file matches"):
        check_benchmarks(config_of(tmp_path / "none.jsonl"), locate)


def test_configurations_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="whole_words is larger than ngram_words"):
        DecontaminateConfig(whole_words=14)
    with pytest.raises(ValidationError, match="names no column to read"):
        config_of(tmp_path / "a.csv", columns={}, id_column="id")
