"""The same readers on Google Cloud Storage, by real HTTP, through the store's errors."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.corpus.readers import check_input, plan_input
from medray.errors import InputError
from medray.recipe import expand
from medray.storage import object_store
from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet
from object_store import GoogleStore, google_server

from .reading import entry_of, read_shards, text_only, told

KEY = "stages.curate.inputs.0.files"
# In the order of their paths.
EXPECTED = ["from the bucket", "from parquet", "no_text", "from lines", "malformed", "from gzip"]


@pytest.fixture(scope="module")
def store() -> Iterator[GoogleStore]:
    """A store that fails at every twentieth request and holds a file of each kind."""
    with google_server(error_share=0.05) as served:
        folder = Location.of(served.uri("formats"))
        table = pa.table({"text": ["from parquet", None]})
        with (folder / "a #1.parquet").writing() as path:
            pq.write_table(table, path)
        (folder / "b.jsonl").write_bytes(b'{"text": "from lines"}\n{')
        (folder / "deep" / "c.jsonl.gz").write_bytes(gzip.compress(b'{"text": "from gzip"}'))
        Location.of(served.uri("a.jsonl")).write_bytes(b'{"text": "from the bucket"}')
        yield served


def read_pattern(pattern: str) -> list[dict[str, Any]]:
    entry = entry_of(columns=text_only())
    files = expand(pattern, {}, KEY)
    check_input(entry, files)
    return read_shards(plan_input("test", entry, files, 1000, "inputs.0"), entry)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", EXPECTED),
        ("formats/*", EXPECTED[1:]),
        ("formats/a*.parquet", EXPECTED[1:3]),
        ("formats/a #1.parquet", EXPECTED[1:3]),
        ("?.jsonl", EXPECTED[:1]),
        ("*/*.jsonl*", EXPECTED[3:]),
    ],
)
def test_a_pattern_is_read_through_errors(
    store: GoogleStore, pattern: str, found: list[str]
) -> None:
    assert told(read_pattern(store.uri(pattern))) == found


def test_a_pattern_that_matches_nothing_is_told(store: GoogleStore) -> None:
    with pytest.raises(InputError, match="no file matches"):
        expand(store.uri("formats/*.txt"), {}, KEY)


def test_a_store_that_is_gone_is_told_and_its_files_are_not_called_torn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_store, "GOOGLE_RETRY_S", 1)
    with google_server() as served:
        file = Location.of(served.uri("a.parquet"))
        with file.writing() as path:
            pq.write_table(pa.table({"text": ["a"]}), path)
        served.server.kill()
        with pytest.raises(OSError, match="google::cloud::Status"):
            open_parquet(file)
        with pytest.raises(InputError, match=rf"^{KEY}: gs://.* cannot be listed"):
            expand(served.uri("*"), {}, KEY)
