"""Tables that people fill in with a spreadsheet: written as CSV, read back as CSV or xlsx."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence

from charset_normalizer import from_bytes

from medray.corpus.reports.audit_sheet import BYTE_ORDER_MARK, DELIMITERS, FORMULA_STARTS
from medray.errors import InputError
from medray.storage.location import Location

# The guard itself too, or a text that begins with '= would come back without its apostrophe.
GUARDED_STARTS = (*FORMULA_STARTS, "'")
# Excel cuts a longer cell; other programs read it whole.
EXCEL_CELL_CHARACTERS = 32_767


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet computes: an apostrophe before what would begin a formula.

    OWASP, "CSV Injection".
    """
    return f"'{cell}" if cell.startswith(GUARDED_STARTS) else cell


def plain(cell: str) -> str:
    """Return what ``safe`` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(GUARDED_STARTS) else cell


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return a table as CSV, UTF-8 with byte order mark; a column that a row lacks is empty."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([safe(row.get(name, "")) for name in columns] for row in rows)
    # A lone surrogate, which JSON may hold, is no UTF-8: it is written as \\uXXXX.
    return (BYTE_ORDER_MARK + stream.getvalue()).encode("utf-8", "backslashreplace")


def read_table(place: Location, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row as a spreadsheet counts, cells by column) of a CSV or xlsx file.

    Any of ``, ; tab`` between cells, and an encoding that a spreadsheet saved in place of UTF-8.
    Rows without any text are left out. InputError for no table, or one without a needed column.
    """
    try:
        data = place.read_bytes()
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error})") from error
    table = _xlsx(place, data) if data.startswith(b"PK") else _csv(place, data)
    names = [cell.strip().casefold() for cell in table[0]] if table else []
    if missing := [name for name in needed if name not in names]:
        raise InputError(
            f"{place}: row 1: no column {', '.join(missing)}; fill in a copy of the sheet and keep "
            "its header"
        )
    for number, cells in enumerate(table[1:], start=2):
        if any(cell.strip() for cell in cells):
            padded = [*map(plain, cells), *[""] * (len(names) - len(cells))]
            yield number, dict(zip(names, padded, strict=False))


def _csv(place: Location, data: bytes) -> list[list[str]]:
    text = _decoded(place, data)
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    # An answer may be longer than the reader's usual 131,072 characters.
    csv.field_size_limit(2**31 - 1)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{place}: no CSV ({error}); save it as CSV UTF-8 or xlsx") from error


def _decoded(place: Location, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Excel's "CSV" is the machine's code page: GB18030, Windows-1251. Keys and marks are ASCII.
        best = from_bytes(data).best()
    if best is None:
        raise InputError(f"{place}: no text; save it as CSV UTF-8 or xlsx")
    return str(best).removeprefix(BYTE_ORDER_MARK)


def _xlsx(place: Location, data: bytes) -> list[list[str]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, IndexError) as error:
        raise InputError(f"{place}: no xlsx ({error}); save it as CSV UTF-8 or xlsx") from error
    return [["" if cell is None else _cell(cell) for cell in row] for row in rows]


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
