"""Tables of many shards merged by groups: the same as at once, and no group merged twice."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.storage import folding as module
from medray.storage.folding import MERGED, merge_group, plan_groups, read_tables
from medray.storage.location import Location, sha256_of
from medray.storage.mapping import do_shard, run_shards
from medray.storage.receipt_rows import rows_of
from medray.storage.receipts import Ledger
from medray.storage.shards import Receipt


def step_of(folder: Path, shards: int) -> Location:
    """Leave a finished step: shard n has the rows 0 to n % 4, so every fourth has none."""
    (folder / "numbers").mkdir(parents=True)
    output, receipts = Location.of(folder), []
    for number in range(shards):
        path, values = f"numbers/{number:04}.parquet", list(range(number % 4))
        pq.write_table(pa.table({"number": pa.array(values, pa.int64())}), folder / path)
        size_bytes, digest = sha256_of(output / path)
        told = {"rows": len(values), "size_bytes": size_bytes, "sha256": digest}
        receipts.append(Receipt(f"{number:04}", "test", "en", "a.parquet", {}, {path: told}))
    Ledger(output).write(rows_of(receipts))
    return output


def add_up(tables: Iterable[pa.Table]) -> pa.Table:
    return pa.table({"number": [sum(sum(table["number"].to_pylist()) for table in tables)]})


def test_groups_hold_every_shard_once_and_are_named_by_what_they_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = step_of(tmp_path / "step", 10)
    assert len(plan_groups(step)) == 1
    monkeypatch.setattr(module, "TABLES_OF_GROUP", 4)
    groups = plan_groups(step)
    assert [(group.first_unit, group.end_unit) for group in groups] == [(0, 4), (4, 8), (8, 10)]
    names = {group.shard_id for group in groups}
    assert names == {group.shard_id for group in plan_groups(step)}
    assert not names & {group.shard_id for group in plan_groups(step, "another seed")}
    monkeypatch.setattr(module, "MAXIMUM_GROUPS", 2)
    assert [group.rows for group in plan_groups(step)] == [5, 5]
    assert plan_groups(Location.of(tmp_path / "nothing")) == []


def test_only_the_rows_asked_for_are_read_across_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medray.storage.receipts.ROWS_OF_PART", 3)
    step = step_of(tmp_path, 11)
    for first, end in ((0, None), (0, 3), (2, 7), (9, 11), (4, 4)):
        expected = [number for number in range(11)[first:end] if number % 4]
        tables = list(read_tables(step, "numbers", first, end))
        assert [table.num_rows for table in tables] == [number % 4 for number in expected]


@pytest.mark.usefixtures("ray_local")
def test_merged_by_groups_is_merged_at_once_and_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, output = step_of(tmp_path / "step", 10), Location.of(tmp_path / "folded")
    monkeypatch.setattr(module, "TABLES_OF_GROUP", 4)
    groups = plan_groups(step)
    work = partial(merge_group, name="numbers", merge=add_up)
    do_shard("fold", groups[0], work, output)  # and the driver is killed
    before = {file.path: Path(file.path).stat().st_mtime_ns for file in (output / MERGED).files()}
    receipts = run_shards("fold", groups, work, output)
    assert [receipt.shard_id for receipt in receipts] == [group.shard_id for group in groups]
    after = {file.path: Path(file.path).stat().st_mtime_ns for file in (output / MERGED).files()}
    assert len(after) == 3
    assert before.items() <= after.items()
    assert add_up(read_tables(output, MERGED)) == add_up(read_tables(step, "numbers"))
