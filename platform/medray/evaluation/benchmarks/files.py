"""Rows of the files that benchmarks come in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Format, Part

Row = dict[str, Any]
_BY_SUFFIX: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".tsv": "iob",
}


def rows_of(file: Path, part: Part) -> Iterator[Row]:
    """Yield the rows of a file, with ``file`` (its name) and ``row`` (counted from 0) in each.

    InputError for a file that is not of its format.
    """
    form = part.format or _BY_SUFFIX.get(file.suffix)
    if form is None:
        raise InputError(f"{file}: no format is known for {file.suffix}; name one: format")
    try:
        for number, row in enumerate(_READERS[form](file, part)):
            if not isinstance(row, dict):
                raise InputError(f"{file}: row {number}: an object is wanted, not {row!r:.60}")
            yield {"file": file.name, "row": number} | row
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file}: not of format {form} ({type(error).__name__}: {error})"
        ) from error


def _jsonl(file: Path, part: Part) -> Iterator[Any]:
    for line in file.read_bytes().splitlines():
        if line.strip():
            yield json.loads(line)


def _json(file: Path, part: Part) -> Iterator[Any]:
    yield from _along(
        json.loads(file.read_bytes()), (part.rows or "").split(".") if part.rows else []
    )


def _along(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield the rows at a path; ``*`` goes on in each value, whose key its rows have as ``key``."""
    if not path:
        if isinstance(value, dict):
            yield from ({"key": key} | row for key, row in value.items())
        else:
            yield from value
        return
    first, *rest = path
    if first != "*":
        yield from _along(value[first], rest)
        return
    for key, inner in value.items():
        about = {name: text for name, text in inner.items() if isinstance(text, str)}
        for row in _along(inner, rest):
            yield {"key": key} | about | row


def _csv(file: Path, part: Part) -> Iterator[Any]:
    text = io.StringIO(file.read_text("utf-8-sig"), newline="")
    reader = csv.DictReader(text, part.header or None, strict=True)
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has another number of columns than the first")
        yield row


def _xlsx(file: Path, part: Part) -> Iterator[Any]:
    from openpyxl import load_workbook

    book = load_workbook(file, read_only=True, data_only=True)
    rows = book.worksheets[0].iter_rows(values_only=True)
    names = [str(name) for name in next(rows)]
    for row in rows:
        if any(value is not None for value in row):
            cells = ("" if value is None else str(value) for value in row)
            yield dict(zip(names, cells, strict=False))


def _iob(file: Path, part: Part) -> Iterator[Any]:
    """Lines of token and tag; an empty one ends a sentence."""
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*file.read_text("utf-8").splitlines(), ""], start=1):
        if line.strip():
            fields = line.split("\t")
            if len(fields) < 2:
                raise ValueError(f"line {number}: token, tab, tag are wanted")
            tokens.append(fields[0])
            tags.append(fields[-1].strip())
        elif tokens:
            yield {"tokens": tokens, "tags": tags}
            tokens, tags = [], []


def _super_ni(file: Path, part: Part) -> Iterator[Any]:
    """A task in MedS-Ins's and Super-NaturalInstructions' JSON, or its instances as JSON Lines."""
    text = file.read_text("utf-8")
    task = json.loads(text) if file.suffix == ".json" else None
    instances = _jsonl(file, part) if task is None else task["Instances"]
    definition = "" if task is None else task.get("Definition", "")
    definition = definition[0] if isinstance(definition, list) and definition else definition
    for row in instances:
        output = row["output"]
        outputs = output if isinstance(output, list) else [output]
        yield {"definition": definition, **row, "output": [str(text) for text in outputs]}


_READERS = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "xlsx": _xlsx,
    "iob": _iob,
    "super_ni": _super_ni,
}
