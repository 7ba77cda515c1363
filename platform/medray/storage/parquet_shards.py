"""Parquet files as shards: planned by their footers, read in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from medray.errors import InputError
from medray.storage.location import Location, content_identity
from medray.storage.persistence import is_from_store, persist
from medray.storage.shards import UNKNOWN_ROWS, Shard, shard_id_of

# A shard ends where this much uncompressed data is reached, however few rows that is: about ten
# seconds of work, so that a kill costs little and the last task of a run is not waited for long.
SHARD_BYTES = 256 * 2**20
# Uncompressed bytes of one batch, about: small against the 1 GiB that a worker may take, large
# against the cost of a call.
BATCH_BYTES = 8 * 2**20
# Bytes read from a column chunk at a time. Without it a row group of 1 GiB is read at once.
READ_BYTES = 4 * 2**20
FOOTER_THREADS = 16
# A file up to this size is fetched from an object store at once: read column by column, a small
# table of 24 columns costs some 30 requests of 10 to 50 ms, each of which can fail.
WHOLE_FILE_BYTES = 4 * 2**20
# As ``end_unit``: up to the file's last row group.
ALL_UNITS = -1


def open_parquet(file: Location, buffer_size: int = 0) -> pq.ParquetFile:
    """Open a Parquet file; a torn or foreign file is an InputError that names it.

    Where pages have checksums, as all tables of medray do, they are verified: of single flipped
    bits in pages of zstd, 14 % decode to another text without any error.
    """
    try:
        source = _source(file)
        return persist(
            lambda: pq.ParquetFile(
                source,
                filesystem=file.filesystem if isinstance(source, str) else None,
                buffer_size=buffer_size,
                pre_buffer=False,
                page_checksum_verification=True,
            )
        )
    except (pa.ArrowInvalid, OSError) as error:
        if is_from_store(error):
            raise
        raise InputError(f"{file}: not a whole Parquet file ({error}); fetch it again") from error


def _source(file: Location) -> str | pa.BufferReader:
    """Return a file's path, or the whole of a small one that lies in an object store."""
    if not file.is_local:
        size_bytes = file.filesystem.get_file_info(file.path).size
        if size_bytes is not None and size_bytes <= WHOLE_FILE_BYTES:
            return pa.BufferReader(file.read_bytes())
    return file.path


def plan_parquet(
    step: str,
    files: Iterable[Location],
    columns: Sequence[str],
    language: str,
    shard_rows: int,
    origin: str = "",
) -> list[Shard]:
    """Cut Parquet files into shards of whole row groups with about ``shard_rows`` rows each.

    A shard ends before ``shard_rows`` where its row groups hold 256 MiB. Reads footers, several
    files at once, and hashes small files whole. A missing column is an InputError that names the
    file and its columns.
    """
    shards: list[Shard] = []
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        for planned in pool.map(
            lambda file: _plan_file(step, file, columns, language, shard_rows, origin), files
        ):
            shards += planned
    return shards


def _plan_file(
    step: str, file: Location, columns: Sequence[str], language: str, shard_rows: int, origin: str
) -> list[Shard]:
    with open_parquet(file) as parquet:
        names, metadata = parquet.schema_arrow.names, parquet.metadata
    if missing := [column for column in columns if column not in names]:
        raise InputError(f"{file}: no column {', '.join(missing)}; it has {', '.join(names)}")
    identity, shards = content_identity(file), []
    first, first_row, rows, size = 0, 0, 0, 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        rows, size = rows + row_group.num_rows, size + row_group.total_byte_size
        if rows >= shard_rows or size >= SHARD_BYTES or group == metadata.num_row_groups - 1:
            end = group + 1
            shard_id = shard_id_of(f"{step}|{language}", identity, first, end)
            shards.append(
                Shard(shard_id, file, identity, first, end, first_row, rows, language, origin)
            )
            first, first_row, rows, size = end, first_row + rows, 0, 0
    return shards


def whole_file(shard_id: str, file: Location, language: str) -> Shard:
    """Return a Parquet file as one shard without opening it: for tables that passes wrote."""
    return Shard(shard_id, file, "", 0, ALL_UNITS, 0, UNKNOWN_ROWS, language)


def read_batches(shard: Shard, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a shard's rows in tables of about 8 MiB, in order; at least one, perhaps empty.

    However large a row group is, only pieces of it are in memory. A page that cannot be decoded,
    or rows that are fewer or more than the footer tells, are an InputError that names the file
    and the row groups.
    """
    try:
        with open_parquet(shard.file, READ_BYTES) as parquet:
            end = parquet.num_row_groups if shard.end_unit == ALL_UNITS else shard.end_unit
            groups = list(range(shard.first_unit, end))
            batches = parquet.iter_batches(
                batch_size=_batch_rows(parquet.metadata, groups),
                row_groups=groups,
                columns=list(columns),
                use_threads=False,
            )
            rows = 0
            for batch in batches:
                rows += batch.num_rows
                yield pa.Table.from_batches([batch])
            told = sum(parquet.metadata.row_group(group).num_rows for group in groups)
            if rows != told:
                raise pa.ArrowInvalid(f"{rows} rows, where the footer tells {told}")
            if not rows:
                schema = parquet.schema_arrow
                fields = [schema.field(name) for name in columns if name in schema.names]
                yield pa.schema(fields).empty_table()
    except (pa.ArrowInvalid, OSError) as error:
        if is_from_store(error):
            raise
        where = str(shard.file)
        if shard.end_unit != ALL_UNITS:
            where += f": row groups {shard.first_unit} to {shard.end_unit - 1}"
        raise InputError(f"{where} cannot be read ({error}); fetch the file again") from error


def _batch_rows(metadata: pq.FileMetaData, groups: Sequence[int]) -> int:
    """Return how many rows make about ``BATCH_BYTES``, by the row groups' own figures."""
    rows: int = sum(metadata.row_group(group).num_rows for group in groups)
    size: int = sum(metadata.row_group(group).total_byte_size for group in groups)
    return max(1, min(rows, BATCH_BYTES * rows // max(1, size)))


def read_row_groups(shard: Shard, columns: Sequence[str]) -> pa.Table:
    """Read all of a shard's rows at once; errors as in ``read_batches``."""
    return pa.concat_tables(read_batches(shard, columns))
