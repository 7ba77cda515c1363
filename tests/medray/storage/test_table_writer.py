"""Tables written piece by piece: whole or not at all, on a full disk too."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.storage.location import Location, sha256_of
from medray.storage.table_writer import ROW_GROUP_BYTES, TableWriter


def numbers(first: int, count: int) -> pa.Table:
    return pa.table({"number": list(range(first, first + count))})


def test_pieces_become_one_table_in_order(tmp_path: Path) -> None:
    output = Location.of(tmp_path)
    with TableWriter(output, "shard") as writer:
        for first in range(0, 50, 10):
            writer.write("kept", numbers(first, 10))
        writer.write("kept/deeper", numbers(0, 0))
    assert pq.read_table(tmp_path / "kept/shard.parquet")["number"].to_pylist() == list(range(50))
    assert pq.read_table(tmp_path / "kept/deeper/shard.parquet").num_rows == 0
    size_bytes, digest = sha256_of(output / "kept/shard.parquet")
    told = writer.files["kept/shard.parquet"]
    assert told == {"rows": 50, "size_bytes": size_bytes, "sha256": digest}


def test_row_groups_stay_small_enough_to_be_read_piece_by_piece(tmp_path: Path) -> None:
    piece = pa.table({"text": ["x" * 2**20] * 4})
    with TableWriter(Location.of(tmp_path), "shard") as writer:
        for _ in range(10):
            writer.write("kept", piece)
    metadata = pq.ParquetFile(tmp_path / "kept/shard.parquet").metadata
    assert metadata.num_rows == 40
    sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert all(rows * 2**20 <= ROW_GROUP_BYTES + piece.nbytes for rows in sizes)
    assert len(sizes) > 1


def test_nothing_stands_there_before_all_is_written(tmp_path: Path) -> None:
    with TableWriter(Location.of(tmp_path), "shard") as writer:
        writer.write("kept", numbers(0, 5))
        assert list(Location.of(tmp_path).files()) == []
    assert [file.name for file in Location.of(tmp_path).files()] == ["shard.parquet"]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), TableWriter(Location.of(tmp_path), "s") as w:
        w.write("kept", numbers(0, 5))
        w.write("decisions", numbers(0, 5))
        raise RuntimeError("broken")
    assert list(Location.of(tmp_path).files(with_partial=True)) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_leaves_no_half_file(small_disk: Path) -> None:
    output = Location.of(small_disk)
    (output / "before.bin").write_bytes(b"x" * 1000)
    noise = random.Random(1)
    full = pytest.raises(OSError, match="no space left on the disk; what was finished is kept")
    with full, TableWriter(output, "shard") as writer:
        for _ in range(40):
            writer.write("kept", pa.table({"bytes": [noise.randbytes(2**20)]}))
    assert [file.name for file in output.files(with_partial=True)] == ["before.bin"]
    with pytest.raises(OSError, match=r"large\.bin: no space left"):
        (output / "large.bin").write_bytes(b"x" * 2**21)
    assert [file.name for file in output.files(with_partial=True)] == ["before.bin"]
