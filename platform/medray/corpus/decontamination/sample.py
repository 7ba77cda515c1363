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
COUNTS = pa.schema(
    [("language", pa.string()), ("benchmark", pa.string()), ("paragraphs", pa.int64()),
     ("documents", pa.int64())]
)  # fmt: skip
# A sample as one row of a table.
FLAGGED = pa.schema(
    [
        ("rows", pa.list_(pa.struct(list(CONTAMINATION)))),
        ("counts", pa.list_(pa.struct(list(COUNTS)))),
    ]
)
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

    def to_table(self) -> pa.Table:
        """Return one row (FLAGGED) that holds it."""
        counts = [
            (language, benchmark, number, self.documents[language, benchmark])
            for (language, benchmark), number in sorted(self.paragraphs.items())
        ]
        names = COUNTS.names
        row = {
            "rows": self.rows.to_pylist(),
            "counts": [dict(zip(names, count, strict=True)) for count in counts],
        }
        return pa.Table.from_pylist([row], schema=FLAGGED)

    @classmethod
    def from_table(cls, table: pa.Table) -> FlaggedSample:
        """Return the sample that ``to_table`` made a row of."""
        (row,) = table.to_pylist()
        rows = pa.Table.from_pylist(row["rows"], schema=CONTAMINATION)
        keys = [(count["language"], count["benchmark"]) for count in row["counts"]]
        told = [
            dict(zip(keys, (count[name] for count in row["counts"]), strict=True))
            for name in ("paragraphs", "documents")
        ]
        return cls(rows, *told)


def draw_sample(evidence: Iterable[pa.Table], seed: int, per_language: int) -> FlaggedSample:
    """Draw at most ``per_language`` removals of each language, each with the same chance.

    ``evidence``: CONTAMINATION, in pieces; a document's rows lie in one piece. The order of the
    pieces does not matter: a removal's rank is a hash of seed, document and paragraph.
    """
    return merge_flagged(map(_all_of, evidence), seed, per_language)


def draw_sample_row(evidence: Iterable[pa.Table], seed: int, per_language: int) -> pa.Table:
    """Return the sample as a row (FLAGGED), to be merged with those of other shards."""
    return draw_sample(evidence, seed, per_language).to_table()


def merge_flagged(samples: Iterable[FlaggedSample], seed: int, per_language: int) -> FlaggedSample:
    """Return the sample of all that the samples were drawn from; of none, an empty one."""
    kept: dict[str, list[tuple[int, str, int, dict[str, object]]]] = {}
    paragraphs: Counter[tuple[str, str]] = Counter()
    documents: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        paragraphs.update(sample.paragraphs)
        documents.update(sample.documents)
        for row in sample.rows.to_pylist():
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


def _all_of(table: pa.Table) -> FlaggedSample:
    """Return a piece of evidence as the sample that leaves nothing out."""
    names = table.select(["document_id", "language", "benchmark"]).to_pylist()
    paragraphs = Counter((row["language"], row["benchmark"]) for row in names)
    touched = {(row["document_id"], row["language"], row["benchmark"]) for row in names}
    documents = Counter((language, benchmark) for _, language, benchmark in touched)
    return FlaggedSample(table, paragraphs, documents)


def write_sample(sample: FlaggedSample, folder: Location, corpus: str) -> None:
    """Write ``contamination.csv`` and ``contamination.html`` into a folder."""
    (folder / CSV_NAME).write_bytes(to_csv(sample))
    (folder / HTML_NAME).write_bytes(to_html(sample, corpus).encode())


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
