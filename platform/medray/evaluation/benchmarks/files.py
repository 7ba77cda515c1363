"""Rows of the files that benchmarks come in."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lxml import etree

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Format, Part
from medray.evaluation.benchmarks.readers import READERS

Row = dict[str, Any]
# What a file that is not of its format raises; SyntaxError is lxml's.
_WRONG = (
    ValueError, LookupError, TypeError, AttributeError, OSError, SyntaxError, RecursionError,
    csv.Error, zipfile.BadZipFile,
)  # fmt: skip
_BY_SUFFIX: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "xlsx",
    ".xml": "xml",
}


def rows_of(file: Path, part: Part) -> Iterator[Row]:
    """Yield the rows of a file, with ``file``, ``folder`` and ``row`` (counted from 0) in each.

    InputError for a file that is not of its format, and for a format or reader that is not there.
    """
    read = _reading(file, part)
    about = {"file": file.stem, "folder": file.parent.name}
    try:
        for number, row in enumerate(read(file)):
            if not isinstance(row, dict):
                raise InputError(f"{file}: row {number}: an object is wanted, not {row!r:.60}")
            yield about | {"row": number} | row
    except _WRONG as error:
        form = part.reader or part.format or file.suffix.removeprefix(".")
        told = f"{type(error).__name__}: {error}"
        raise InputError(f"{file}: cannot be read as {form} ({told})") from error


def _reading(file: Path, part: Part) -> Callable[[Path], Iterator[Any]]:
    if part.reader is not None:
        if part.reader not in READERS:
            raise InputError(f"no reader {part.reader}; there are {', '.join(READERS)}")
        return READERS[part.reader]
    form = part.format or _BY_SUFFIX.get(file.suffix.lower())
    if form is None:
        raise InputError(f"{file}: of what format is it? Name one: format: {', '.join(_BY_FORMAT)}")
    return lambda path: _BY_FORMAT[form](path, part)


def _text(file: Path, part: Part) -> str:
    return file.read_bytes().decode(part.encoding)


def _jsonl(file: Path, part: Part) -> Iterator[Any]:
    # bytes.splitlines cuts at ASCII line ends alone; str's also at U+2028, which texts hold.
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line.decode(part.encoding))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error


def _json(file: Path, part: Part) -> Iterator[Any]:
    path = part.rows.split(".") if part.rows else []
    yield from _along(json.loads(_text(file, part)), path)


def _along(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield the rows at a path.

    ``*`` goes on in each value of an object; the rows in there then have its key as ``key`` and
    the texts that stand beside them.
    """
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


def _table(file: Path, part: Part) -> Iterator[Any]:
    tabs = part.format == "tsv" or (part.format is None and file.suffix.lower() == ".tsv")
    delimiter = part.delimiter or ("\t" if tabs else ",")
    text = io.StringIO(_text(file, part), newline="")
    reader = csv.DictReader(text, part.header or None, delimiter=delimiter, strict=True)
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has another number of columns than the first")
        yield row


def _xlsx(file: Path, part: Part) -> Iterator[Any]:
    """The first sheet, below its first line of names; cells as texts, empty ones as ""."""
    from openpyxl import load_workbook

    book = load_workbook(file, read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        names = ["" if name is None else str(name) for name in next(rows, ())]
        for row in rows:
            cells = ["" if value is None else str(value) for value in row]
            if any(cells):
                padded = cells + [""] * (len(names) - len(cells))
                yield {n: cell for n, cell in zip(names, padded, strict=False) if n}
    finally:
        book.close()


def _xml(file: Path, part: Part) -> Iterator[Any]:
    """Each element at ``rows`` as an object, with the root's texts and attributes as ``root``."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.parse(str(file), parser).getroot()
    about = {name: value for name, value in _object(root).items() if isinstance(value, str)}
    for element in root.iterfind(part.rows or "*"):
        yield {"root": about} | _object(element)


def _object(element: Any) -> dict[str, Any]:
    """An element's attributes as @name, its children by tag, its own text as ``text``.

    A child with neither attributes nor children is its text; of several with one tag, a list.
    White space inside a text is one blank.
    """
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    found["text"] = " ".join((element.text or "").split())
    for child in element.iterchildren(tag=etree.Element):
        inner = _object(child)
        value = inner["text"] if len(inner) == 1 else inner
        if child.tag in found:
            before = found[child.tag]
            value = [*before, value] if isinstance(before, list) else [before, value]
        found[child.tag] = value
    return found


def _iob(file: Path, part: Part) -> Iterator[Any]:
    """Lines of token and, as the last field, tag; an empty line ends a sentence."""
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*_text(file, part).split("\n"), ""], start=1):
        fields = line.strip("\r").split("\t")
        if line.strip():
            if len(fields) < 2:
                raise ValueError(f"line {number}: token, tab, tag are wanted")
            tokens.append(fields[0])
            tags.append(fields[-1].strip())
        elif tokens:
            yield {"tokens": tokens, "tags": tags}
            tokens, tags = [], []


def _task_json(file: Path, part: Part) -> Iterator[Any]:
    """A task in MedS-Ins's and Super-NaturalInstructions' JSON, or its instances as JSON Lines.

    MedS-Ins's own scripts write the whole object into files that end in .jsonl.
    """
    text = _text(file, part)
    try:
        task = json.loads(text)
    except ValueError:
        task = None
    if not isinstance(task, Mapping) or "Instances" not in task:
        task = {"Instances": _jsonl(file, part)}
    definition = task.get("Definition") or ""
    definition = definition if isinstance(definition, str) else "\n".join(definition)
    for row in task["Instances"]:
        output = row["output"]
        yield row | {
            "definition": definition,
            "output": output if isinstance(output, list) else [output],
        }


_BY_FORMAT: dict[str, Callable[[Path, Part], Iterator[Any]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _table,
    "tsv": _table,
    "xlsx": _xlsx,
    "xml": _xml,
    "iob": _iob,
    "task_json": _task_json,
}
