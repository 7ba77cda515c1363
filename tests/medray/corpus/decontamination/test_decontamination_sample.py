"""The flagged sample: seeded, whatever the order, safe to open, escaped."""

from __future__ import annotations

import csv
import io
import random
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa

from medray.corpus.decontamination.evidence import (
    CONTAMINATION,
    MAXIMUM_SHOWN_CHARACTERS,
    shortened,
)
from medray.corpus.decontamination.sample import (
    COLUMNS,
    FLAGGED,
    FlaggedSample,
    draw_sample,
    draw_sample_row,
    merge_flagged,
    to_csv,
    write_sample,
)
from medray.corpus.reports.audit_sheet import FORMULA_STARTS
from medray.storage.location import Location

HOSTILE = '</p><script>alert("x")</script><img src=http://evil.example/x onerror=alert(1)>'


def evidence(language: str, documents: range, text: str = "text") -> pa.Table:
    rows = [
        {
            "document_id": f"{language}:{document}",
            "language": language,
            "paragraph": paragraph,
            "start": 0,
            "end": len(text),
            "benchmark": "exam",
            "item_id": "item 1",
            "overlap_share": 0.75,
            "overlap_words": 30,
            "removed_text": text,
            "item_text": text,
        }
        for document in documents
        for paragraph in range(2)
    ]
    return pa.Table.from_pylist(rows, schema=CONTAMINATION)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_sample_is_the_same_in_any_order_and_counts_all() -> None:
    tables = [evidence(code, range(n, n + 10)) for code in ("zh", "en") for n in range(0, 50, 10)]
    sample = draw_sample(tables, seed=1, per_language=7)
    random.Random(0).shuffle(tables)
    again = draw_sample([pa.concat_tables(tables[:4]), *tables[4:]], seed=1, per_language=7)
    assert again == sample
    assert sample.rows["language"].to_pylist() == ["en"] * 7 + ["zh"] * 7
    assert sample.paragraphs == {("en", "exam"): 100, ("zh", "exam"): 100}
    assert sample.documents == {("en", "exam"): 50, ("zh", "exam"): 50}
    assert draw_sample(tables, seed=2, per_language=7).rows != sample.rows


def test_samples_of_groups_merge_to_the_sample_of_all() -> None:
    tables = [evidence(code, range(n, n + 10)) for code in ("zh", "en") for n in range(0, 50, 10)]
    tables.append(CONTAMINATION.empty_table())
    whole = draw_sample(tables, seed=1, per_language=7)
    rows = [draw_sample_row(tables[n::3], seed=1, per_language=7) for n in range(3)]
    assert all(row.num_rows == 1 and row.schema == FLAGGED for row in rows)
    samples = [FlaggedSample.from_table(row) for row in rows]
    merged = merge_flagged(samples, seed=1, per_language=7)
    assert merged == whole
    assert to_csv(merged) == to_csv(whole)
    assert FlaggedSample.from_table(whole.to_table()) == whole


def test_every_removal_has_the_same_chance() -> None:
    tables = [evidence("en", range(40))]
    chosen = [
        (row["document_id"], row["paragraph"])
        for seed in range(400)
        for row in draw_sample(tables, seed, per_language=8).rows.to_pylist()
    ]
    counts = [chosen.count(one) for one in set(chosen)]
    assert len(counts) == 80
    assert min(counts) > 15 and max(counts) < 75  # 40 expected, deviation 6


def test_csv_and_page(tmp_path: Path) -> None:
    tables = [evidence("en", range(3), HOSTILE), evidence("fr", range(2), '=1+1, "a"\n;b')]
    sample = draw_sample(tables, seed=0, per_language=50)
    write_sample(sample, Location.of(tmp_path / "report"), "a <b> corpus")
    data = (tmp_path / "report" / "contamination.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert len(rows) == 10
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["removed_text"] == HOSTILE
    assert rows[-1]["item_text"] == '\'=1+1, "a"\n;b'
    assert not any(cell.startswith(FORMULA_STARTS) for row in rows for cell in row.values())
    page = (tmp_path / "report" / "contamination.html").read_text(encoding="utf-8")
    parser = Tags()
    parser.feed(page)
    assert not {"script", "img", "b"} & set(parser.tags)
    assert parser.tags.count("article") == 10
    assert HOSTILE in parser.text
    assert "Contamination of a <b> corpus" in parser.text


def test_of_nothing_there_is_a_page_that_says_so(tmp_path: Path) -> None:
    sample = draw_sample([], seed=0, per_language=50)
    write_sample(sample, Location.of(tmp_path), "clean")
    assert sample.rows.num_rows == 0
    assert "Nothing was removed" in (tmp_path / "contamination.html").read_text(encoding="utf-8")


def test_long_texts_are_cut_for_the_reader() -> None:
    long = "x" * (MAXIMUM_SHOWN_CHARACTERS + 1)
    assert shortened(long) == long[:-1] + "…"
    assert shortened(long[1:]) == long[1:]
