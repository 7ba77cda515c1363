"""JSON lines: every line once however the file is cut, and no line that brings a run down."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.documents import INVALID_UTF8, MALFORMED, NO_TEXT, TOO_LARGE
from medray.corpus.readers import apart_by_language, plan_input, read_documents
from medray.corpus.readers.json_lines import BLOCK_BYTES
from medray.corpus.readers.lines import MAXIMUM_DOCUMENT_BYTES, lines_of_range, split_lines
from medray.errors import InputError
from medray.storage.location import Location

from .reading import check, entry_of, plan, read, read_shards, text_only, told


def lines_of(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_columns_are_taken_as_culturax_names_them(tmp_path: Path) -> None:
    record = {
        "text": "été 発熱",
        "timestamp": "2020-01-02",
        "url": "https://x.example",
        "source": "mC4",
    }
    (tmp_path / "a.jsonl").write_bytes(lines_of(record))
    (row,) = read([tmp_path / "a.jsonl"])
    assert {name: row[name] for name in record} == record
    assert row["document_id"].endswith(":0")


def test_columns_are_taken_as_the_recipe_names_them(tmp_path: Path) -> None:
    records = [
        {"body": "one", "meta": {"link": "u1", "year": 2020}, "meta.set": "dotted"},
        {"body": "two", "meta": "no object"},
        {"body": "three", "meta": {"link": ["a", None]}, "meta.set": ""},
    ]
    (tmp_path / "a.ndjson").write_bytes(lines_of(*records))
    columns = {"text": "body", "url": "meta.link", "timestamp": "meta.year", "source": "meta.set"}
    rows = read([tmp_path / "a.ndjson"], columns=columns, source_name="mine")
    assert told(rows) == ["one", "two", "three"]
    assert [row["url"] for row in rows] == ["u1", "", '["a", null]']
    assert [row["timestamp"] for row in rows] == ["2020", "", ""]
    assert [row["source"] for row in rows] == ["dotted", "mine", "mine"]


def test_a_source_that_is_not_told_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "part 1.json").write_bytes(lines_of({"text": "a"}))
    (row,) = read([tmp_path / "part 1.json"], columns=text_only())
    assert (row["source"], row["url"], row["timestamp"]) == ("part 1.json", "", "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"text": "a"}\r', "a"),
        (b' \t {"text": "a"}', "a"),
        (b'{"text": ""}', ""),
        (b'{"text": "first", "text": "last"}', "last"),
        (b'{"text": "\\u0000"}', "\0"),
        (b'{"text": "\\ud83d\\ude00"}', "\U0001f600"),
        (b'{"text": "a", "score": NaN}', "a"),
        (b'{"text": "a", "score": ' + b"9" * 400 + b"}", "a"),
        (b'{"text": "a", "url": "\xff"}', "a"),
        (b'{"text": null}', NO_TEXT),
        (b'{"text": 5}', NO_TEXT),
        (b'{"text": ["a"]}', NO_TEXT),
        (b'{"other": "a"}', NO_TEXT),
        (b"{}", NO_TEXT),
        (b'{"text": "a\xff"}', INVALID_UTF8),
        (b'{"text": "\\ud800"}', INVALID_UTF8),
        (b'{"text": "\xed\xa0\x80"}', INVALID_UTF8),
        (b'{"text": "a"', MALFORMED),
        (b'{"text": "a"} {"text": "b"}', MALFORMED),
        (b'{"text": "a\x00"}', MALFORMED),
        (b"\x00\x00\x00", MALFORMED),
        (b'["text"]', MALFORMED),
        (b'"text"', MALFORMED),
        (b"null", MALFORMED),
        (b"[" * 100_000, MALFORMED),
        (b'{"a":' * 100_000, MALFORMED),
    ],
)
def test_one_odd_line_changes_no_other(tmp_path: Path, line: bytes, expected: str) -> None:
    good = lines_of({"text": "good"})
    (tmp_path / "a.jsonl").write_bytes(good + line + b"\n" + good)
    rows = read([tmp_path / "a.jsonl"], columns=text_only() | {"url": None})
    assert told(rows) == ["good", expected, "good"]


def test_what_is_no_utf8_in_a_url_is_replaced_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a", "url": "x\xff\\ud800"}')
    (row,) = read([tmp_path / "a.jsonl"], columns=text_only() | {"url": "url"})
    assert (row["text"], row["url"]) == ("a", "x��")


def test_marks_ends_and_empty_lines_make_no_document(tmp_path: Path) -> None:
    record = lines_of({"text": "a"}).rstrip()
    data = b"\xef\xbb\xbf" + record + b"\r\n\r\n\n   \n" + record
    (tmp_path / "a.jsonl").write_bytes(data)
    rows = read([tmp_path / "a.jsonl"], columns=text_only())
    assert told(rows) == ["a", "a"]
    second = data.rfind(record)
    assert [row["document_id"].split(":")[1] for row in rows] == ["0", str(second)]


def test_an_empty_file_has_no_document(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b""))
    assert read([tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"]) == []


LINES = st.lists(
    st.sampled_from(
        [
            b"",
            b'{"text": "a"}',
            b'{"text": "bb"}\r',
            b"{",
            '{"text": "é発"}'.encode(),
            b'{"text": "\xff"}',
        ]
    ),
    max_size=12,
)


@given(LINES, st.booleans(), st.lists(st.integers(0, 200), max_size=6))
def test_however_a_file_is_cut_its_documents_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ends: bool, cuts: list[int]
) -> None:
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    path.write_bytes(data)
    entry = entry_of(columns=text_only())
    whole = plan([path], entry)
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [replace(whole[0], first_unit=first, end_unit=end) for first, end in pairwise(borders)]
    expected = read_shards(whole, entry)
    assert read_shards(pieces, entry) == expected
    assert len(expected) == sum(1 for line in lines if line.strip())


@given(st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\xff" * 9]), max_size=8), st.booleans())
def test_a_cut_at_any_byte_loses_and_repeats_no_line(lines: list[bytes], ends: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    file = pa.BufferReader(data)
    whole = list(lines_of_range(file, 0, len(data)))
    for cut in range(len(data) + 1):
        parts = [*lines_of_range(file, 0, cut), *lines_of_range(file, cut, len(data))]
        # The range before a cut at 0 is empty, and no shard is.
        assert cut == 0 or parts == whole
    assert b"\n".join(line or b"" for _, line in whole) == data.removesuffix(b"\n")


@given(st.binary(max_size=60), st.integers(1, 7))
def test_pieces_of_any_size_give_the_same_lines(data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = list(split_lines(pieces, 0))
    assert b"\n".join(line or b"" for _, line in found) == data.removesuffix(b"\n")
    assert all(data[at : at + len(line or b"")] == line for at, line in found)


def test_a_large_file_is_cut_in_blocks(tmp_path: Path) -> None:
    line = json.dumps({"text": "x" * 2**20}).encode() + b"\n"
    (tmp_path / "a.jsonl").write_bytes(line * 65)
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(line * 65))
    entry = entry_of(columns=text_only())
    first, second = plan([tmp_path / "a.jsonl"], entry)
    assert (first.first_unit, first.end_unit, second.first_unit) == (0, BLOCK_BYTES, BLOCK_BYTES)
    assert (first.rows, second.end_unit) == (-1, 65 * len(line))
    assert first.shard_id != second.shard_id
    tables = list(read_documents(first, entry))
    assert sum(table.num_rows for table in tables) == 64
    assert max(table.nbytes for table in tables) < 10 * 2**20
    assert sum(table.num_rows for table in read_documents(second, entry)) == 1
    assert len(plan([tmp_path / "a.jsonl.zst"], entry)) == 1


def test_a_document_of_50_mb_is_read(tmp_path: Path) -> None:
    text = "fever " * (50_000_000 // 6)
    (tmp_path / "a.jsonl").write_bytes(lines_of({"text": "a"}, {"text": text}, {"text": "b"}))
    rows = read([tmp_path / "a.jsonl"], columns=text_only())
    assert [len(row["text"]) for row in rows] == [1, len(text), 1]


def test_a_line_without_end_is_told_and_never_held(tmp_path: Path) -> None:
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.write(lines_of({"text": "a"}))
        file.truncate(MAXIMUM_DOCUMENT_BYTES + 5 * 2**20)  # one line of zeros; takes no disk
        file.seek(0, 2)
        file.write(b"\n" + lines_of({"text": "b"}))
    entry = entry_of(columns=text_only())
    shards = plan([tmp_path / "a.jsonl"], entry)
    tracemalloc.start()
    rows = read_shards(shards, entry)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told(rows) == ["a", TOO_LARGE, "b"]
    assert peak < MAXIMUM_DOCUMENT_BYTES + 40 * 2**20


def test_a_block_inside_a_line_is_not_read_beyond_itself(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"x" * 1_000_000)
    with Location.of(tmp_path / "a.jsonl").open_input() as file:
        assert list(lines_of_range(file, 1000, 2000)) == []
        assert file.tell() <= 2000


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_lines_are_those_of_the_plain_file(tmp_path: Path, ending: str) -> None:
    pack = gzip.compress if ending == "gz" else zstandard.compress
    records = [{"text": f"text {number}"} for number in range(2000)]
    data = lines_of(*records)
    # Two members, as `cat a.gz b.gz` makes them, cut within a line.
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(pack(data[:7001]) + pack(data[7001:]))
    rows = read([path], columns=text_only())
    assert told(rows) == [record["text"] for record in records]
    offsets = [int(row["document_id"].split(":")[1]) for row in rows]
    assert [data.startswith(b'{"text": "text %d"' % n, at) for n, at in enumerate(offsets)] == [
        True
    ] * len(rows)


@pytest.mark.parametrize("ending", ["gz", "zst"])
@given(share=st.floats(0, 0.999))
def test_a_torn_compressed_file_is_told(
    tmp_path_factory: pytest.TempPathFactory, ending: str, share: float
) -> None:
    pack = gzip.compress if ending == "gz" else zstandard.compress
    data = pack(lines_of(*({"text": f"text {n * 7919 % 1000}"} for n in range(300))))
    path = tmp_path_factory.getbasetemp() / f"torn.jsonl.{ending}"
    path.write_bytes(data)
    entry = entry_of(columns=text_only())
    shards = plan([path], entry)
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=rf"torn\.jsonl\.{ending}: .*fetch it again"):
        read_shards(shards, entry)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'[\n{"text": "a"},\n{"text": "b"}]', "a JSON array, not JSON lines"),
        ("a.json", b'{\n  "text": "a"\n}', "first lines are no JSON objects"),
        (
            "a.jsonl",
            b"text,url\na,b\n",
            r"are no JSON objects; set stages\.curate\.inputs\.0\.format",
        ),
        ("a.jsonl", lines_of({"body": "a"}), r"inputs\.0\.columns\.text: no key text; it has body"),
        ("a.jsonl", gzip.compress(lines_of({"text": "a"})), "gzip data under another name"),
        ("a.jsonl.gz", lines_of({"text": "a"}), "not gzip data"),
        ("a.jsonl.zst", gzip.compress(b""), "not zstd data"),
        ("a.jsonl.gz", b"", "not gzip data"),
    ],
)
def test_what_is_no_json_lines_is_told_before_a_run(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as raised:
        check([tmp_path / name], entry_of(columns=text_only()))
    assert name in str(raised.value)


def test_a_mapped_key_that_no_line_has_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of({"text": "a", "uri": "u"}))
    with pytest.raises(InputError, match=r"columns\.url: no key url; it has text, uri: .*or null"):
        check([tmp_path / "a.jsonl"], entry_of())


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_two_columns_of_one_file_are_different_documents(tmp_path: Path, name: str) -> None:
    record = {"question": "q", "answer": "a"}
    if name == "a.jsonl":
        (tmp_path / name).write_bytes(lines_of(record))
    else:
        pq.write_table(pa.Table.from_pylist([record]), tmp_path / name)
    files = [Location.of(tmp_path / name)]
    rows, names = [], set()
    for column in ("question", "answer"):
        entry = entry_of(columns=text_only(column))
        shards = plan_input("test", entry, files, 100, "inputs.0")
        rows += read_shards(shards, entry)
        names |= {shard.shard_id for shard in shards}
    assert told(rows) == ["q", "a"]
    assert len(names) == 2
    assert len({row["document_id"] for row in rows}) == 2


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.txt"])
def test_one_file_under_two_languages_gives_ids_that_differ(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / name)
    else:
        (tmp_path / name).write_text('{"text": "one"}\n{"text": "two"}\n')
    english = entry_of(columns=text_only())
    entries = [english, english.model_copy(update={"language": "fr"})]
    alone = [plan([tmp_path / name], entry) for entry in (*entries, english)]
    shards = apart_by_language("test", [shard for planned in alone for shard in planned])
    ids = [{row["document_id"] for row in read_shards([s], english)} for s in shards]
    assert ids[0] == ids[2] == {row["document_id"] for row in read_shards(alone[0], english)}
    assert ids[0].isdisjoint(ids[1])
    assert apart_by_language("test", alone[1]) == alone[1]  # a file of one language keeps its ids
