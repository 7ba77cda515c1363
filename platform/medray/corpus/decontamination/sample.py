"""The flagged sample: removed paragraphs beside the items that they touched, to be read."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import xxhash

from medray.corpus.decontamination.evidence import CONTAMINATION
from medray.corpus.reports.audit_sheet import BYTE_ORDER_MARK, FORMULA_STARTS
from medray.corpus.reports.pages import environment
from medray.languages import LANGUAGES
from medray.storage.location import Location

COLUMNS = ("number", *CONTAMINATION.names, "remark")
CSV_NAME, HTML_NAME = "contamination.csv", "contamination.html"


@dataclass(frozen=True)
class FlaggedSample:
    """Removals of least rank in each language, out of all that ``paragraphs`` counts.

    ``rows``: CONTAMINATION, by language and rank. ``paragraphs``, ``documents``: removed
    paragraphs, and documents that lost any, by (language, benchmark).
    """

    rows: pa.Table
    paragraphs: Mapping[tuple[str, str], int]
    documents: Mapping[tuple[str, str], int]


def draw_sample(evidence: Iterable[pa.Table], seed: int, per_language: int) -> FlaggedSample:
    """Draw at most ``per_language`` removals of each language, each with the same chance.

    ``evidence``: CONTAMINATION, in pieces; a document's rows lie in one piece. The order of the
    pieces does not matter: a removal's rank is a hash of seed, document and paragraph.
    """
    kept: dict[str, list[tuple[int, str, int, dict[str, object]]]] = {}
    paragraphs: Counter[tuple[str, str]] = Counter()
    documents: Counter[tuple[str, str]] = Counter()
    for table in evidence:
        rows = table.to_pylist()
        paragraphs.update((row["language"], row["benchmark"]) for row in rows)
        touched = {(row["document_id"], row["language"], row["benchmark"]) for row in rows}
        documents.update((language, benchmark) for _, language, benchmark in touched)
        for row in rows:
            document, paragraph = row["document_id"], row["paragraph"]
            name = f"contamination:{document}:{paragraph}".encode()
            rank = xxhash.xxh3_64_intdigest(name, seed)
            kept.setdefault(row["language"], []).append((rank, document, paragraph, row))
        kept = {
            code: sorted(ranked, key=lambda entry: entry[:3])[:per_language]
            for code, ranked in kept.items()
        }
    rows = [row for code in LANGUAGES for *_, row in kept.get(code, [])]
    return FlaggedSample(
        pa.Table.from_pylist(rows, schema=CONTAMINATION), dict(paragraphs), dict(documents)
    )


def write_sample(
    evidence: Iterable[pa.Table],
    folder: Location,
    corpus: str,
    seed: int = 0,
    per_language: int = 50,
) -> FlaggedSample:
    """Write ``contamination.csv`` and ``contamination.html`` into a folder; return the sample."""
    sample = draw_sample(evidence, seed, per_language)
    (folder / CSV_NAME).write_bytes(to_csv(sample))
    (folder / HTML_NAME).write_bytes(to_html(sample, corpus).encode())
    return sample


def to_csv(sample: FlaggedSample) -> bytes:
    """Return the sample as CSV (UTF-8 with byte order mark) with an empty column ``remark``.

    A cell that a spreadsheet would compute begins with an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for number, row in enumerate(sample.rows.to_pylist(), start=1):
        cells = row | {"number": number, "remark": ""}
        writer.writerow([_safe(str(cells[name])) for name in COLUMNS])
    return (BYTE_ORDER_MARK + stream.getvalue()).encode()


def to_html(sample: FlaggedSample, corpus: str) -> str:
    """Return the sample as one page that loads nothing and runs no script."""
    counts = [
        {
            "language": language,
            "benchmark": benchmark,
            "paragraphs": sample.paragraphs[language, benchmark],
            "documents": sample.documents[language, benchmark],
        }
        for language, benchmark in sorted(sample.paragraphs)
    ]
    template = environment().get_template("contamination.html")
    rows = sample.rows.to_pylist()
    return template.render(corpus=corpus, counts=counts, rows=rows, languages=LANGUAGES)


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
