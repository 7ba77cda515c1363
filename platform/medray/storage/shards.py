"""Shards, receipts and the one loop that maps work over them with Ray Data.

A shard is a description of a piece of input (file, range of row groups or pages), never the rows
themselves. A task reads its shard, writes its tables under names derived from the shard's id and,
last, a receipt. The receipt is the commit: work still to do = plan minus receipts, so a kill at
any moment loses nothing that was receipted and repeats nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medray.errors import InputError
from medray.storage.location import Location, content_identity

RECEIPTS = "receipts"
REFUSED = "refused"
# Blocks beyond this only lengthen Ray Data's bookkeeping; a block then holds several shards.
MAXIMUM_BLOCKS = 2000


@dataclass(frozen=True)
class Shard:
    """A piece of one input file: units ``first_unit`` up to, not including, ``end_unit``.

    A unit is a Parquet row group or a page. ``identity`` names the file's content. ``first_row``
    counts from the file's start; ``rows`` is the number of rows (pages) in the piece.
    """

    shard_id: str
    file: Location
    identity: str
    first_unit: int
    end_unit: int
    first_row: int
    rows: int
    language: str

    def document_id(self, row: int) -> str:
        """Return the id of the shard's row ``row``: the file's content and the row in the file."""
        return f"{self.identity[:12]}:{self.first_row + row}"


@dataclass(frozen=True)
class ShardOutput:
    """What a task made of one shard: tables by name (kept, decisions, ...), counts by name."""

    tables: dict[str, pa.Table]
    counts: dict[str, int]


@dataclass(frozen=True)
class Receipt:
    """The commit of one shard."""

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


def open_parquet(file: Location) -> pq.ParquetFile:
    """Open a Parquet file; a torn or foreign file is an InputError that names it."""
    try:
        return pq.ParquetFile(file.path, filesystem=file.filesystem)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file}: not a whole Parquet file ({error}); fetch it again") from error


def read_row_groups(shard: Shard, columns: Sequence[str]) -> pa.Table:
    """Read a shard's rows; a page that cannot be decoded is an InputError that names the file."""
    try:
        groups = list(range(shard.first_unit, shard.end_unit))
        return open_parquet(shard.file).read_row_groups(groups, columns=list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        where = f"{shard.file}: row groups {shard.first_unit} to {shard.end_unit - 1}"
        raise InputError(f"{where} cannot be read ({error}); fetch the file again") from error


def plan_parquet(
    step: str, files: Iterable[Location], columns: Sequence[str], language: str, shard_rows: int
) -> list[Shard]:
    """Cut Parquet files into shards of whole row groups with about ``shard_rows`` rows each.

    Reads footers, and hashes small files whole. A missing column is an InputError that names the
    file and its columns.
    """
    shards: list[Shard] = []
    for file in files:
        with open_parquet(file) as parquet:
            names, metadata = parquet.schema_arrow.names, parquet.metadata
            if missing := [c for c in columns if c not in names]:
                raise InputError(
                    f"{file}: no column {', '.join(missing)}; it has {', '.join(names)}"
                )
            identity, first, first_row, rows = content_identity(file), 0, 0, 0
            for group in range(metadata.num_row_groups):
                rows += metadata.row_group(group).num_rows
                if rows >= shard_rows or group == metadata.num_row_groups - 1:
                    end = group + 1
                    shard_id = shard_id_of(f"{step}|{language}", identity, first, end)
                    shards.append(
                        Shard(shard_id, file, identity, first, end, first_row, rows, language)
                    )
                    first, first_row, rows = end, first_row + rows, 0
    return shards


def read_receipts(output: Location) -> dict[str, Receipt]:
    """Return the receipts that lie below ``output``, by shard id."""
    found = {}
    for file in (output / RECEIPTS).files():
        if file.name.endswith(".json"):
            receipt = Receipt(**file.read_json())
            found[receipt.shard_id] = receipt
    return found


def run_shards(
    step: str,
    shards: Sequence[Shard],
    work: Callable[[Shard], ShardOutput],
    output: Location,
    *,
    cpus_per_task: float = 1.0,
    on_receipt: Callable[[int, int], None] = lambda done, total: None,
) -> list[Receipt]:
    """Do ``work`` on every shard that has no receipt yet; return all receipts in plan order.

    Needs a connected Ray. An InputError that ``work`` raises is raised here. ``on_receipt(done,
    total)`` is called as shards finish. Two shards of equal content (the same file given twice)
    are one shard: its rows count once.
    """
    receipts = read_receipts(output)
    unique = list({shard.shard_id: shard for shard in shards}.values())
    pending = [shard for shard in unique if shard.shard_id not in receipts]
    done = len(unique) - len(pending)
    on_receipt(done, len(unique))
    for line in _map_shards(step, pending, work, output, cpus_per_task):
        answer = json.loads(line)
        if REFUSED in answer:
            raise InputError(answer[REFUSED])
        receipt = Receipt(**answer)
        receipts[receipt.shard_id] = receipt
        done += 1
        on_receipt(done, len(unique))
    return [receipts[shard.shard_id] for shard in unique]


def _map_shards(
    step: str,
    pending: Sequence[Shard],
    work: Callable[[Shard], ShardOutput],
    output: Location,
    cpus_per_task: float,
) -> Iterable[str]:
    """Yield each receipt, as JSON, as Ray Data finishes its shard, in any order.

    A shard whose input is wrong yields {REFUSED: why}: Ray Data's own wrapping of a task's error
    does not keep the error's type.
    """
    if not pending:
        return
    import ray.data

    shards = list(pending)

    def do_block(batch: dict[str, Any]) -> dict[str, list[str]]:
        numbers = [int(n) for n in batch["number"]]
        try:
            return {"receipt": [_do_shard(step, shards[n], work, output) for n in numbers]}
        except InputError as error:
            return {"receipt": [json.dumps({REFUSED: str(error)})]}

    blocks = min(len(shards), MAXIMUM_BLOCKS)
    numbers = ray.data.from_items(
        [{"number": n} for n in range(len(shards))], override_num_blocks=blocks
    )
    mapped = numbers.map_batches(do_block, batch_size=1, num_cpus=cpus_per_task)
    for row in mapped.iter_rows():
        yield row["receipt"]


def _do_shard(
    step: str, shard: Shard, work: Callable[[Shard], ShardOutput], output: Location
) -> str:
    """Do one shard: tables, then the receipt; return the receipt as JSON."""
    start = time.monotonic()
    made = work(shard)
    files = {}
    for name, table in made.tables.items():
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue()
        path = f"{name}/{shard.shard_id}.parquet"
        (output / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files[path] = {"rows": table.num_rows, "size_bytes": data.size, "sha256": digest}
    receipt = Receipt(
        shard_id=shard.shard_id,
        step=step,
        language=shard.language,
        file=shard.file.name,
        counts=made.counts,
        files=files,
        seconds=round(time.monotonic() - start, 3),
    )
    (output / RECEIPTS / f"{shard.shard_id}.json").write_json(asdict(receipt))
    return json.dumps(asdict(receipt))


def sum_counts(receipts: Iterable[Receipt]) -> dict[str, int]:
    """Add up the counts of several receipts, key by key."""
    total: dict[str, int] = {}
    for receipt in receipts:
        for key, value in receipt.counts.items():
            total[key] = total.get(key, 0) + value
    return total
