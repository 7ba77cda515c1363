"""Shards and receipts: how a piece of input is named, and what says that it is done.

A shard is a description of a piece of input (file, range of row groups or pages), never the rows
themselves. A task reads its shard, writes its tables under names derived from the shard's id and,
last, a receipt. The receipt is the commit: work still to do = plan minus receipts, so a kill at
any moment loses nothing that was receipted and repeats nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from medray.storage.location import Location

UNKNOWN_ROWS = -1


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of one input file: units ``first_unit`` up to, not including, ``end_unit``.

    A unit is a Parquet row group, a page or a block of bytes. ``identity`` names the file's
    content. ``first_row`` counts from the file's start; ``rows`` is the number of rows (pages) in
    the piece, -1 where only reading it can tell. ``origin`` is the planner's own word on where
    the piece comes from, such as the recipe's key of its input.
    """

    shard_id: str
    file: Location
    identity: str
    first_unit: int
    end_unit: int
    first_row: int
    rows: int
    language: str
    origin: str = ""

    def document_id(self, row: int) -> str:
        """Return the id of the shard's row ``row``: the file's content and the row in the file."""
        return f"{self.identity[:12]}:{self.first_row + row}"


@dataclass(frozen=True)
class ShardOutput:
    """What a task made of (a part of) one shard: tables by name, counts by name.

    A task that yields several of these has their tables joined and their counts added.
    """

    tables: dict[str, pa.Table]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The commit of one shard. ``files``: of each table's path, rows, size_bytes and sha256."""

    shard_id: str
    step: str
    language: str
    file: str
    counts: dict[str, int]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0


def shard_id_of(step: str, identity: str, first_unit: int, end_unit: int) -> str:
    """Return 16 hex digits that name a piece of a file's content as input of one step."""
    text = f"{step}|{identity}|{first_unit}|{end_unit}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sum_counts(receipts: Iterable[Receipt]) -> dict[str, int]:
    """Add up the counts of several receipts, key by key."""
    total: dict[str, int] = {}
    for receipt in receipts:
        add_counts(total, receipt.counts)
    return total


def add_counts(total: dict[str, int], counts: Mapping[str, int]) -> None:
    """Add ``counts`` to ``total`` in place."""
    for key, value in counts.items():
        total[key] = total.get(key, 0) + value


_DESCRIPTOR = pa.schema(
    [
        ("shard_id", pa.string()),
        ("filesystem", pa.int32()),
        ("path", pa.string()),
        ("identity", pa.string()),
        ("first_unit", pa.int64()),
        ("end_unit", pa.int64()),
        ("first_row", pa.int64()),
        ("rows", pa.int64()),
        ("language", pa.string()),
        ("origin", pa.string()),
    ]
)


@dataclass(frozen=True)
class Descriptors:
    """Shards as an Arrow table of about 150 bytes a shard, and the filesystems they lie in."""

    table: pa.Table
    filesystems: tuple[pafs.FileSystem, ...]

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> Descriptors:
        distinct = {id(shard.file.filesystem): shard.file.filesystem for shard in shards}
        numbers = {key: number for number, key in enumerate(distinct)}
        names = [name for name in _DESCRIPTOR.names if name not in ("filesystem", "path")]
        columns = {name: [getattr(shard, name) for shard in shards] for name in names}
        columns["filesystem"] = [numbers[id(shard.file.filesystem)] for shard in shards]
        columns["path"] = [shard.file.path for shard in shards]
        return cls(pa.table(columns, schema=_DESCRIPTOR), tuple(distinct.values()))


def shard_of(row: Mapping[str, Any], filesystems: Sequence[pafs.FileSystem]) -> Shard:
    """Return the shard that a row of descriptors stands for."""
    fields = dict(row)
    file = Location(filesystems[fields.pop("filesystem")], fields.pop("path"))
    return Shard(file=file, **fields)
