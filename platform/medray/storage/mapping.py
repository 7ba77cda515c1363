"""The one loop that maps work over shards with Ray Data."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import pyarrow as pa

from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.persistence import persist
from medray.storage.receipt_rows import receipts_of
from medray.storage.receipts import Ledger
from medray.storage.shards import (
    Descriptors,
    Receipt,
    Shard,
    ShardOutput,
    add_counts,
    shard_of,
)
from medray.storage.table_writer import TableWriter

REFUSED, FAILED = "refused", "failed"
# Blocks beyond this only lengthen Ray Data's bookkeeping; a block then holds several shards.
MAXIMUM_BLOCKS = 2000
# Ray Data starts no task that a free CPU is not at hand for, and looks every 0.1 s: a core then
# waits 0.12 s after each shard, the second one 0.9 s at the start (Ray 2.60). What it would hold
# back are receipts of 1 KB, so all tasks are handed to Ray at once, whose own queue has no gaps
# and whose autoscaler sees them all.
BACKPRESSURE_POLICIES = "backpressure_policies.enabled"


class ShardError(Exception):
    """A task could not do its shard; the first line says why, the others where in the code."""


Work = Callable[[Shard], Iterable[ShardOutput]]


def run_shards(
    step: str,
    shards: Sequence[Shard],
    work: Work,
    output: Location,
    cpus_per_task: float = 1.0,
    on_receipt: Callable[[int, int], None] = lambda done, total: None,
) -> list[Receipt]:
    """Do ``work`` on every shard that has no receipt yet; return all receipts in plan order.

    ``work`` yields at least one ShardOutput; it may yield many small ones, which are written as
    they come, so that a large shard needs little memory. Needs a connected Ray. An InputError
    that ``work`` raises is raised here. ``on_receipt(done, total)`` is called as shards finish.
    Two shards of equal content (the same file given twice) are one shard: its rows count once.
    At the end nothing lies below ``output`` but what a receipt names; the receipts returned here
    do not name their files (``medray.storage.receipts`` reads those that do).
    """
    unique = {shard.shard_id: shard for shard in shards}
    ledger = Ledger(output)
    book = ledger.open()
    pending = [shard for shard in unique.values() if shard.shard_id not in book]
    done = len(unique) - len(pending)
    on_receipt(done, len(unique))
    for line in _map_shards(step, pending, work, output, cpus_per_task):
        answer = json.loads(line)
        if REFUSED in answer:
            raise InputError(answer[REFUSED])
        if FAILED in answer:
            raise ShardError(answer[FAILED])
        book.write(Receipt(**answer))
        done += 1
        on_receipt(done, len(unique))
    rows = book.rows(list(unique))
    ledger.close(rows)
    return receipts_of(rows)


def _map_shards(
    step: str, pending: Sequence[Shard], work: Work, output: Location, cpus_per_task: float
) -> Iterable[str]:
    """Yield each receipt, as JSON, as Ray Data finishes its shard, in any order.

    Ray Data carries descriptors in and receipts out, never rows. A shard whose input is wrong
    yields {REFUSED: why}, one that fails {FAILED: why}.
    """
    if not pending:
        return
    import ray.data

    descriptors = Descriptors.of(pending)
    filesystems = descriptors.filesystems

    def do_block(block: pa.Table) -> pa.Table:
        lines = [
            _answer(step, shard_of(row, filesystems), work, output) for row in block.to_pylist()
        ]
        return pa.table({"receipt": pa.array(lines, pa.string())})

    rows_of_block = -(-len(pending) // MAXIMUM_BLOCKS)
    blocks = [
        descriptors.table.slice(first, rows_of_block)
        for first in range(0, len(pending), rows_of_block)
    ]
    # A task that dies with its worker or its node is begun again, however often (Ray Data's own
    # tasks have no limit of retries).
    descriptors_dataset = ray.data.from_arrow(blocks)
    descriptors_dataset.context.set_config(BACKPRESSURE_POLICIES, [])
    mapped = descriptors_dataset.map_batches(
        do_block, batch_format="pyarrow", batch_size=1, num_cpus=cpus_per_task
    )
    for row in mapped.iter_rows():
        yield row["receipt"]


def _answer(step: str, shard: Shard, work: Work, output: Location) -> str:
    """Do one shard; return its receipt, or why there is none.

    Ray Data's wrapping of a task's error loses its type and its words ("UDF failed to process a
    data block"), so errors travel as answers.
    """
    try:
        return persist(lambda: do_shard(step, shard, work, output))
    except InputError as error:
        return json.dumps({REFUSED: str(error)})
    except Exception as error:  # noqa: BLE001 - the task's outermost place; raised by the driver
        told = f"{step} of {shard.file}: {type(error).__name__}: {error}"
        return json.dumps({FAILED: told + "\n" + traceback.format_exc()})


def do_shard(step: str, shard: Shard, work: Work, output: Location) -> str:
    """Do one shard: tables, then the receipt; return the receipt as JSON."""
    start, counts = time.monotonic(), dict[str, int]()
    # Ray begins a block of many shards again where its worker died at the last of them.
    done = Ledger(output).committed(shard.shard_id)
    if done is not None:
        return json.dumps(asdict(done))
    writer = TableWriter(output, shard.shard_id)
    with writer:
        for made in work(shard):
            add_counts(counts, made.counts)
            for name, table in made.tables.items():
                writer.write(name, table)
    receipt = Receipt(
        shard_id=shard.shard_id,
        step=step,
        language=shard.language,
        file=shard.file.name,
        counts=counts,
        files=writer.files,
        seconds=round(time.monotonic() - start, 3),
    )
    Ledger(output).commit(receipt)
    return json.dumps(asdict(receipt))
