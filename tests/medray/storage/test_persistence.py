"""Reads of a few bytes from an object store that often answers with an error."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.storage.location import Location, sha256_of
from medray.storage.parquet_shards import open_parquet
from medray.storage.persistence import persist
from object_store import Trouble, s3_server


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Location, Trouble]]:
    with s3_server() as (bucket, trouble):
        yield Location.of(f"{bucket}/small"), trouble


def test_small_files_are_read_through_errors_longer_than_themselves(
    store: tuple[Location, Trouble],
) -> None:
    folder, trouble = store
    (folder / "a.json").write_json({"a": 1})
    with (folder / "a.parquet").writing() as path:
        pq.write_table(pa.table({"a": [1]}), path)
    trouble.error_share = 0.1
    for _ in range(15):
        assert (folder / "a.json").read_json() == {"a": 1}
        assert sha256_of(folder / "a.json")[0] == 12
        assert open_parquet(folder / "a.parquet").metadata.num_rows == 1
    trouble.error_share = 0.0
    assert trouble.done["500"] > 5


def test_what_no_store_failed_at_is_not_tried_again() -> None:
    tries: list[int] = []

    def full() -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        persist(full)
    assert len(tries) == 1


def test_a_store_that_recovers_is_waited_for() -> None:
    tries: list[int] = []

    def second_time() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("AWS Error INTERNAL_FAILURE during GetObject operation")
        return "whole"

    assert persist(second_time) == "whole"
    assert len(tries) == 2
