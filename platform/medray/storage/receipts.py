"""Receipts on disk: a JSON file for each shard while a step runs, one Parquet file afterwards.

A worker writes its shard's receipt as JSON. The driver, which hears of every receipt, saves them
in parts of 5,000 while the step runs, so that going on after a kill reads some parts and at most
so many small files, whatever the number of shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet
from medray.storage.receipt_rows import RECEIPT_ROWS, receipts_of, rows_of
from medray.storage.shards import Receipt
from medray.storage.table_paths import TablePaths

RECEIPTS = "receipts"
LEDGER_NAME = "receipts.parquet"
# An object store answers a small read in 10 to 50 ms, so some are under way at once; more threads
# do not help, for Arrow keeps 25 connections to a store.
READ_THREADS = 24
# Files that one thread reads in a row: handing over single ones costs as much as reading them.
FILES_OF_TASK = 50
# Rows of a part and of a row group of the ledger: about 4 MB.
ROWS_OF_PART = 5000


@dataclass(frozen=True)
class Ledger:
    """The receipts of one step's output folder."""

    output: Location

    def commit(self, receipt: Receipt) -> None:
        """Write one shard's receipt: from now on the shard is done."""
        self._file(receipt.shard_id).write_json(asdict(receipt))

    def committed(self, shard_id: str) -> Receipt | None:
        """Return a shard's receipt where it lies alone, as it does soon after its commit."""
        file = self._file(shard_id)
        return Receipt(**file.read_json()) if file.is_file() else None

    def read(self) -> dict[str, Receipt]:
        """Return all receipts by shard id, without their files: those are most of their bytes."""
        return {receipt.shard_id: receipt for receipt in receipts_of(self.open().rows())}

    def open(self) -> ReceiptBook:
        """Return all receipts as a book that more can be written in."""
        book = ReceiptBook(self)
        kept = self.output / RECEIPTS
        names = [name for _, names in kept.walk() for name in names]
        for file in (self.file, *(kept / name for name in names if name.endswith(".parquet"))):
            if file.is_file():
                book.enter(_read(file))
        ids = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        for rows in _read_loose([self._file(shard_id) for shard_id in ids if shard_id not in book]):
            book.enter(rows)
        return book

    def save(self, rows: pa.Table) -> None:
        """Write some receipts of a step that is under way again, together, under the first's id."""
        _write(self.output / RECEIPTS / f"{rows['shard_id'][0]}.parquet", rows)

    def close(self, rows: pa.Table) -> None:
        """Make ``rows`` the receipts of a finished step and sweep what none of them names.

        Of a step that was closed before and has no new receipt, nothing is read or written. The
        folder of single receipts goes last: where it still lies, closing was broken off.
        """
        if (self.output / RECEIPTS).exists() or not self.file.is_file():
            self.write(rows)
            self._sweep()
            (self.output / RECEIPTS).delete_folder()

    def write(self, rows: pa.Table) -> None:
        """Make ``rows`` the receipts of a finished step; nothing is swept."""
        _write(self.file, rows)

    @property
    def file(self) -> Location:
        """The file of a finished step's receipts."""
        return self.output / LEDGER_NAME

    def count(self) -> int:
        """Return how many receipts a finished step has; 0 of a step that is not finished."""
        if not self.file.is_file():
            return 0
        with open_parquet(self.file) as parquet:
            return int(parquet.metadata.num_rows)

    def files(self, first: int = 0, end: int | None = None) -> Iterator[tuple[Receipt, str]]:
        """Yield (receipt, path below the output) of every table that a finished step wrote.

        ``first``, ``end``: of this range of receipts alone; little more than these is read.
        """
        if not self.file.is_file():
            return
        with open_parquet(self.file) as parquet:
            for rows in _read_range(parquet, first, end):
                for receipt in receipts_of(rows, with_files=True):
                    for path in receipt.files:
                        yield receipt, path

    def tables(self) -> TablePaths:
        """Return the paths of all tables that a finished step wrote, and nothing else of them."""
        return TablePaths.read(self.output, self.file)

    def _file(self, shard_id: str) -> Location:
        return self.output / RECEIPTS / f"{shard_id}.json"

    def _sweep(self) -> None:
        """Remove tables that no receipt names and what killed writers left half written."""
        tables = self.tables()
        for top in tables.folders():
            for folder, names in top.walk():
                for name in tables.others(folder, names):
                    (folder / name).delete_file()


@dataclass
class ReceiptBook:
    """The receipts of a step that is being done, as rows; each shard's last one counts."""

    ledger: Ledger
    _tables: list[pa.Table] = field(default_factory=lambda: [RECEIPT_ROWS.empty_table()])
    _rows: int = 0
    _places: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, Receipt] = field(default_factory=dict)

    def __contains__(self, shard_id: str) -> bool:
        return shard_id in self._places or shard_id in self._waiting

    def enter(self, rows: pa.Table) -> None:
        """Enter receipts that are on disk."""
        for number, shard_id in enumerate(rows["shard_id"].to_pylist(), self._rows):
            self._places[shard_id] = number
        self._tables.append(rows)
        self._rows += rows.num_rows

    def write(self, receipt: Receipt) -> None:
        """Enter a receipt that was committed just now; every 5,000 of them are saved together."""
        self._waiting[receipt.shard_id] = receipt
        if len(self._waiting) >= ROWS_OF_PART:
            self.ledger.save(self._turn_page())

    def rows(self, shard_ids: Sequence[str] | None = None) -> pa.Table:
        """Return the receipts of the shards, in their order; of all, as entered, by default."""
        self._turn_page()
        places = [self._places[name] for name in (self._places if shard_ids is None else shard_ids)]
        return pa.concat_tables(self._tables).take(pa.array(places, pa.int64()))

    def _turn_page(self) -> pa.Table:
        rows = rows_of(self._waiting.values())
        self._waiting.clear()
        self.enter(rows)
        return rows


def _read(file: Location) -> pa.Table:
    with open_parquet(file) as parquet:
        return parquet.read(use_threads=False)


def _read_range(parquet: pq.ParquetFile, first: int, end: int | None) -> Iterator[pa.Table]:
    """Yield the rows of a ledger from ``first`` up to, not including, ``end``, by row groups."""
    before = 0
    for group in range(parquet.num_row_groups):
        after = before + parquet.metadata.row_group(group).num_rows
        here = range(max(first, before), after if end is None else min(end, after))
        if here:
            rows = parquet.read_row_group(group, use_threads=False)
            yield rows.slice(here.start - before, len(here))
        before = after


def _write(file: Location, rows: pa.Table) -> None:
    with file.writing() as path:
        pq.write_table(rows, path, compression="zstd", row_group_size=ROWS_OF_PART)


def _read_loose(files: Sequence[Location]) -> Iterator[pa.Table]:
    """Yield the rows of JSON files; a bounded number of them is in memory as objects."""
    tasks = [files[n : n + FILES_OF_TASK] for n in range(0, len(files), FILES_OF_TASK)]
    with ThreadPoolExecutor(READ_THREADS) as pool:
        for first in range(0, len(tasks), READ_THREADS):
            yield from pool.map(_read_json, tasks[first : first + READ_THREADS])


def _read_json(files: Sequence[Location]) -> pa.Table:
    return rows_of(Receipt(**file.read_json()) for file in files)
