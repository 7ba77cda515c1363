"""Merging the small tables of many shards: workers merge groups of them, the driver what is left.

A step over 100,000 shards leaves as many tables of a few KB that one process wants the sum of.
Opened one by one that is minutes from a disk and hours from an object store. A group of tables is
itself a shard, namely some rows of the step's ledger, so it is merged as every other shard is
done: its merged table is written whole, its receipt is its commit, a kill repeats one group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pyarrow as pa

from medray.storage.location import Location, content_identity
from medray.storage.parquet_shards import open_parquet
from medray.storage.receipts import READ_THREADS, Ledger
from medray.storage.shards import Shard, ShardOutput, shard_id_of

# Tables that one task merges. So many the driver merges itself, for a walk takes a second to set
# up. A divisor of the 5,000 rows of a ledger's row group: a task decodes one of those.
TABLES_OF_GROUP = 500
# The driver reads no more merged tables than this: beyond 200,000 shards the groups grow.
MAXIMUM_GROUPS = 400
MERGED = "merged"

# Merges tables of shards, perhaps none, into one, the same in whatever order they come.
Merge = Callable[[Iterable[pa.Table]], pa.Table]


def plan_groups(step_output: Location, made_from: str = "") -> list[Shard]:
    """Return a finished step's shards in groups: each is a range of the rows of its ledger.

    Only the ledger's bytes are read, to name them: a step that was done anew has new groups, and
    so has a merge that depends on something else (``made_from``).
    """
    ledger = Ledger(step_output)
    count = ledger.count()
    if not count:
        return []
    identity = content_identity(ledger.file)
    size = max(TABLES_OF_GROUP, -(-count // MAXIMUM_GROUPS))
    shards = []
    for first in range(0, count, size):
        end = min(first + size, count)
        shard_id = shard_id_of(f"fold|{made_from}", identity, first, end)
        shards.append(Shard(shard_id, ledger.file, identity, first, end, first, end - first, ""))
    return shards


def merge_group(group: Shard, name: str, merge: Merge) -> Iterator[ShardOutput]:
    """Yield the table ``merged`` of a group's tables ``name``."""
    tables = read_tables(group.file.parent, name, group.first_unit, group.end_unit)
    merged = merge(tables)
    yield ShardOutput({MERGED: merged}, {"rows": merged.num_rows})


def read_tables(
    step_output: Location, name: str, first: int = 0, end: int | None = None
) -> Iterator[pa.Table]:
    """Yield the tables ``name`` of a finished step that have a row, in plan order.

    ``first``, ``end``: those of its ledger's rows in this range alone. Several files are read at
    once, for an object store answers each of a table's requests in 10 to 50 ms.
    """
    paths = (
        step_output / path
        for receipt, path in Ledger(step_output).files(first, end)
        if path.startswith(f"{name}/") and receipt.files[path]["rows"]
    )
    with ThreadPoolExecutor(READ_THREADS) as pool:
        while some := list(islice(paths, READ_THREADS)):
            yield from pool.map(_read, some)


def _read(file: Location) -> pa.Table:
    with open_parquet(file) as parquet:
        return parquet.read(use_threads=False)
