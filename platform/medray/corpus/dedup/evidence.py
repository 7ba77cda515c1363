"""What was removed, for which retained document, and which source lost how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.dedup.config import SourceAlarm
from medray.corpus.dedup.keys import Keys, rows_of, shard_numbers
from medray.corpus.dedup.plan import REMOVED, Desk, key_range
from medray.corpus.dedup.ray_tables import (
    Tables,
    bring_together,
    collect,
    flatten_lists,
    lists_of,
    map_blocks,
    numbers,
    read,
    split_lists,
    write,
)
from medray.storage.location import Location, sha256_of
from medray.storage.receipt_rows import rows_of as rows_of_receipts
from medray.storage.receipts import ROWS_OF_PART, Ledger
from medray.storage.shards import Receipt, Shard

EXACT_DUPLICATE, NEAR_DUPLICATE = "exact_duplicate", "near_duplicate"
REASONS = (EXACT_DUPLICATE, NEAR_DUPLICATE)

EVIDENCE = pa.schema(
    [
        ("removed_id", pa.string()),
        ("retained_id", pa.string()),
        ("reason", pa.string()),
        ("jaccard", pa.float64()),
        ("removed_source", pa.string()),
        ("retained_source", pa.string()),
        ("language", pa.string()),
        ("row", pa.int64()),  # of the removed document, in its kept file
    ]
)
_TOLD = ("rows", "size_bytes", "sha256")
_DESCRIBED = {
    "removed": pa.int64(),
    "retained_id": pa.string(),
    "retained_source": pa.string(),
    "jaccard": pa.float64(),
    "exact": pa.bool_(),
}
SOURCES = pa.schema([("language", pa.string()), ("source", pa.string()), ("documents", pa.int64())])
# One row for each table of removals: of which shard, what its file is, which sources lost how much.
WRITTEN = pa.schema(
    [
        ("number", pa.int64()),
        ("shard_id", pa.string()),
        ("file", pa.string()),
        ("language", pa.string()),
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("losses", pa.list_(pa.struct(list(SOURCES)))),
    ]
)


def write_evidence(desk: Desk) -> pa.Table:
    """Write the table of removals (EVIDENCE) of each shard that lost any; return the losses.

    The losses are SOURCES' columns: how many documents of a language's source went. Two walks:
    by the retained documents for their names, then by the removed ones. Last, a ledger tells the
    hash of each table, so that a manifest need not list them.
    """

    def describe(block: pa.Table) -> Iterator[pa.Table]:
        removals = desk.rows_in_block("removals", "retained", block)
        retained = numbers(removals, "retained")
        for number, shard in desk.shards(block):
            here = key_range(retained, number)
            if here.stop > here.start:
                rows = removals.slice(here.start, here.stop - here.start)
                named = _named(desk, shard, rows_of(retained[here]), "retained")
                columns = dict(zip(rows.column_names, rows.columns, strict=True)) | named
                parts = shard_numbers(numbers(rows, "removed")) // desk.shards_of_block
                yield split_lists(parts, {name: _one(columns[name]) for name in _DESCRIBED})

    def write_removed(table: pa.Table) -> Iterator[pa.Table]:
        described = flatten_lists(table, _DESCRIBED).sort_by("removed")
        removed = numbers(described, "removed")
        for number, shard in desk.shards_of_numbers(np.unique(shard_numbers(removed))):
            here = key_range(removed, number)
            part = described.slice(here.start, here.stop - here.start)
            evidence = _evidence(desk, shard, part)
            write(evidence, desk.removed_file(shard))
            yield _written(desk, number, shard, evidence)

    mapped = map_blocks(desk.blocks(), describe, lists_of(**_DESCRIBED), desk.means)
    partitions = desk.partitions or len(desk.blocks())
    tables = bring_together(mapped, "key", partitions, write_removed, desk.means)
    written = collect(tables, WRITTEN).sort_by("number")
    Ledger(desk.work / REMOVED).write(_receipts(written))
    return _sum_sources([pa.Table.from_struct_array(_one(written["losses"]).flatten())])


def _written(desk: Desk, number: int, shard: Shard, evidence: pa.Table) -> pa.Table:
    """Return WRITTEN of the removals of one shard, which lie on disk."""
    file = desk.removed_file(shard)
    size_bytes, digest = sha256_of(file)
    row = {
        "number": number,
        "shard_id": shard.shard_id,
        "file": shard.file.name,
        "language": shard.language,
        "path": file.relative_to(desk.work / REMOVED),
        "rows": evidence.num_rows,
        "size_bytes": size_bytes,
        "sha256": digest,
        "losses": _count_sources(shard.language, evidence["removed_source"]).to_pylist(),
    }
    return pa.Table.from_pylist([row], schema=WRITTEN)


def _receipts(written: pa.Table) -> pa.Table:
    """Return the rows of a ledger; as objects only some thousand of them are in memory at once."""
    tables = [rows_of_receipts(())]
    for batch in written.drop_columns(["losses"]).to_batches(max_chunksize=ROWS_OF_PART):
        tables.append(rows_of_receipts(_receipt(row) for row in batch.to_pylist()))
    return pa.concat_tables(tables)


def _receipt(row: Mapping[str, Any]) -> Receipt:
    counts, file = {REMOVED: row["rows"]}, {row["path"]: {name: row[name] for name in _TOLD}}
    return Receipt(row["shard_id"], REMOVED, row["language"], row["file"], counts, file)


def _named(desk: Desk, shard: Shard, rows: Keys, role: str) -> dict[str, pa.ChunkedArray]:
    """Return id and source of a shard's documents."""
    signed = desk.signatures(shard, ("document_id", "source")).take(pa.array(rows))
    return {
        f"{role}_id": signed["document_id"],
        f"{role}_source": pc.fill_null(signed["source"], ""),
    }


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks)


