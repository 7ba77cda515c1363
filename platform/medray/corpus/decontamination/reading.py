"""Reading every item of the benchmarks that a recipe names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from medray.corpus.decontamination.config import BenchmarkFiles, DecontaminateConfig
from medray.corpus.decontamination.items import Item, Role, item_of
from medray.errors import InputError
from medray.instruct.questions import read_questions
from medray.storage.location import Location

# Returns the files that a pattern names; the key is the recipe's, for errors.
Locate = Callable[[str, str], list[Location]]
Row = dict[str, Any]

_PACKED = (".gz", ".bz2", ".zst")
_FORMS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt")


def benchmark_files(config: DecontaminateConfig, locate: Locate) -> list[list[Location]]:
    """Return the files of every entry of ``questions``, then of ``files``."""
    keyed = [(f"questions.{number}", entry.files) for number, entry in enumerate(config.questions)]
    keyed += [(f"files.{number}", entry.files) for number, entry in enumerate(config.files)]
    return [locate(pattern, f"decontaminate.{key}.files") for key, pattern in keyed]


def read_items(config: DecontaminateConfig, locate: Locate) -> Iterator[Item]:
    """Yield every item, in the recipe's order.

    Raises InputError, with file and place, for a file that cannot be read, a row that is no
    question, a missing column, and a file without an item.
    """
    found = iter(benchmark_files(config, locate))
    for asked in config.questions:
        for file in next(found):
            for question in read_questions(file, asked.format, asked.language):
                yield item_of(question, asked.format)
    for entry in config.files:
        for file in next(found):
            yield from _items_of(file, entry)


def check_benchmarks(config: DecontaminateConfig, locate: Locate) -> int:
    """Read every item once, keep none, and return how many there are.

    Benchmarks are megabytes, so a row that is wrong anywhere is told before a stage runs.
    Raises InputError as ``read_items`` does.
    """
    return sum(1 for _ in read_items(config, locate))


def _items_of(file: Location, entry: BenchmarkFiles) -> Iterator[Item]:
    count = 0
    for place, row in _rows(file, entry):
        texts: list[tuple[Role, str]] = []
        for column, role in entry.columns.items():
            texts += [(role, text) for text in _texts_in(_cell(row, column, file, place))]
        if not entry.columns:
            texts.append(("passage", row["text"]))
        if texts:
            named = _cell(row, entry.id_column, file, place) if entry.id_column else place
            yield Item(entry.benchmark, f"{file.name}:{named}", entry.language, tuple(texts))
            count += 1
    if not count:
        raise InputError(f"{file}: holds no item of {entry.benchmark}; check columns")


def _rows(file: Location, entry: BenchmarkFiles) -> Iterator[tuple[str, Row]]:
    """Yield (place in the file, row)."""
    form = _form_of(file)
    if (form == ".txt") == bool(entry.columns):
        remedy = "leave columns away" if form == ".txt" else "write columns: {NAME: question}"
        raise InputError(f"{file}: benchmark {entry.benchmark}: {form} files: {remedy}")
    try:
        if form == ".txt":
            blocks = [block.strip() for block in _text(file).split("\n\n")]
            for number, block in enumerate(filter(None, blocks), start=1):
                yield f"block {number}", {"text": block}
        elif form == ".json":
            yield from _json_rows(json.loads(_text(file)))
        elif form == ".jsonl":
            for number, line in enumerate(_text(file).split("\n"), start=1):
                if line.strip():
                    yield f"line {number}", json.loads(line)
        else:
            yield from _table_rows(file, form, entry)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as {form} ({error})") from error


def _form_of(file: Location) -> str:
    suffixes = [s for s in PurePosixPath(file.name.lower()).suffixes if s not in _PACKED]
    if not suffixes or suffixes[-1] not in _FORMS:
        raise InputError(f"{file}: a benchmark file ends in one of {', '.join(_FORMS)}")
    return suffixes[-1]


def _text(file: Location) -> str:
    """Return a file's text; a packed one is unpacked by its name."""
    with file.filesystem.open_input_stream(file.path, compression="detect") as source:
        return bytes(source.read()).decode("utf-8-sig").replace("\r\n", "\n")


def _json_rows(tree: Any) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a list, or of a mapping from ids to rows."""
    if isinstance(tree, dict):
        yield from tree.items()
    elif isinstance(tree, list):
        for number, row in enumerate(tree):
            yield f"entry {number}", row
    else:
        raise ValueError("neither a list of rows nor rows by id")


def _table_rows(file: Location, form: str, entry: BenchmarkFiles) -> Iterator[tuple[str, Row]]:
    wanted = list(dict.fromkeys([*entry.columns, *([entry.id_column] if entry.id_column else [])]))
    if form == ".parquet":
        with file.open_input() as source:
            parquet = pq.ParquetFile(source)
            _check_columns(wanted, parquet.schema_arrow.names, file)
            table = parquet.read(columns=wanted)
    else:
        with file.filesystem.open_input_stream(file.path) as source:
            table = _delimited(source, "\t" if form == ".tsv" else ",", entry.column_names)
        _check_columns(wanted, table.column_names, file)
    for number, row in enumerate(table.select(wanted).to_pylist(), start=1):
        yield f"row {number}", row


def _delimited(source: pa.NativeFile, delimiter: str, names: tuple[str, ...]) -> pa.Table:
    """Return a table of strings; a cell may hold line breaks and delimiters in quotes."""
    data = source.read()
    read = pcsv.ReadOptions(column_names=list(names) or None, block_size=max(len(data), 1))
    parse = pcsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    header = pcsv.open_csv(pa.BufferReader(data), read, parse).schema.names
    convert = pcsv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
    return pcsv.read_csv(pa.BufferReader(data), read, parse, convert)


def _check_columns(wanted: list[str], found: list[str], file: Location) -> None:
    if missing := [name for name in wanted if name not in found]:
        raise InputError(f"{file}: no column {', '.join(missing)}; there are {', '.join(found)}")


def _cell(row: Any, column: str, file: Location, place: str) -> Any:
    if not isinstance(row, dict) or column not in row:
        raise InputError(f"{file}: {place}: no column {column}; check the benchmark's columns")
    return row[column]


def _texts_in(cell: Any) -> Iterator[str]:
    """Yield every text in a cell: a text, or lists and mappings of them; nothing else counts."""
    if isinstance(cell, str):
        if cell.strip():
            yield cell
    elif isinstance(cell, dict):
        for inner in cell.values():
            yield from _texts_in(inner)
    elif isinstance(cell, list):
        for inner in cell:
            yield from _texts_in(inner)
