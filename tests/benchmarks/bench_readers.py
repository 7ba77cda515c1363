"""The readers, from files to batches of documents, against plain loops over the same files."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measure import compare
from texts import ROOT, SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.inputs import CorpusInput
from medray.corpus.readers import plan_input, read_documents
from medray.languages import LANGUAGES
from medray.storage.location import Location

LANGUAGE_MB = 8.0
PAGES = ROOT.parent / "shared" / "data" / "pages"
COLUMNS = ("text", "url", "timestamp", "source")


def write_files(folder: Path, texts: list[str]) -> None:
    """Write the texts as Parquet and as JSON lines, plain and compressed."""
    rest = {name: f"{name} of a document" for name in COLUMNS[1:]}
    records = [{"text": text} | rest for text in texts]
    pq.write_table(
        pa.Table.from_pylist(records), folder / "a.parquet", compression="zstd",
        row_group_size=1000, use_dictionary=False,
    )  # fmt: skip
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()
    (folder / "plain.jsonl").write_bytes(lines)
    escaped = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "escaped.jsonl").write_text(escaped)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines, 6))
    (folder / "a.jsonl.zst").write_bytes(pa.compress(lines, "zstd", asbytes=True))


def reader_of(path: Path) -> Callable[[], None]:
    """Return what reads a file; planned once, for a plan hashes files and a run plans once."""
    entry = CorpusInput(language="en", files=str(path))
    shards = plan_input("bench", entry, [Location.of(path)], 20_000, "inputs.0")

    def read_all() -> None:
        for shard in shards:
            for _ in read_documents(shard, entry):
                pass

    return read_all


def json_loop(path: Path, opened: Callable[[Path, str], object] = open) -> None:
    """The plain way: json.loads line by line, columns of Python strings, one Arrow table."""
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    with opened(path, "rb") as file:  # type: ignore[attr-defined]
        for line in file:
            record = json.loads(line)
            for name in COLUMNS:
                columns[name].append(record[name])
    pa.table(columns)


def read_table(path: Path) -> None:
    for batch in pq.ParquetFile(path).iter_batches(columns=list(COLUMNS), use_threads=False):
        batch.validate(full=True)


def bench_pages() -> None:
    """The extraction alone, in this process: what a child process does is not this one's CPU."""
    from medray.corpus.inputs import HtmlConfig
    from medray.corpus.readers.html_process import extract

    pages = [path.read_text("utf-8", "replace") for path in sorted(PAGES.glob("*.html"))]
    options = HtmlConfig().model_dump()

    def extract_all() -> None:
        for page in pages:
            extract(page, options)

    megabytes = utf8_megabytes(pages)
    compare(
        f"HTML: {len(pages)} pages, {megabytes:.1f} MB",
        {"trafilatura": extract_all},
        megabytes,
        "MB",
    )


def main() -> None:
    print(f"bench_readers: {SOURCE}, six languages; speeds in MB of text, as UTF-8")
    texts = [text for code in LANGUAGES for text in corpus_texts(code, LANGUAGE_MB)]
    megabytes = utf8_megabytes(texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, texts)
        title = f"{megabytes:.0f} MB, {len(texts)} documents"
        for file in ("plain.jsonl", "escaped.jsonl"):
            contestants = {
                "medray": reader_of(folder / file),
                "json.loads, columns, Arrow": partial(json_loop, folder / file),
            }
            compare(f"{file}: {title}", contestants, megabytes, "MB")
        compare(
            f"a.jsonl.gz, a.jsonl.zst: {title}",
            {
                "medray, .gz": reader_of(folder / "a.jsonl.gz"),
                "gzip, json.loads, columns, Arrow": partial(
                    json_loop, folder / "a.jsonl.gz", gzip.open
                ),
                "medray, .zst": reader_of(folder / "a.jsonl.zst"),
            },
            megabytes,
            "MB",
        )
        compare(
            f"a.parquet (zstd): {title}",
            {
                "medray": reader_of(folder / "a.parquet"),
                "pyarrow iter_batches, validated": partial(read_table, folder / "a.parquet"),
            },
            megabytes,
            "MB",
        )
    if PAGES.is_dir():
        bench_pages()


if __name__ == "__main__":
    main()
