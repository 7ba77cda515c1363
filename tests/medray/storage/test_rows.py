from __future__ import annotations

from pathlib import Path

import pytest

from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.rows import read_rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"a": 1}\n\n{"a": "x\u2028y"}\n', [{"a": 1}, {"a": "x\u2028y"}]),
        ('\ufeff[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}\r\n{"a": 2}', [{"a": 1}, {"a": 2}]),
    ],
)
def test_lines_and_lists(tmp_path: Path, text: str, rows: list[object]) -> None:
    (tmp_path / "rows").write_bytes(text.encode())
    assert read_rows(Location.of(tmp_path / "rows")) == rows


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a": 1}\n{"a": ', "line 2: no JSON .*one object a line"),
        (b'[{"a": 1}', "no JSON"),
        (b"[1]", "row 1 is no object"),
        (b'{"a": 1}\n3', "row 2 is no object"),
        (b"\n", "holds no row"),
        (b"\xff\xfe\xfa", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "rows").write_bytes(data)
    with pytest.raises(InputError, match=told):
        read_rows(Location.of(tmp_path / "rows"))
