from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Part
from medray.evaluation.benchmarks.files import rows_of

ABOUT = ("file", "folder", "row")


def rows(file: Path, **part: Any) -> list[dict[str, Any]]:
    found = list(rows_of(file, Part(files=file.name, **part)))
    assert [row["row"] for row in found] == list(range(len(found)))
    return [{key: row[key] for key in row if key not in ABOUT} for row in found]


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("name", "content", "part", "found"),
    [
        ("a.jsonl", '{"q": "1\u2028"}\n\n{"q": "2"}\n', {}, [{"q": "1\u2028"}, {"q": "2"}]),
        ("a.jsonl", b'\xef\xbb\xbf{"q": 1}', {}, [{"q": 1}]),
        ("a.json", '[{"q": 1}]', {}, [{"q": 1}]),
        (
            "a.json",
            '{"x": {"q": 1}, "y": {"q": 2}}',
            {},
            [{"key": "x", "q": 1}, {"key": "y", "q": 2}],
        ),
        ("a.json", '{"data": {"list": [{"q": 1}]}}', {"rows": "data.list"}, [{"q": 1}]),
        (
            "a.json",
            '{"exams": {"e1": {"year": "2015", "data": [{"q": 1}]}}}',
            {"rows": "exams.*.data"},
            [{"key": "e1", "year": "2015", "q": 1}],
        ),
        ("a.csv", 'q,a\n"one, ""two""\nthree",B\n', {}, [{"q": 'one, "two"\nthree', "a": "B"}]),
        ("a.csv", "one,B\n", {"header": ["q", "a"]}, [{"q": "one", "a": "B"}]),
        ("a.csv", "q;a\nx,y;B\n", {"delimiter": ";"}, [{"q": "x,y", "a": "B"}]),
        ("a.csv", "q\n肝\n".encode("gb18030"), {"encoding": "gb18030"}, [{"q": "肝"}]),
        ("a.tsv", "q\ta\nx,y\tB\n", {}, [{"q": "x,y", "a": "B"}]),
        ("a.txt", "q\ta\nx,y\tB\n", {"format": "tsv"}, [{"q": "x,y", "a": "B"}]),
        (
            "a.tsv",
            "Torsade\tB-D\nde\tI-D\n\n\nIs\tO\n",
            {"format": "iob"},
            [
                {"tokens": ["Torsade", "de"], "tags": ["B-D", "I-D"]},
                {"tokens": ["Is"], "tags": ["O"]},
            ],
        ),
        (
            "a.xml",
            '<d source="S"><f>F</f><p><q id="1">\n Why\n so? </q><a>A</a><a>B</a></p><p/></d>',
            {"rows": "p"},
            [
                {
                    "root": {"@source": "S", "text": "", "f": "F"},
                    "text": "",
                    "q": {"@id": "1", "text": "Why so?"},
                    "a": ["A", "B"],
                },
                {"root": {"@source": "S", "text": "", "f": "F", "p": ""}, "text": ""},
            ][:1],
        ),
        (
            "a.json",
            '{"Definition": ["Do."], "Instances": [{"input": "x", "output": "y"}]}',
            {"format": "task_json"},
            [{"input": "x", "output": ["y"], "definition": "Do."}],
        ),
        # MedS-Ins's scripts write one indented object into a .jsonl.
        (
            "a.jsonl",
            '{\n"Definition": "Do.",\n"Instances": [{"input": "x", "output": ["y", "z"]}]\n}\n',
            {"format": "task_json"},
            [{"input": "x", "output": ["y", "z"], "definition": "Do."}],
        ),
        (
            "a.jsonl",
            '{"input": "x", "output": "y"}\n{"input": "u", "output": "v"}\n',
            {"format": "task_json"},
            [
                {"input": "x", "output": ["y"], "definition": ""},
                {"input": "u", "output": ["v"], "definition": ""},
            ],
        ),
        (
            "a.jsonl",
            '{"input": "x", "output": "y"}',
            {"format": "task_json"},
            [{"input": "x", "output": ["y"], "definition": ""}],
        ),
    ],
)
def test_formats(
    tmp_path: Path,
    name: str,
    content: str | bytes,
    part: dict[str, Any],
    found: list[dict[str, Any]],
) -> None:
    got = rows(written(tmp_path, name, content), **part)
    assert got[: len(found)] == found
    assert len(got) == len(found) + name.endswith(".xml")


def test_xlsx(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["q", "a", None], ["Which?", 2, None], [], ["Why?", None, None]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    assert rows(tmp_path / "a.xlsx") == [{"q": "Which?", "a": "2"}, {"q": "Why?", "a": ""}]


def test_rows_know_their_place_and_the_data_goes_first(tmp_path: Path) -> None:
    file = written(tmp_path, "a.jsonl", '{"row": "r7"}')
    [row] = rows_of(file, Part(files="a.jsonl"))
    assert row == {"file": "a", "folder": tmp_path.name, "row": "r7"}


@pytest.mark.parametrize(
    ("name", "content", "part", "told"),
    [
        ("a.jsonl", '{"q": 1}\n{"q"\n', {}, "cannot be read as jsonl .*line 2: "),
        ("a.jsonl", "[1]\n", {}, r"row 0: an object is wanted, not \[1\]"),
        ("a.jsonl", b'{"q": "\xff"}', {}, "cannot be read as jsonl .*line 1: .*utf-8"),
        ("a.json", "[" * 100_000, {}, "cannot be read as json"),
        ("a.json", "[1, 2]", {}, "row 0: an object is wanted"),
        ("a.json", '{"x": 1}', {}, "cannot be read as json "),
        ("a.json", '{"x": 1}', {"rows": "data"}, "cannot be read as json .*'data'"),
        ("a.json", '{"x": 1}', {"rows": "x.*"}, "cannot be read as json "),
        ("a.csv", "q,a\nonly one\n", {}, "cannot be read as csv .*line 2 has another number"),
        ("a.csv", "q,a\n1,2,3\n", {}, "cannot be read as csv .*line 2 has another number"),
        ("a.csv", 'q,a\n"open,2\n', {}, "cannot be read as csv .*unexpected end"),
        ("a.xlsx", "no workbook", {}, "cannot be read as xlsx .*BadZipFile"),
        ("a.xml", "<d><p></d>", {}, "cannot be read as xml .*XMLSyntaxError"),
        ("a.tsv", "token\n", {"format": "iob"}, "cannot be read as iob .*line 1: token, tab, tag"),
        (
            "a.json",
            '{"Instances": [{"input": "x"}]}',
            {"format": "task_json"},
            "task_json .*'output'",
        ),
        ("a.docx", "x", {}, "a.docx: of what format is it"),
        ("a.json", "[]", {"reader": "hallmark"}, "no reader hallmark; there are pubmedqa_test"),
    ],
)
def test_a_file_that_is_not_of_its_format_is_named(
    tmp_path: Path, name: str, content: str | bytes, part: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as raised:
        rows(written(tmp_path, name, content), **part)
    assert name in str(raised.value) or "reader" in part


def test_an_entity_of_an_xml_file_opens_no_other_file(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret.txt", "do not read")
    entity = f'<!DOCTYPE d [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    file = written(tmp_path, "a.xml", f"{entity}<d><p><q>&e;</q></p></d>")
    assert "do not read" not in json.dumps(rows(file))