def _evidence(desk: Desk, shard: Shard, described: pa.Table) -> pa.Table:
    """Return EVIDENCE of one shard's removed documents, given ``_DESCRIBED`` in their order."""
    rows = rows_of(numbers(described, "removed"))
    reasons = pc.if_else(described["exact"], EXACT_DUPLICATE, NEAR_DUPLICATE)
    columns = _named(desk, shard, rows, "removed") | {
        "retained_id": described["retained_id"],
        "reason": reasons,
        "jaccard": described["jaccard"],
        "retained_source": described["retained_source"],
        "language": pa.array([shard.language] * len(rows), pa.string()),
        "row": pa.array(rows + shard.first_row),
    }
    return pa.table({name: columns[name] for name in EVIDENCE.names}).cast(EVIDENCE)


def count_sources(desk: Desk) -> pa.Table:
    """Return SOURCES: how many documents each language's source had."""

    def count(block: pa.Table) -> Iterator[pa.Table]:
        for _, shard in desk.shards(block):
            yield _count_sources(shard.language, desk.signatures(shard, ("source",))["source"])

    return _sum_sources(map_blocks(desk.blocks(), count, SOURCES, desk.means))


def _count_sources(language: str, sources: pa.ChunkedArray) -> pa.Table:
    counted = pc.value_counts(pc.fill_null(sources, "")).flatten()
    languages = pa.array([language] * len(counted[0]), pa.string())
    return pa.Table.from_arrays([languages, *counted], schema=SOURCES)


def _sum_sources(counted: Tables) -> pa.Table:
    summed = (
        collect(counted, SOURCES).group_by(["language", "source"]).aggregate([("documents", "sum")])
    )
    summed = summed.rename_columns({"documents_sum": "documents"})
    return summed.sort_by([("language", "ascending"), ("source", "ascending")])


def losses_of_sources(documents: pa.Table, removed: pa.Table) -> list[dict[str, Any]]:
    """Return of each language's source: language, source, documents, removed, share removed."""
    gone = {(row["language"], row["source"]): row["documents"] for row in removed.to_pylist()}
    losses = []
    for row in documents.to_pylist():
        lost = gone.get((row["language"], row["source"]), 0)
        losses.append(row | {"removed": lost, "share": lost / row["documents"]})
    return losses


def raised_alarms(losses: list[dict[str, Any]], alarm: SourceAlarm) -> list[str]:
    """Return one line for every source that lost more than the share it may lose."""
    return [
        f"deduplicate: source {row['source'] or '(none)'} ({row['language']}) loses "
        f"{row['removed']} of {row['documents']} documents ({row['share']:.0%}): read its evidence"
        for row in losses
        if row["documents"] >= alarm.minimum_documents and row["share"] > alarm.share
    ]


def read_removed(folder: Location) -> pa.Table:
    """Return EVIDENCE of all removals below a folder, in the order of the files' names."""
    return pa.concat_tables([EVIDENCE.empty_table(), *(read(file) for file in folder.files())])
