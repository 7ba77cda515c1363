"""The medical filter of one shard against its physical floor: reading it and writing what is kept.

Each side reads the same row groups. medray then decides on every row and writes both tables, kept
and decisions; the floor knows beforehand which rows to keep, and writes these.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measure import compare
from texts import REAL_CORPUS, SOURCE, sample_texts, utf8_megabytes

from medray.corpus.curate import COLUMNS, filter_shard
from medray.corpus.medical_filter import MedicalFilterConfig
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.storage.shards import Shard, plan_parquet, read_row_groups

SHARD_MB = 8.0  # about 50 MB in six languages
ROW_GROUP_ROWS = 250  # as in the real files
CONFIG = MedicalFilterConfig()


def shard_of(code: str, folder: Path) -> Shard:
    """Return a real file as one shard, or one that is made of repeated samples."""
    if REAL_CORPUS.is_dir():
        file = min((REAL_CORPUS / code).glob("*.parquet"))
    else:
        texts = sample_texts(code, SHARD_MB)
        columns = {name: texts if name == "text" else [name] * len(texts) for name in COLUMNS}
        file = folder / f"{code}.parquet"
        pq.write_table(
            pa.table(columns), file, row_group_size=ROW_GROUP_ROWS, use_dictionary=False,
            compression="zstd",
        )  # fmt: skip
    (shard,) = plan_parquet("filter", [Location.of(file)], COLUMNS, code, shard_rows=20_000)
    return shard


def write(table: pa.Table, file: Location) -> None:
    """Write as ``run_shards`` does: zstd in memory, then the whole file, flushed to disk."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    file.write_bytes(sink.getvalue())


def filter_and_write(shard: Shard, folder: Location) -> None:
    """What a task does for one shard, but for its receipt."""
    for name, table in filter_shard(shard, CONFIG).tables.items():
        write(table, folder / f"{name}.parquet")


def floor(shard: Shard, keep: pa.ChunkedArray, folder: Location) -> None:
    """Read the shard and write the rows that are known to be kept."""
    write(read_row_groups(shard, COLUMNS).filter(keep), folder / "floor.parquet")


def main() -> None:
    print(f"bench_filter: {SOURCE}; speeds in MB of text read")
    with tempfile.TemporaryDirectory() as name:
        folder = Location.of(name)
        for code in LANGUAGES:
            shard = shard_of(code, Path(name))
            texts = [text or "" for text in read_row_groups(shard, ("text",))["text"].to_pylist()]
            output = filter_shard(shard, CONFIG)
            keep, megabytes = output.tables["decisions"]["keep"], utf8_megabytes(texts)
            compare(
                f"{code}: {megabytes:.1f} MB, {shard.rows} documents, "
                f"{output.counts['kept']} of them kept",
                {
                    "medray filter_shard, both tables": partial(filter_and_write, shard, folder),
                    "floor: read, write the kept": partial(floor, shard, keep, folder),
                    "of which filter_shard, no writing": partial(filter_shard, shard, CONFIG),
                },
                megabytes,
                "MB",
            )


if __name__ == "__main__":
    main()
