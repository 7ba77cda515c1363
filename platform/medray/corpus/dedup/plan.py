"""The plan of a deduplication: which shard has which number, and where its signatures lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from medray.corpus.dedup.keys import MAXIMUM_SHARDS, Keys, first_key
from medray.corpus.dedup.ray_tables import Means, numbers, read, read_range, write
from medray.corpus.dedup.signature_pass import TABLE
from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.shards import Descriptors, Shard, shard_of

# Blocks beyond this only lengthen Ray Data's bookkeeping; a block then holds several shards.
MAXIMUM_BLOCKS = 2000
# Below the work folder: the step that writes removals, with its ledger and its one table.
REMOVED, EVIDENCE = "removed", "evidence"


@dataclass(frozen=True)
class Desk:
    """Where one deduplication works; small, so tasks carry it. The plan lies in a file.

    How many shards a block holds, and how many partitions a shuffle has, changes no decision.
    """

    work: Location
    filesystems: tuple[pafs.FileSystem, ...]
    shards_of_block: int
    partitions: int | None
    means: Means

    @classmethod
    def lay(
        cls,
        shards: Sequence[Shard],
        work: Location,
        partitions: int | None,
        means: Means,
    ) -> Desk:
        """Write the plan and return its desk; InputError for more than 2^23 shards."""
        if len(shards) > MAXIMUM_SHARDS:
            raise InputError(
                f"{work}: {len(shards)} shards to deduplicate, {MAXIMUM_SHARDS} at most: "
                "use larger files, or one stage for each language"
            )
        descriptors = Descriptors.of(shards)
        number = pa.array(np.arange(len(shards)))
        desk = cls(
            work,
            descriptors.filesystems,
            -(-len(shards) // MAXIMUM_BLOCKS),
            partitions,
            means,
        )
        write(descriptors.table.append_column("number", number), desk.file("plan"))
        return desk

    def file(self, name: str) -> Location:
        """Return the place of an intermediate table."""
        return self.work / "between" / f"{name}.parquet"

    def blocks(self) -> list[pa.Table]:
        """Return the plan in pieces of consecutive shards."""
        plan, rows = read(self.file("plan")), self.shards_of_block
        return [plan.slice(first, rows) for first in range(0, plan.num_rows, rows)]

    def shards(self, block: pa.Table) -> Iterator[tuple[int, Shard]]:
        """Yield (number, shard) of rows of the plan."""
        for row in block.to_pylist():
            number: int = row.pop("number")
            yield number, shard_of(row, self.filesystems)

    def shards_of_numbers(self, wanted: Keys) -> Iterator[tuple[int, Shard]]:
        """Yield (number, shard) of some numbers, sorted."""
        if len(wanted):
            plan = read_range(self.file("plan"), "number", int(wanted.min()), int(wanted.max()) + 1)
            mask = np.isin(numbers(plan, "number"), wanted)
            yield from self.shards(plan.filter(pa.array(mask)))

    def signatures(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        """Read columns of a shard's signatures."""
        file = self.work / TABLE / f"{shard.shard_id}.parquet"
        return pq.read_table(
            file.path, filesystem=file.filesystem, columns=list(columns), use_threads=False
        )

    def rows_in_block(self, table: str, column: str, block: pa.Table) -> pa.Table:
        """Read those rows of an intermediate table whose document lies in a block's shards."""
        first, end = block["number"][0].as_py(), block["number"][-1].as_py() + 1
        return read_range(self.file(table), column, first_key(first), first_key(end))

    def removed_file(self, shard: Shard) -> Location:
        """Return the place of the removals of a shard's documents."""
        return removed_folder(self.work, shard.file) / f"{shard.first_row:012d}.parquet"


def evidence_folder(work: Location) -> Location:
    """Return the folder of all tables of removals, and of nothing else."""
    return work / REMOVED / EVIDENCE


def removed_folder(work: Location, kept_file: Location) -> Location:
    """Return the folder of the removals of one kept file's documents."""
    return evidence_folder(work) / kept_file.name.removesuffix(".parquet")


def key_range(keys: Keys, number: int) -> slice:
    """Return where in sorted keys one shard's documents stand."""
    first, end = np.searchsorted(keys, [first_key(number), first_key(number + 1)])
    return slice(int(first), int(end))


def columns_of(table: pa.Table) -> dict[str, Any]:
    """Return a table's columns as numpy arrays."""
    return {name: numbers(table, name) for name in table.column_names}
