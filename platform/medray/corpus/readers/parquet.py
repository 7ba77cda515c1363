"""Parquet files with any column names and text types, as batches of documents."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.documents import INVALID_UTF8, NO_TEXT, READ_COLUMNS, TOO_LARGE
from medray.corpus.inputs import CorpusInput
from medray.corpus.readers.columns import (
    as_bytes,
    as_plain,
    as_strings,
    find_column,
    is_plain,
    is_text,
    source_of,
    take_column,
)
from medray.corpus.readers.html import PageReader, page_reader
from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet, read_batches
from medray.storage.shards import Shard


def check_parquet(file: Location, entry: CorpusInput, key: str) -> None:
    """Raise InputError where a file is torn or lacks a mapped column, or has it of a wrong type."""
    with open_parquet(file) as parquet:
        _check_columns(file, parquet.schema_arrow, entry, key)


def _check_columns(file: Location, schema: pa.Schema, entry: CorpusInput, key: str) -> None:
    for part, name in entry.columns.named().items():
        found, where = find_column(schema, name), f"{file}: {key}.columns.{part}"
        if found is None:
            remedy = "name one of these" if part == "text" else "name one of these, or null"
            raise InputError(
                f"{where}: no column {name}; it has {', '.join(schema.names)}: {remedy}"
            )
        if not (is_text if part == "text" else is_plain)(found.type):
            raise InputError(f"{where}: column {name} holds {found.type}, not text; name another")


def read_parquet(shard: Shard, entry: CorpusInput) -> Iterator[pa.Table]:
    """Yield a shard's documents; a document's number is its row's in the file."""
    names = entry.columns.named()
    pages, row = page_reader(entry), 0
    for batch in read_batches(shard, list(dict.fromkeys(names.values()))):
        if not batch.num_rows:
            yield READ_COLUMNS.empty_table()
            continue
        if not row:
            _check_columns(shard.file, batch.schema, entry, shard.origin)
        ids = [shard.document_id(row + number) for number in range(batch.num_rows)]
        row += batch.num_rows
        columns = _metadata(batch, names, source_of(shard.file, entry))
        columns |= _text(batch, names["text"]) if pages is None else _pages(
            batch, names["text"], pages, columns
        )  # fmt: skip
        columns["document_id"] = pa.array(ids, pa.string())
        yield pa.table({name: columns[name] for name in READ_COLUMNS.names}, schema=READ_COLUMNS)


def _metadata(batch: pa.Table, names: dict[str, str], source: str) -> dict[str, pa.Array]:
    columns = {}
    for part in ("url", "timestamp", "source"):
        if part in names:
            columns[part] = as_plain(take_column(batch, names[part]))
        else:
            columns[part] = pa.array([""] * batch.num_rows, pa.string())
    is_empty = pc.equal(columns["source"], "")
    return columns | {"source": pc.if_else(is_empty, source, columns["source"])}


def _text(batch: pa.Table, name: str) -> dict[str, pa.Array]:
    """Return the columns ``text`` and ``problem`` of a batch whose column holds text."""
    content, too_large = as_bytes(take_column(batch, name))
    texts, spoilt = as_strings(content)
    if not (texts.null_count or too_large.true_count):
        return {"text": texts, "problem": pa.nulls(len(texts), pa.string())}
    problem = pc.case_when(
        pc.make_struct(too_large, spoilt, pc.is_null(texts)), TOO_LARGE, INVALID_UTF8, NO_TEXT
    )
    return {"text": texts, "problem": problem.cast(pa.string())}


def _pages(
    batch: pa.Table, name: str, pages: PageReader, columns: dict[str, pa.Array]
) -> dict[str, pa.Array]:
    """Return what a batch's HTML pages give: text, problem, and url and date where absent."""
    content, too_large = as_bytes(take_column(batch, name))
    read = [None if page is None else pages(page) for page in content.to_pylist()]
    problems = [
        page.problem if page else TOO_LARGE if large else NO_TEXT
        for page, large in zip(read, too_large.to_pylist(), strict=True)
    ]
    found = {
        "text": [page and page.text for page in read],
        "problem": problems,
        "url": _or(columns["url"], [page.url if page else "" for page in read]),
        "timestamp": _or(columns["timestamp"], [page.date if page else "" for page in read]),
    }
    return {part: pa.array(values, pa.string()) for part, values in found.items()}


def _or(given: pa.StringArray, found: list[str]) -> list[str]:
    return [mine or other for mine, other in zip(given.to_pylist(), found, strict=True)]
