"""The sheet of the quality audit: written as CSV and as HTML, read back once it is marked."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from medray.corpus.reports.audit import Sample
from medray.corpus.reports.pages import environment
from medray.errors import InputError
from medray.intervals import proportion
from medray.languages import LANGUAGES
from medray.storage.location import Location

COLUMNS = (
    "number",
    "language",
    "document_id",
    "sentence",
    "before",
    "after",
    "medical",
    "remark",
)
MARKS = {"yes": True, "y": True, "no": False, "n": False}
# A spreadsheet computes a cell that begins so (OWASP, "CSV Injection"; the full-width forms are
# Excel's under a Japanese or Chinese locale).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
# Without it Excel reads UTF-8 as the machine's old code page.
BYTE_ORDER_MARK = "\ufeff"
# Excel writes the semicolon where the comma is the decimal sign: in French, Spanish, Russian.
DELIMITERS = (",", ";", "\t")


def to_csv(sample: Sample) -> bytes:
    """Return the sheet as CSV (UTF-8 with byte order mark) with empty ``medical`` and ``remark``.

    A cell that a spreadsheet would compute begins with an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in _numbered(sample):
        writer.writerow([_safe(str(row.get(name, ""))) for name in COLUMNS])
    return (BYTE_ORDER_MARK + stream.getvalue()).encode()


def to_html(sample: Sample, corpus: str) -> str:
    """Return the sheet as one page that loads nothing: marked by keyboard, exported as the CSV.

    Marks stay in the reader's browser, under the hash of the sample.
    """
    by_language: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _numbered(sample):
        by_language[row["language"]].append(row)
    return (
        environment()
        .get_template("audit.html")
        .render(
            corpus=corpus,
            columns=COLUMNS,
            formula_starts="".join(FORMULA_STARTS),
            sheet=hashlib.sha256(to_csv(sample)).hexdigest()[:16],
            by_language=by_language,
            sentences=sample.sentences,
            languages=LANGUAGES,
        )
    )


def read_marked(place: Location) -> dict[str, dict[str, Any]]:
    """Return by language {value, n, low, high, unmarked}: precision with Wilson's 95 % interval.

    ``n`` counts the rows marked yes or no. Raises InputError, with file and row, for a file that
    is no sheet, another mark, an unknown language or a number that stands twice.
    """
    yes: dict[str, int] = defaultdict(int)
    marked: dict[str, int] = defaultdict(int)
    unmarked: dict[str, int] = defaultdict(int)
    for language, mark in _marks(place):
        if mark is None:
            unmarked[language] += 1
        else:
            marked[language] += 1
            yes[language] += mark
    codes = [code for code in LANGUAGES if marked[code] or unmarked[code]]
    return {
        code: proportion(yes[code], marked[code]) | {"unmarked": unmarked[code]} for code in codes
    }


def _numbered(sample: Sample) -> list[dict[str, Any]]:
    """Return the rows in the languages' usual order, counted from 1."""
    order = {code: place for place, code in enumerate(LANGUAGES)}
    rows = sorted(sample.rows.to_pylist(), key=lambda row: order[row["language"]])
    return [row | {"number": number} for number, row in enumerate(rows, start=1)]


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def _marks(place: Location) -> Iterator[tuple[str, bool | None]]:
    seen: set[str] = set()
    for row_number, row in _rows(place):
        where = f"{place}: row {row_number}"
        if row["language"] not in LANGUAGES:
            raise InputError(
                f"{where}: no language {row['language']!r}; there are {', '.join(LANGUAGES)}"
            )
        if row["number"] in seen:
            raise InputError(f"{where}: number {row['number']} stands twice; keep one of the rows")
        seen.add(row["number"])
        mark = row["medical"].casefold()
        if mark and mark not in MARKS:
            raise InputError(
                f"{where}: medical is {row['medical']!r}; write yes or no, or leave it empty"
            )
        yield row["language"], MARKS[mark] if mark else None


def _rows(place: Location) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row as a spreadsheet counts, cells by column); blank rows are left out."""
    try:
        text = place.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: cannot be read ({error}); save it as CSV UTF-8") from error
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{place}: no CSV ({error}); save it as CSV UTF-8") from error
    names = [cell.strip() for cell in table[0]] if table else []
    if missing := [name for name in ("number", "language", "medical") if name not in names]:
        raise InputError(
            f"{place}: no column {', '.join(missing)}; mark a copy of audit.csv and keep its header"
        )
    for row_number, cells in enumerate(table[1:], start=2):
        if any(cell.strip() for cell in cells):
            padded = [cell.strip() for cell in cells] + [""] * (len(names) - len(cells))
            yield row_number, dict(zip(names, padded, strict=False))
