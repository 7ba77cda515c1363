"""Walks of Ray Data that break off: begun anew where workers were lost, ended by an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.exceptions import GetTimeoutError, ObjectLostError

from medray.corpus.dedup.ray_tables import (
    LOST_ROWS_WAIT_S,
    WALK_ATTEMPTS,
    Means,
    Walk,
    bring_together,
    map_blocks,
    save,
)
from medray.storage.location import Location

pytestmark = pytest.mark.usefixtures("ray_local")
ROWS = pa.schema([("key", pa.int64())])


def walk_that_breaks(folder: Path, times: int, error: str) -> tuple[Walk, list[int]]:
    """Return a shuffled walk whose reducing work fails ``times`` times; and its datasets' waits."""

    def number(block: pa.Table) -> Iterator[pa.Table]:
        yield block

    def fail(table: pa.Table) -> Iterator[pa.Table]:
        broken = folder / "broken"
        if table.num_rows and (so_far := len(broken.read_text())) < times:
            broken.write_text("x" * (so_far + 1))
            if error == "timeout":
                raise GetTimeoutError("rows of a lost node")
            if error == "lost":
                raise ObjectLostError("00" * 28, None, "")
            raise ValueError("a wrong row")
        yield table

    (folder / "broken").write_text("")
    means, waits = Means(1.0), list[int]()
    blocks = [pa.table({"key": [one, one + 1]}, schema=ROWS) for one in range(4)]
    walk = bring_together(map_blocks(blocks, number, ROWS, means), "key", 1, fail, means)
    assert isinstance(walk, Walk)

    def begin() -> object:
        dataset = walk.begin()
        waits.append(int(dataset.context.hash_shuffle_reduce_get_timeout_s))
        return dataset

    return Walk(begin), waits


def test_a_walk_that_lost_rows_is_begun_anew_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    walk, waits = walk_that_breaks(tmp_path, 2, "lost")
    with caplog.at_level(logging.WARNING, "medray"):
        assert save(walk, Location.of(tmp_path / "rows.parquet"), ROWS) == 8
    assert sorted(pq.read_table(tmp_path / "rows.parquet")["key"].to_pylist()) == sorted(
        [0, 1, 1, 2, 2, 3, 3, 4]
    )
    assert waits == [int(LOST_ROWS_WAIT_S)] * 3
    assert [f"{number} of {WALK_ATTEMPTS}" in caplog.text for number in (2, 3, 4)] == [
        True, True, False,
    ]  # fmt: skip


def test_a_walk_that_never_ends_well_is_given_up(tmp_path: Path) -> None:
    walk, waits = walk_that_breaks(tmp_path, 100, "timeout")
    with pytest.raises(GetTimeoutError):
        save(walk, Location.of(tmp_path / "rows.parquet"), ROWS)
    assert len(waits) == WALK_ATTEMPTS
    assert not (tmp_path / "rows.parquet").exists()


def test_an_error_of_the_work_ends_the_walk_at_once(tmp_path: Path) -> None:
    walk, waits = walk_that_breaks(tmp_path, 1, "wrong")
    with pytest.raises(ValueError, match="a wrong row"):
        save(walk, Location.of(tmp_path / "rows.parquet"), ROWS)
    assert len(waits) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
