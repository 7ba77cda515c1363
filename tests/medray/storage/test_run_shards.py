"""Shards over a real Ray: receipts commit, and no kill loses or repeats a shard."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from medray.errors import InputError
from medray.storage.location import Location, sha256_of
from medray.storage.mapping import do_shard, run_shards
from medray.storage.parquet_shards import plan_parquet, read_row_groups
from medray.storage.receipts import Ledger
from medray.storage.shards import Shard, ShardOutput, sum_counts

pytestmark = pytest.mark.usefixtures("ray_local")


@pytest.fixture
def shards(tmp_path: Path) -> list[Shard]:
    """Six shards of ten rows in two files."""
    for part in range(2):
        table = pa.table({"number": list(range(part * 30, part * 30 + 30))})
        pq.write_table(table, tmp_path / f"part{part}.parquet", row_group_size=10)
    files = [Location.of(tmp_path / f"part{part}.parquet") for part in range(2)]
    return plan_parquet("test", files, ["number"], "en", shard_rows=10)


def double(shard: Shard) -> Iterator[ShardOutput]:
    rows = read_row_groups(shard, ["number"])
    numbers = [2 * n for n in rows["number"].to_pylist()]
    yield ShardOutput({"kept": pa.table({"number": numbers})}, {"rows": len(numbers)})


def numbers_in(output: Location) -> list[int]:
    numbers: list[int] = []
    for file in (output / "kept").files():
        numbers += pq.read_table(file.path, filesystem=file.filesystem)["number"].to_pylist()
    return sorted(numbers)


ALL = [2 * n for n in range(60)]


def broken_off(shards: list[Shard], output: Location) -> None:
    """Do every shard, but end before the receipts are gathered, as a killed driver does."""
    for shard in shards:
        do_shard("test", shard, double, output)


def test_every_row_once_and_receipts_in_plan_order(shards: list[Shard], tmp_path: Path) -> None:
    output = Location.of(tmp_path / "output")
    receipts = run_shards("test", shards, double, output)
    assert [r.shard_id for r in receipts] == [s.shard_id for s in shards]
    assert sum_counts(receipts) == {"rows": 60}
    assert numbers_in(output) == ALL


def test_resuming_does_only_what_has_no_receipt(shards: list[Shard], tmp_path: Path) -> None:
    output = Location.of(tmp_path / "output")
    broken_off(shards[:4], output)
    before = {f.path: Path(f.path).stat().st_mtime_ns for f in (output / "kept").files()}

    def only_new(shard: Shard) -> Iterator[ShardOutput]:
        assert shard.shard_id in {s.shard_id for s in shards[4:]}
        yield from double(shard)

    seen: list[tuple[int, int]] = []
    receipts = run_shards(
        "test", shards, only_new, output, on_receipt=lambda done, total: seen.append((done, total))
    )
    assert seen[0] == (4, 6)
    assert seen[-1] == (6, 6)
    assert sum_counts(receipts) == {"rows": 60}
    assert numbers_in(output) == ALL
    after = {path: Path(path).stat().st_mtime_ns for path in before}
    assert after == before, "a receipted shard was written again"


def test_a_shard_without_receipt_is_done_again_in_place(
    shards: list[Shard], tmp_path: Path
) -> None:
    output = Location.of(tmp_path / "output")
    broken_off(shards, output)
    (output / "receipts" / f"{shards[0].shard_id}.json").delete_file()
    run_shards("test", shards, double, output)
    assert numbers_in(output) == ALL


def test_what_a_killed_writer_left_is_swept(shards: list[Shard], tmp_path: Path) -> None:
    output = Location.of(tmp_path / "output")
    broken_off(shards, output)
    orphan, torn = output / "kept" / "0123456789abcdef.parquet", tmp_path / "output/kept/.x.partial"
    orphan.write_bytes((tmp_path / "part0.parquet").read_bytes())
    torn.write_bytes(b"half")
    run_shards("test", shards, double, output)
    assert not orphan.exists()
    assert not torn.exists()
    assert numbers_in(output) == ALL


def test_a_finished_step_has_one_ledger_with_every_file(
    shards: list[Shard], tmp_path: Path
) -> None:
    output = Location.of(tmp_path / "output")
    run_shards("test", shards, double, output)
    assert not (output / "receipts").exists()
    told = {path: receipt for receipt, path in Ledger(output).files()}
    assert list(told) == [f"kept/{shard.shard_id}.parquet" for shard in shards]
    for path, receipt in told.items():
        size_bytes, digest = sha256_of(output / path)
        assert receipt.files[path] == {"rows": 10, "size_bytes": size_bytes, "sha256": digest}
    assert Ledger(output).read()[shards[0].shard_id].counts == {"rows": 10}


def test_a_worker_killed_in_the_middle_loses_nothing(shards: list[Shard], tmp_path: Path) -> None:
    output, marker = Location.of(tmp_path / "output"), tmp_path / "killed"

    def dies_once(shard: Shard) -> Iterator[ShardOutput]:
        yield from double(shard)
        if shard.shard_id == shards[2].shard_id and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    receipts = run_shards("test", shards, dies_once, output)
    assert marker.exists()
    assert sum_counts(receipts) == {"rows": 60}
    assert numbers_in(output) == ALL


def test_the_same_file_given_twice_counts_once(shards: list[Shard], tmp_path: Path) -> None:
    output = Location.of(tmp_path / "output")
    receipts = run_shards("test", [*shards, *shards], double, output)
    assert sum_counts(receipts) == {"rows": 60}


def test_wrong_input_in_a_worker_reaches_the_caller(shards: list[Shard], tmp_path: Path) -> None:
    output = Location.of(tmp_path / "output")

    def refuses(shard: Shard) -> Iterator[ShardOutput]:
        if shard.shard_id == shards[3].shard_id:
            raise InputError(f"{shard.file}: cannot be read")
        yield from double(shard)

    with pytest.raises(InputError, match="cannot be read") as caught:
        run_shards("test", shards, refuses, output)
    assert str(caught.value) == f"{shards[3].file}: cannot be read"
    assert shards[3].shard_id not in Ledger(output).read()


def test_a_filesystem_that_is_not_local_works_the_same(shards: list[Shard], tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    bucket = pafs.SubTreeFileSystem(str(tmp_path / "bucket"), pafs.LocalFileSystem())
    for folder in ("output/kept", "output/receipts"):
        bucket.create_dir(folder)
    output = Location(bucket, "output")
    assert not output.is_local
    run_shards("test", shards, double, output)
    assert numbers_in(output) == ALL
