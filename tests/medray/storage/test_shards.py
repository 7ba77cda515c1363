from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.parquet_shards import plan_parquet, read_row_groups
from medray.storage.receipts import Ledger
from medray.storage.shards import Receipt, shard_id_of, sum_counts


def parquet(path: Path, groups: list[int], first: int = 0) -> Location:
    """Write row groups of the given sizes; column ``text`` counts the rows."""
    schema = pa.schema([("text", pa.string()), ("url", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for rows in groups:
            texts = [f"text {first + row}" for row in range(rows)]
            urls = [f"https://x.example/{t}" for t in texts]
            writer.write_table(pa.table({"text": texts, "url": urls}, schema=schema))
            first += rows
    return Location.of(path)


def test_a_shard_is_whole_row_groups_of_about_so_many_rows(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [4, 4, 4, 10, 1])
    shards = plan_parquet("filter", [file], ["text"], "en", shard_rows=8)
    assert [(s.first_unit, s.end_unit) for s in shards] == [(0, 2), (2, 4), (4, 5)]
    assert [(s.first_row, s.rows) for s in shards] == [(0, 8), (8, 14), (22, 1)]
    assert {s.language for s in shards} == {"en"}
    assert len({s.shard_id for s in shards}) == 3


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_shards_hold_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, groups: list[int], shard_rows: int
) -> None:
    file = parquet(tmp_path_factory.getbasetemp() / "shards.parquet", groups)
    shards = plan_parquet("filter", [file], ["text"], "en", shard_rows)
    texts, ids = [], []
    for shard in shards:
        rows = read_row_groups(shard, ["text"])
        assert rows.num_rows == shard.rows
        texts += rows["text"].to_pylist()
        ids += [shard.document_id(row) for row in range(shard.rows)]
    assert texts == [f"text {row}" for row in range(sum(groups))]
    assert len(set(ids)) == sum(groups)
    # All but a file's last shard reach the wanted size, and none does before its last row group.
    assert all(shard.rows >= shard_rows for shard in shards[:-1])


def test_document_ids_do_not_depend_on_how_the_file_is_cut(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [3, 3, 3])

    def ids(shard_rows: int) -> list[str]:
        shards = plan_parquet("filter", [file], ["text"], "en", shard_rows)
        return [shard.document_id(row) for shard in shards for row in range(shard.rows)]

    assert ids(1) == ids(4) == ids(100)
    assert ids(1)[5].endswith(":5")


def test_ids_name_content_not_place(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [2])
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes())
    parquet(tmp_path / "c.parquet", [2], first=7)
    files = [Location.of(tmp_path / f"{name}.parquet") for name in "abc"]
    first, copied, other = plan_parquet("filter", files, ["text"], "en", 10)
    assert first.shard_id == copied.shard_id
    assert first.document_id(0) == copied.document_id(0)
    assert first.shard_id != other.shard_id
    assert first.document_id(0) != other.document_id(0)


def test_the_step_and_the_language_are_part_of_a_shards_name(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [2])
    names = {
        plan_parquet(step, [file], ["text"], code, 10)[0].shard_id
        for step in ("filter", "windows")
        for code in ("en", "fr")
    }
    assert len(names) == 4
    assert shard_id_of("x", "y", 1, 23) != shard_id_of("x", "y", 12, 3)


def test_an_empty_file_has_no_row(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [])
    assert sum(s.rows for s in plan_parquet("filter", [file], ["text"], "en", 10)) == 0


def test_a_missing_column_is_told_with_file_and_columns(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [2])
    with pytest.raises(InputError, match=r"a\.parquet: no column body, title; it has text, url$"):
        plan_parquet("filter", [file], ["text", "body", "title"], "en", 10)


@pytest.mark.parametrize("kept_bytes", [0, 3, 100, -1])
def test_a_torn_file_is_told(tmp_path: Path, kept_bytes: int) -> None:
    parquet(tmp_path / "a.parquet", [50])
    data = (tmp_path / "a.parquet").read_bytes()[:kept_bytes]
    (tmp_path / "torn.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"torn\.parquet: not a whole Parquet file") as raised:
        plan_parquet("filter", [Location.of(tmp_path / "torn.parquet")], ["text"], "en", 10)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.parquet"):
        plan_parquet("filter", [Location.of(tmp_path / "none.parquet")], ["text"], "en", 10)


def test_a_spoilt_page_is_told_with_its_row_groups(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [200, 200])
    shard = plan_parquet("filter", [file], ["text"], "en", 400)[0]
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    # The footer stays whole: only the first column chunk's page is overwritten.
    data[4:200] = b"\xff" * 196
    (tmp_path / "a.parquet").write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"a\.parquet: row groups 0 to 1 cannot be read"):
        read_row_groups(shard, ["text"])


def receipt(shard_id: str, **counts: int) -> Receipt:
    return Receipt(shard_id, "filter", "en", "a.parquet", counts)


def test_receipts_are_read_by_shard(tmp_path: Path) -> None:
    ledger = Ledger(Location.of(tmp_path))
    assert ledger.read() == {}
    for name in ("one", "two"):
        ledger.commit(receipt(name, rows=2))
    (ledger.output / "receipts" / ".one.json.0123.partial").write_bytes(b"{")
    assert ledger.read() == {n: receipt(n, rows=2) for n in ("one", "two")}


def test_counts_are_added_key_by_key() -> None:
    total = sum_counts([receipt("a", kept=1, empty=2), receipt("b", kept=3)])
    assert total == {"kept": 4, "empty": 2}
    assert sum_counts([]) == {}
