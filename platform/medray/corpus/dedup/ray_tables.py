"""Ray Data as this package uses it: map over shards, bring rows of a key together, keep the rest.

A row that is shuffled stands for many documents (lists of hashes and ids, split by the key), for
Ray Data hashes keys row by row in Python where polars is not installed. A small corpus goes the
same way in this process: Ray Data takes a second or two to set up each walk, which is more than
a few thousand documents cost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet

if TYPE_CHECKING:
    from ray.data import Dataset

Work = Callable[[pa.Table], Iterable[pa.Table]]
Result = TypeVar("Result")
# Rows of a row group: a range of ids is read by the groups' statistics without reading the rest.
GROUP_ROWS = 100_000
# Ray Data begins a shuffle's task again 3 times and no more, and a reducer whose rows were lost
# with their node waits 1,800 s while it holds the CPU on which they would be made anew. A reducer
# that has waited for so long gives up, and a walk that broke off is begun anew from its files.
LOST_ROWS_WAIT_S = 60.0
WALK_ATTEMPTS = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """How work is done: in Ray's tasks of so many CPUs, or ``here``, in this process."""

    cpus_per_task: float
    here: bool = False


@dataclass(frozen=True)
class Walk:
    """A walk of Ray Data that has not begun: ``begin`` makes its dataset, as often as is asked."""

    begin: Callable[[], Dataset]

    def then(self, step: Callable[[Dataset], Dataset]) -> Walk:
        """Return the walk with one more step."""
        return Walk(lambda: step(self.begin()))


Tables = Walk | list[pa.Table]


def map_blocks(blocks: list[pa.Table], work: Work, schema: pa.Schema, means: Means) -> Tables:
    """Return the tables of ``schema`` that ``work`` yields of each block.

    Ray Data begins a task that dies again, however often (its default, max_retries -1).
    """
    if means.here:
        return [schema.empty_table(), *(table for block in blocks for table in work(block))]
    import ray.data

    def with_schema(block: pa.Table) -> Iterator[pa.Table]:
        # Of a block that yields nothing Ray Data makes a table without columns, and then cannot
        # join it with the others.
        yield schema.empty_table()
        yield from work(block)

    def begin() -> Dataset:
        dataset = ray.data.from_arrow(blocks)
        dataset.context.hash_shuffle_reduce_get_timeout_s = LOST_ROWS_WAIT_S
        return _map(dataset, with_schema, means)

    return Walk(begin)


def _map(dataset: Dataset, work: Work, means: Means) -> Dataset:
    return dataset.map_batches(
        work, batch_format="pyarrow", batch_size=None, num_cpus=means.cpus_per_task
    )


def bring_together(tables: Tables, key: str, partitions: int, work: Work, means: Means) -> Tables:
    """Do ``work`` on tables that each hold all rows of the values of ``key`` that occur in it.

    Ray Data's shuffle by keys emits each of its ``partitions`` as one block, however large.
    """
    if isinstance(tables, list):
        return list(work(pa.concat_tables(tables, promote_options="permissive")))
    shuffled = tables.then(lambda dataset: dataset.repartition(partitions, keys=[key]))
    return shuffled.then(lambda dataset: _map(dataset, work, means))


def in_one_task(function: Callable[..., Any], *arguments: Any, means: Means) -> Any:
    """Run a function in a Ray worker, so that what it reads never fills the driver's memory."""
    if means.here:
        return function(*arguments)
    import ray

    task = ray.remote(num_cpus=means.cpus_per_task, max_retries=-1)(function)
    return ray.get(task.remote(*arguments))


def collect(tables: Tables, schema: pa.Schema) -> pa.Table:
    """Return all tables, in any order, as one of ``schema``: for few and small ones."""

    def read(begun: Iterable[pa.Table]) -> pa.Table:
        kept = [table.select(schema.names).cast(schema) for table in begun if table.num_rows]
        return pa.concat_tables([schema.empty_table(), *kept])

    return _walked(tables, read)


def save(tables: Tables, file: Location, schema: pa.Schema) -> int:
    """Stream all tables, in any order, into one Parquet file; return the number of rows."""

    def stream(begun: Iterable[pa.Table]) -> int:
        rows = 0
        with file.writing() as path, pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for table in begun:
                if table.num_rows:
                    writer.write_table(table.select(schema.names).cast(schema))
                    rows += table.num_rows
        return rows

    return _walked(tables, stream)


def _walked(tables: Tables, consume: Callable[[Iterable[pa.Table]], Result]) -> Result:
    """Give ``consume`` all tables; begin the walk anew where workers or nodes were lost too often.

    What a walk reads are files, and what its tasks write are whole files with the same rows each
    time, so one that was begun twice leaves what one did. An error of ``work`` ends it at once.
    """
    if isinstance(tables, list):
        return consume(tables)
    from ray.exceptions import (
        GetTimeoutError,
        LocalRayletDiedError,
        NodeDiedError,
        ObjectLostError,
        WorkerCrashedError,
    )

    lost = (
        GetTimeoutError,
        LocalRayletDiedError,
        NodeDiedError,
        ObjectLostError,
        WorkerCrashedError,
    )
    for attempt in range(1, WALK_ATTEMPTS):
        try:
            return consume(_tables_of(tables))
        except lost as error:
            logger.warning(
                "workers or nodes were lost (%s): begun anew, %d of %d",
                type(error).__name__,
                attempt + 1,
                WALK_ATTEMPTS,
            )
    return consume(_tables_of(tables))


def _tables_of(walk: Walk) -> Iterator[pa.Table]:
    return iter(walk.begin().iter_batches(batch_format="pyarrow", batch_size=None))


def write(table: pa.Table, file: Location) -> None:
    """Write a table that is sorted by what ``read_range`` will be asked for."""
    with file.writing() as path:
        pq.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS)


def read(file: Location) -> pa.Table:
    """Read a whole Parquet file."""
    with open_parquet(file) as parquet:
        return parquet.read(use_threads=False)


def read_range(file: Location, column: str, first: int, end: int) -> pa.Table:
    """Read the rows whose ``column`` lies in [first, end)."""
    return pq.read_table(
        file.path,
        filesystem=file.filesystem,
        filters=[(column, ">=", first), (column, "<", end)],
        use_threads=False,
    )


def numbers(table: pa.Table, column: str) -> npt.NDArray[Any]:
    """Return a column without nulls as numpy."""
    return np.asarray(table[column].combine_chunks().to_numpy(zero_copy_only=False))


def lists_of(**types: pa.DataType) -> pa.Schema:
    """Return the schema of ``split_lists``: the key, and lists of each column's type."""
    return pa.schema([("key", pa.int64()), *((name, pa.list_(t)) for name, t in types.items())])


def split_lists(keys: npt.NDArray[np.int64], columns: Mapping[str, Any]) -> pa.Table:
    """Return one row a distinct key: ``key`` and of each column (array) the list of its values."""
    order = np.argsort(keys, kind="stable")
    present, starts = np.unique(keys[order], return_index=True)
    offsets = pa.array(np.append(starts, len(keys)).astype(np.int32))
    lists = {
        name: pa.ListArray.from_arrays(offsets, pa.array(values).take(pa.array(order)))
        for name, values in columns.items()
    }
    return pa.table({"key": pa.array(present, pa.int64())} | lists)


def flatten_lists(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """Return columns of lists as their values, all rows joined: ``split_lists`` undone."""
    return pa.table({name: table[name].combine_chunks().flatten() for name in names})
