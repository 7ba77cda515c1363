"""The medical filter end to end: Parquet in, match, decide, Parquet out, kept and decisions.

Three contestants read the same file: medray; the published script's rule written plainly, which
writes the kept alone; and the physical floor, which knows beforehand what to keep, and writes it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from by_language import Work, compare_languages
from filter_peers import Scorer, published_scorer
from texts import REAL_CORPUS, SOURCE, sample_texts

from medray.corpus.medical.filter_config import PUBLISHED_THRESHOLDS, MedicalFilterConfig
from medray.corpus.medical.keywords import load_keywords
from medray.corpus.medical.medical_filter import MedicalFilter
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.storage.parquet_shards import read_batches, whole_file
from medray.storage.table_writer import parquet_writer

FILE_MB = 8.0
ROW_GROUP_ROWS = 250  # as in the real files
COLUMNS = ("text", "timestamp", "url", "source")
CONFIG = MedicalFilterConfig()


def file_of(code: str, folder: Path) -> Path:
    """Return a real file of a language, or one that is made of repeated samples."""
    if REAL_CORPUS.is_dir():
        return min((REAL_CORPUS / code).glob("*.parquet"))
    texts = sample_texts(code, FILE_MB)
    columns = {name: texts if name == "text" else [name] * len(texts) for name in COLUMNS}
    file = folder / f"{code}.parquet"
    pq.write_table(
        pa.table(columns), file, row_group_size=ROW_GROUP_ROWS, use_dictionary=False,
        compression="zstd",
    )  # fmt: skip
    return file


def batches(file: Path) -> Iterator[pa.Table]:
    """Yield the documents of a file as the job reads them: in batches of 8 MiB, on one thread."""
    return read_batches(whole_file("", Location.of(file), ""), COLUMNS)


def write(tables: list[pa.Table], file: Path) -> None:
    """Write tables as one, as the job writes its own."""
    table = pa.concat_tables(tables)
    with parquet_writer(file, table.schema) as writer:
        writer.write_table(table)


def filter_file(file: Path, code: str, medical_filter: MedicalFilter, folder: Path) -> float:
    """Write what the filter keeps and what it says of every row; return the share it keeps."""
    kept, decisions = [], []
    for documents in batches(file):
        judged = medical_filter(documents["text"].chunk(0), code)
        kept.append(documents.filter(judged.reasons.is_null()))
        columns = {"url": documents["url"], "reason": judged.reasons}
        decisions.append(pa.table(columns | dict(judged.scores)))
    write(kept, folder / "kept.parquet")
    write(decisions, folder / "decisions.parquet")
    return sum(map(len, kept)) / sum(map(len, decisions))


def filter_plainly(file: Path, code: str, scorer: Scorer, folder: Path) -> None:
    """Write what the published rule keeps."""
    threshold, kept = PUBLISHED_THRESHOLDS[code], []
    for documents in batches(file):
        texts = documents["text"].to_pylist()
        scores = [scorer(text) for text in texts]
        keep = [
            count >= threshold.keyword_count and under / len(text) >= threshold.density
            for text, (count, under) in zip(texts, scores, strict=True)
        ]
        kept.append(documents.filter(pa.array(keep)))
    write(kept, folder / "published.parquet")


def read_and_write(file: Path, keep: pa.ChunkedArray, folder: Path) -> None:
    """Read a file and write the rows that are known to be kept."""
    documents = pa.concat_tables(batches(file))
    write([documents.filter(keep)], folder / "floor.parquet")


def main() -> None:
    pa.set_cpu_count(1)
    medical_filter = MedicalFilter(CONFIG)
    print(f"bench_filter: {SOURCE}, engine {medical_filter.engine}")
    works = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for code, language in LANGUAGES.items():
            file = file_of(code, folder)
            texts = pa.concat_tables(batches(file))["text"]
            megabytes = sum(len(text.encode()) for text in texts.to_pylist()) / 1e6
            share = filter_file(file, code, medical_filter, folder)
            print(f"{code}: {megabytes:.1f} MB, {len(texts)} documents, {share:.0%} kept")
            reasons = medical_filter(texts.combine_chunks(), code).reasons
            scorer = published_scorer(load_keywords(code).words, language.spaced)
            contestants = {
                "medray": partial(filter_file, file, code, medical_filter, folder),
                "published script's rule, plainly": partial(
                    filter_plainly, file, code, scorer, folder
                ),
                "floor: read, write the kept": partial(
                    read_and_write, file, pa.chunked_array([reasons.is_null()]), folder
                ),
            }
            works[code] = Work(contestants, megabytes)
        compare_languages("Parquet (zstd) in, Parquet (zstd) out", works)


if __name__ == "__main__":
    main()
