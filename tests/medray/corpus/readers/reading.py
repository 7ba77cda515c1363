"""Reading files through the readers' public doors: what their tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from medray.corpus.documents import READ_COLUMNS
from medray.corpus.inputs import CorpusInput
from medray.corpus.readers import check_input, plan_input, read_documents
from medray.storage.location import Location
from medray.storage.shards import Shard

NOTHING_ELSE = {"url": None, "timestamp": None, "source": None}


def entry_of(**settings: Any) -> CorpusInput:
    return CorpusInput(language="en", files="given in the test", **settings)


def text_only(name: str = "text") -> dict[str, str | None]:
    """Return a mapping for files that hold nothing but texts."""
    return {"text": name} | NOTHING_ELSE


def plan(paths: Sequence[Path], entry: CorpusInput, shard_rows: int = 1000) -> list[Shard]:
    return plan_input("test", entry, [Location.of(p) for p in paths], shard_rows, "inputs.0")


def check(paths: Sequence[Path], entry: CorpusInput) -> None:
    check_input(entry, [Location.of(path) for path in paths], "stages.curate.inputs.0")


def read_shards(shards: Sequence[Shard], entry: CorpusInput) -> list[dict[str, Any]]:
    """Return all rows of some shards; every table must be of the one schema."""
    tables: list[pa.Table] = []
    for shard in shards:
        read = list(read_documents(shard, entry))
        assert read, "a shard yields at least one table"
        tables += read
    assert all(table.schema == READ_COLUMNS for table in tables)
    for table in tables:
        table.validate(full=True)
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist() if tables else []
    for row in rows:
        assert (row["text"] is None) == (row["problem"] is not None)
        assert None not in (row["document_id"], row["url"], row["timestamp"], row["source"])
    return rows


def read(paths: Sequence[Path], shard_rows: int = 1000, **settings: Any) -> list[dict[str, Any]]:
    """Check, plan and read files; return the rows of all shards."""
    entry = entry_of(**settings)
    check(paths, entry)
    return read_shards(plan(paths, entry, shard_rows), entry)


def told(rows: list[dict[str, Any]]) -> list[str | None]:
    """Return each row's problem, or its text where there is none."""
    return [row["problem"] or row["text"] for row in rows]
