"""The ledger of a step: parts while it runs, one file afterwards, whatever broke it off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.storage import receipts as module
from medray.storage.location import Location
from medray.storage.receipt_rows import receipts_of, rows_of
from medray.storage.receipts import Ledger
from medray.storage.shards import Receipt

words = st.text(max_size=8)
files = st.fixed_dictionaries(
    {"rows": st.integers(0, 2**40), "size_bytes": st.integers(0, 2**60), "sha256": words}
)
any_receipt = st.builds(
    Receipt,
    words,
    words,
    words,
    words,
    st.dictionaries(words, st.integers(-(2**60), 2**60), max_size=4),
    st.dictionaries(words, files, max_size=3),
    st.floats(allow_nan=False),
)


def receipt(name: str) -> Receipt:
    file = {"rows": 1, "size_bytes": 2, "sha256": "00"}
    return Receipt(name, "filter", "en", "a.parquet", {"kept": 1}, {f"kept/{name}.parquet": file})


@given(st.lists(any_receipt, max_size=5))
def test_receipts_come_back_from_rows_as_they_were(receipts: list[Receipt]) -> None:
    assert receipts_of(rows_of(receipts), with_files=True) == receipts


def test_a_driver_that_was_killed_finds_parts_and_single_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_OF_PART", 2)
    ledger = Ledger(Location.of(tmp_path))
    names = ["e", "d", "c", "b", "a"]
    book = ledger.open()
    for name in names:
        ledger.commit(receipt(name))
        book.write(receipt(name))
    parts = sorted(file.name for file in (tmp_path / "receipts").glob("*.parquet"))
    assert parts == ["c.parquet", "e.parquet"]
    # What stands in a part is not read again one by one.
    (tmp_path / "receipts" / "d.json").write_text("spoilt")
    found = ledger.open()
    assert all(name in found for name in names)
    rows = found.rows(sorted(names))
    assert receipts_of(rows, with_files=True) == [receipt(name) for name in sorted(names)]


def test_closing_sweeps_and_a_closing_broken_off_is_done_again(tmp_path: Path) -> None:
    ledger = Ledger(Location.of(tmp_path))
    ledger.commit(receipt("one"))
    (tmp_path / "kept").mkdir()
    for name in ("one.parquet", "orphan.parquet"):
        (tmp_path / "kept" / name).write_bytes(b"table")
    # The ledger stands there, and the folder of single receipts still does.
    module._write(ledger.output / "receipts.parquet", ledger.open().rows())
    ledger.close(ledger.open().rows(["one"]))
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["one.parquet"]
    assert not (tmp_path / "receipts").exists()
    assert [path for _, path in ledger.files()] == ["kept/one.parquet"]
    written = (tmp_path / "receipts.parquet").stat().st_mtime_ns
    ledger.close(ledger.open().rows(["one"]))
    assert (tmp_path / "receipts.parquet").stat().st_mtime_ns == written
