"""Files that are one document each, and what a file's name tells."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow.fs as pafs
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.corpus.documents import INVALID_UTF8, TOO_LARGE
from medray.corpus.readers.files import GROUP_FILES, join, members
from medray.corpus.readers.lines import MAXIMUM_DOCUMENT_BYTES
from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.shards import Descriptors, shard_of

from .reading import check, entry_of, plan, read, read_shards, text_only, told


@pytest.mark.parametrize(
    ("name", "data", "encoding", "expected"),
    [
        ("a.txt", "été\r\n発熱".encode(), None, "été\r\n発熱"),
        ("a.txt", b"\xef\xbb\xbfa", None, "a"),
        ("a.txt", b"", None, ""),
        ("a.txt", b"caf\xe9", None, INVALID_UTF8),
        ("a.txt", b"caf\xe9", "windows-1252", "café"),
        ("a.txt", "температура".encode("koi8-r"), "koi8-r", "температура"),
        ("a.txt", "発熱".encode("utf-16"), "utf-16", "発熱"),
        ("a.txt", b"a\x00b", "utf-16", INVALID_UTF8),
        ("a.txt", b"+2AA-", "utf-7", INVALID_UTF8),
        ("a.txt.gz", gzip.compress(b"one") + gzip.compress(b" two"), None, "one two"),
        ("a.TXT.ZST", zstandard.compress(b"one"), None, "one"),
    ],
)
def test_a_text_file_is_one_document(
    tmp_path: Path, name: str, data: bytes, encoding: str | None, expected: str
) -> None:
    (tmp_path / name).write_bytes(data)
    (row,) = read([tmp_path / name], encoding=encoding)
    assert told([row]) == [expected]
    assert (row["url"], row["source"], row["timestamp"]) == (name, tmp_path.name, "")


def test_a_text_beyond_memory_is_told(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAXIMUM_DOCUMENT_BYTES + 1)
    assert told(read([tmp_path / "a.txt"])) == [TOO_LARGE]


def many(folder: Path, count: int) -> list[Path]:
    paths = []
    for number in range(count):
        path = folder / f"{number % 3}" / f"{number:05}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"text {number % 50}")
        paths.append(path)
    return paths


def test_small_files_share_shards_and_stay_one_document_each(tmp_path: Path) -> None:
    paths = many(tmp_path, 130)
    entry = entry_of(source_name="mine")
    shards = plan(paths, entry, shard_rows=50)
    assert [shard.rows for shard in shards] == [50, 50, 30]
    assert "and 49 more" in shards[0].file.name
    rows = read_shards(shards, entry)
    assert told(rows) == [f"text {number % 50}" for number in range(130)]
    assert [row["url"] for row in rows] == [path.name for path in paths]
    assert {row["source"] for row in rows} == {"mine"}


def test_equal_files_stay_different_documents(tmp_path: Path) -> None:
    rows = read(many(tmp_path, 130), shard_rows=40)
    assert len({row["document_id"] for row in rows}) == 130
    assert len({row["text"] for row in rows}) == 50


def test_however_many_files_a_shard_names_few(tmp_path: Path) -> None:
    shards = plan(many(tmp_path, GROUP_FILES + 1), entry_of(), shard_rows=20_000)
    assert [shard.rows for shard in shards] == [GROUP_FILES, 1]


def test_a_group_of_files_travels_as_a_descriptor(tmp_path: Path) -> None:
    entry = entry_of()
    shards = plan(many(tmp_path, 7), entry)
    descriptors = Descriptors.of(shards)
    (row,) = descriptors.table.to_pylist()
    arrived = shard_of(row, descriptors.filesystems)
    assert read_shards([arrived], entry) == read_shards(shards, entry)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)


@given(st.lists(PATHS, min_size=1, max_size=6), st.sampled_from(["/", "", "bucket/"]))
def test_joined_files_come_apart_again(names: list[list[str]], root: str) -> None:
    files = [Location(pafs.LocalFileSystem(), root + "/".join(parts)) for parts in names]
    assert [file.path for file in members(join(files))] == [file.path for file in files]


def test_formats_may_be_mixed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"text": "three"}')
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"four"))
    (tmp_path / "d.txt").write_text("five")
    rows = read(sorted(tmp_path.iterdir()), columns=text_only())
    assert told(rows) == ["one", "two", "three", "four", "five"]


def test_the_recipe_goes_before_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text('{"text": "a"}')
    (tmp_path / "a.data.gz").write_bytes(gzip.compress(b'{"text": "b"}'))
    paths = sorted(tmp_path.iterdir())
    assert told(read(paths, columns=text_only(), format="json_lines")) == ["a", "b"]
    assert told(read(paths[:1], format="text")) == ['{"text": "a"}']


@pytest.mark.parametrize("name", ["a", "a.csv", "a.gz", "a.parquet.gz", "a.txt.bz2", ".txt.d"])
def test_a_name_that_tells_no_format_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"its name does not tell its format; set format to"):
        check([tmp_path / name], entry_of())


def test_a_text_that_is_not_compressed_as_named_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(b"plain")
    with pytest.raises(InputError, match=r"a\.txt\.gz: not gzip data"):
        check([tmp_path / "a.txt.gz"], entry_of())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "utf-9"}, "no encoding utf-9"),
        ({"encoding": "base64"}, "no encoding base64"),
        ({"encoding": "unicode_escape"}, "no encoding unicode_escape"),
        ({"encoding": "utf-16", "format": "parquet"}, "parquet is always UTF-8"),
        ({"columns": {"body": "x"}}, "body"),
        ({"columns": {"text": None}}, "columns.text"),
        ({"format": "csv"}, "format"),
    ],
)
def test_a_wrong_recipe_is_told(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        entry_of(**settings)
