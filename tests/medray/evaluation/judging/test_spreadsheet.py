from __future__ import annotations

import csv
import io
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.judging.spreadsheet import (
    GUARDED_STARTS,
    plain,
    read_table,
    safe,
    to_csv,
)
from medray.storage.location import Location

TEXTS = st.one_of(st.text(), st.builds(str.__add__, st.sampled_from(GUARDED_STARTS), st.text()))


@given(TEXTS)
def test_no_cell_is_a_formula_and_each_comes_back(text: str) -> None:
    cell = safe(text)
    assert not cell.startswith(tuple(set(GUARDED_STARTS) - {"'"}))
    assert plain(cell) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "\t=1", "'=1"])
def test_a_formula_is_made_text(text: str) -> None:
    assert safe(text) == f"'{text}"


def test_an_apostrophe_that_somebody_typed_stays() -> None:
    assert plain("'tis so") == "'tis so"
    assert plain(safe("'tis so")) == "'tis so"


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_a_table_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    file = tmp_path_factory.mktemp("tables") / "table.csv"
    file.write_bytes(to_csv(["a", "b"], [{"a": "x" + a, "b": b} for a, b in rows]))
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    found = list(read_table(Location.of(file), ["a", "b"]))
    assert found == [(n, {"a": "x" + a, "b": b}) for n, (a, b) in enumerate(rows, start=2)]


def test_a_lone_surrogate_is_written_as_its_code() -> None:
    assert b'"\\ud800"' in to_csv(["a"], [{"a": "\ud800"}])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_what_spreadsheets_save_is_read(tmp_path: Path, delimiter: str, encoding: str) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    remark = "回答内容基本正确，但是没有提到并发症；建议补充治疗方案。"
    writer.writerows([["Item", "choice", "remark"], ["1", "A", remark], ["", "", ""]])
    file = tmp_path / "table.csv"
    file.write_bytes(stream.getvalue().encode(encoding))
    (row,) = read_table(Location.of(file), ["item", "choice"])
    assert row == (2, {"item": "1", "choice": "A", "remark": remark})


def test_a_workbook_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for cells in (["item", "points", "remark"], [1, 7.5, "'=1"], [2, 3.0, None], [None] * 3):
        sheet.append(cells)
    book.save(tmp_path / "filled.xlsx")
    assert list(read_table(Location.of(tmp_path / "filled.xlsx"), ["item"])) == [
        (2, {"item": "1", "points": "7.5", "remark": "=1"}),
        (3, {"item": "2", "points": "3", "remark": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "row 1: no column item, choice"),
        (b"item,mark\n1,A\n", "row 1: no column choice; fill in a copy of the sheet"),
        (b'item,choice\n1,"A\n', "no CSV"),
        (b"PK\x03\x04 no workbook", "no xlsx"),
    ],
)
def test_what_is_no_table_names_the_file(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.csv: {told}"):
        list(read_table(Location.of(tmp_path / "x.csv"), ["item", "choice"]))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_table(Location.of(tmp_path / "none.csv"), ["item"]))
