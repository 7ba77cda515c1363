"""Build the sample Parquet files and scanned PDFs from the readable sources beside this file.

Run ``python -m jobs.samples.build`` after a change in ``sources/`` and commit what it writes.
Rendering the pages needs the fonts of Debian's fonts-dejavu-core and fonts-noto-cjk.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.samples.render import images_to_pdf, render_page
from medray.languages import LANGUAGES

HERE = Path(__file__).parent
FILES_PER_LANGUAGE = 2
ROW_GROUP_ROWS = 10  # several row groups a file, so that even the samples are many shards


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def interleave(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mix medical and general documents, so that every shard holds both."""
    medical = [d for d in documents if d["medical"]]
    general = [d for d in documents if not d["medical"]]
    mixed = [d for pair in zip(medical, general, strict=False) for d in pair]
    return mixed + medical[len(general) :] + general[len(medical) :]


def build_corpus(code: str, target: Path) -> None:
    """Write one language's documents as Parquet with CulturaX's columns."""
    documents = interleave(read_lines(HERE / "sources" / code / "documents.jsonl"))
    rows = [
        {
            "text": document["text"],
            "timestamp": f"2026/01/{1 + number % 28:02d} 00:00:00",
            "url": f"https://samples.medray.example/{code}/{number:04d}",
            "source": "medray-samples",
        }
        for number, document in enumerate(documents)
    ]
    target.mkdir(parents=True, exist_ok=True)
    per_file = -(-len(rows) // FILES_PER_LANGUAGE)
    for part in range(FILES_PER_LANGUAGE):
        table = pa.Table.from_pylist(rows[part * per_file : (part + 1) * per_file])
        path = target / f"{code}_part_{part:05d}.parquet"
        pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS, compression="zstd")


def build_scan(code: str, target: Path) -> None:
    """Render one language's two textbook pages as an image-only PDF."""
    pages = read_lines(HERE / "sources" / code / "pages.jsonl")
    images = [
        render_page(page["running_header"], page["title"], page["paragraphs"], code, number)
        for number, page in enumerate(pages, start=1)
    ]
    target.mkdir(parents=True, exist_ok=True)
    images_to_pdf(images, target / f"{code}_textbook.pdf")


def main() -> int:
    for code in LANGUAGES:
        build_corpus(code, HERE / "corpus" / code)
        build_scan(code, HERE / "scans" / code)
        print(f"{code}: built")
    return 0


if __name__ == "__main__":
    sys.exit(main())
