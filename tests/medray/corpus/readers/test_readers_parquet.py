"""Parquet as users have it: any text type, any column names, spoilt rows among good ones."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.documents import INVALID_UTF8, NO_TEXT
from medray.corpus.readers import read_documents
from medray.errors import InputError

from .reading import check, entry_of, plan, read, read_shards, text_only, told

TEXT_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.dictionary(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
def test_texts_are_read_whatever_their_type(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["été", None, "", "発熱"]).cast(kind)
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    rows = read([tmp_path / "a.parquet"], columns=text_only())
    assert told(rows) == ["été", NO_TEXT, "", "発熱"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.list_(pa.string()), pa.timestamp("s"), pa.null()])
def test_a_text_column_that_holds_no_text_is_told(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"text": pa.nulls(2, kind)}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: .*columns\.text: column text holds .*, not"):
        check([tmp_path / "a.parquet"], entry_of(columns=text_only()))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([0, None], pa.timestamp("us", "Asia/Tokyo")), ["1970-01-01T00:00:00Z", ""]),
        (pa.array([1_500, None], pa.timestamp("ms")), ["1970-01-01T00:00:01", ""]),
        (pa.array([1, None], pa.date32()), ["1970-01-02", ""]),
        (pa.array([1970, None], pa.int64()), ["1970", ""]),
        (pa.array(["May", None]).dictionary_encode(), ["May", ""]),
        (pa.array([b"M\xff", b"y"]), ["M�", "y"]),
        (pa.nulls(2), ["", ""]),
    ],
)
def test_a_timestamp_becomes_text(tmp_path: Path, values: pa.Array, expected: list[str]) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "day": values}), tmp_path / "a.parquet")
    rows = read([tmp_path / "a.parquet"], columns=text_only() | {"timestamp": "day"})
    assert [row["timestamp"] for row in rows] == expected


def test_columns_inside_a_struct_are_reached_by_a_dot(tmp_path: Path) -> None:
    meta = [{"url": "u1", "more": {"set": "s1"}}, None, {"url": None, "more": None}]
    table = pa.table({"text": ["a", "b", "c"], "meta": meta})
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "none.parquet")
    columns = {"url": "meta.url", "source": "meta.more.set", "timestamp": None}
    rows = read([tmp_path / "a.parquet", tmp_path / "none.parquet"], columns=columns)
    assert [row["url"] for row in rows] == ["u1", "", ""]
    assert [row["source"] for row in rows] == ["s1", "a.parquet", "a.parquet"]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=6), st.text(max_size=6)), max_size=30))
def test_only_rows_that_are_not_utf8_are_lost(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes | str | None]
) -> None:
    raw = [value.encode() if isinstance(value, str) else value for value in values]
    # As a careless writer makes it: the type says string, the bytes say otherwise.
    spoilt = pa.Array.from_buffers(pa.string(), len(raw), pa.array(raw, pa.binary()).buffers())
    path = tmp_path_factory.getbasetemp() / "spoilt.parquet"
    pq.write_table(pa.table({"text": spoilt}), path, row_group_size=7, use_dictionary=False)
    expected = []
    for value in raw:
        try:
            expected.append(NO_TEXT if value is None else value.decode())
        except UnicodeDecodeError:
            expected.append(INVALID_UTF8)
    assert told(read([path], shard_rows=7, columns=text_only())) == expected


def test_one_row_group_is_read_piece_by_piece_and_ids_count_its_rows(tmp_path: Path) -> None:
    texts = [f"{number} " + "x" * 40_000 for number in range(1500)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", compression="zstd")
    entry = entry_of(columns=text_only())
    (shard,) = plan([tmp_path / "a.parquet"], entry)
    tables = list(read_documents(shard, entry))
    assert len(tables) > 4
    assert max(table.nbytes for table in tables) < 20 * 2**20
    ids = [name for table in tables for name in table["document_id"].to_pylist()]
    assert ids == [shard.document_id(number) for number in range(1500)]


def test_row_groups_are_the_unit_of_shards(tmp_path: Path) -> None:
    table = pa.table({"text": [f"t{number}" for number in range(100)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10)
    entry = entry_of(columns=text_only())
    shards = plan([tmp_path / "a.parquet"], entry, shard_rows=30)
    assert [(s.first_unit, s.end_unit) for s in shards] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert {shard.origin for shard in shards} == {"inputs.0"}
    assert told(read_shards(shards, entry)) == table["text"].to_pylist()
    alone = read_shards(shards[1:2], entry)
    assert alone == read_shards(shards, entry)[30:60]


def test_a_missing_column_is_told_with_key_and_remedy(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "link": ["u"]}), tmp_path / "a.parquet")
    message = (
        r"a\.parquet: stages\.curate\.inputs\.0\.columns\.url: no column url; it has text, link"
    )
    with pytest.raises(InputError, match=message + ": .*or null"):
        check([tmp_path / "a.parquet"], entry_of())


def test_a_file_that_lost_its_column_after_the_plan_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    entry = entry_of(columns=text_only())
    shards = plan([tmp_path / "a.parquet"], entry)
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: .*no column text"):
        read_shards(shards, entry)


def test_a_million_rows_of_one_word_are_many_tables_at_most(tmp_path: Path) -> None:
    words = pa.array(["fever"]).take(pa.array([0] * 1_000_000))
    pq.write_table(pa.table({"text": words}), tmp_path / "a.parquet", row_group_size=250_000)
    entry = entry_of(columns=text_only())
    rows = sum(
        table.num_rows
        for shard in plan([tmp_path / "a.parquet"], entry, 250_000)
        for table in read_documents(shard, entry)
    )
    assert rows == 1_000_000


def test_the_real_corpus_is_read_unchanged(real_data: Path) -> None:
    path = min((real_data / "corpus" / "ja").glob("*.parquet"))
    rows = read([path])
    expected = pq.read_table(path).to_pylist()
    assert [row["text"] for row in rows] == [row["text"] for row in expected]
    assert [row["url"] for row in rows] == [row["url"] for row in expected]
    assert [row["source"] for row in rows] == [row["source"] for row in expected]
