"""Large shards for the benchmarks of the curate job: real documents, repeated, as Parquet files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from texts import REAL_CORPUS, SAMPLES

from medray.corpus.documents import DOCUMENT_COLUMNS
from medray.corpus.inputs import CorpusInput
from medray.corpus.passes.filter_pass import FilterPassConfig, FirstPass
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.storage.parquet_shards import plan_parquet
from medray.storage.shards import Shard

MIB = 2**20
COLUMNS = tuple(name for name in DOCUMENT_COLUMNS.names if name != "document_id")


def documents_of(code: str) -> pa.Table:
    """Return the real documents of a language, or the samples where there are none."""
    folder = (REAL_CORPUS if REAL_CORPUS.is_dir() else SAMPLES / "corpus") / code
    return pq.read_table(folder, columns=list(COLUMNS)).combine_chunks()


def write_corpus(
    code: str, documents: pa.Table, folder: Path, shards: int, shard_bytes: int, group_rows: int
) -> list[Shard]:
    """Write a file of so many shards, each of its own content; return the shards.

    ``shard_bytes``: of the table in memory, which is about its UTF-8 text.
    """
    repeats = -(-shard_bytes // documents.nbytes)
    rows = max(1, shard_bytes * documents.num_rows // documents.nbytes)
    file = folder / f"{code}.parquet"
    with pq.ParquetWriter(file, documents.schema, compression="zstd") as writer:
        for number in range(shards):
            turned = pa.concat_tables([documents.slice(number), documents.slice(0, number)])
            table = pa.concat_tables([turned] * repeats).slice(0, rows)
            writer.write_table(table, row_group_size=min(group_rows, rows))
    return plan_parquet("filter", [Location.of(file)], COLUMNS, code, rows, code)


def first_pass() -> FirstPass:
    """Return the first pass with its defaults; its inputs are named by their languages."""
    config = FilterPassConfig()
    return FirstPass(
        config,
        {code: config.filter.load_list(code) for code in LANGUAGES},
        {code: CorpusInput(language=code, files="") for code in LANGUAGES},
    )
