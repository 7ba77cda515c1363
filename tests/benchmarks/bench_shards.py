"""The driver with 100,000 shards: planning, going on after a kill, a step and a stage that end.

Each line is a fresh process. Receipts are written to disk as workers write them, but none is
flushed: that is the workers' time. Ray is needed for the last line alone, the merging of tables.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from processes import in_fresh_process

from medray.corpus.documents import DOCUMENT_COLUMNS
from medray.corpus.passes.decision_pass import KEYWORD_COUNTS
from medray.corpus.passes.walker import Pass, Walker
from medray.corpus.reports.statistics import Summary, merge_tables, summarise_keywords
from medray.storage.artifact import commit
from medray.storage.folding import MERGED, merge_group, plan_groups, read_tables
from medray.storage.location import Location
from medray.storage.mapping import run_shards
from medray.storage.parquet_shards import plan_parquet
from medray.storage.receipt_rows import rows_of
from medray.storage.receipts import ROWS_OF_PART, Ledger
from medray.storage.shards import Receipt, Shard, ShardOutput

FILES_AND_GROUPS = ((100, 1000), (2000, 50))
COLUMNS = tuple(name for name in DOCUMENT_COLUMNS.names if name != "document_id")
TABLES = ("decisions", "kept")
FOLDED_TABLES, KEYWORDS = 20_000, 200
# A curate stage of 100,000 shards holds 1,200,000 tables.
STAGE_SHARDS, STEPS, TABLES_OF_STEP = 100_000, ("filter", "screened", "decisions"), 4
MANIFEST: dict[str, Any] = {
    **dict.fromkeys(("kind", "stage", "job", "fingerprint"), ""),
    **{key: {} for key in ("config", "inputs", "counts", "results", "timings_s")},
    "job_version": 1,
    "seconds": 1.0,
}
# As many counts as a first pass gives.
REASONS = tuple(f"reason_{number}" for number in range(12))


def write_files(folder: Path, files: int, groups: int) -> None:
    """Write Parquet files of tiny row groups, each of its own content."""
    folder.mkdir()
    rows = pa.table({name: [name] * groups for name in COLUMNS})
    for number in range(files):
        table = rows.set_column(0, COLUMNS[0], pa.array([f"{number} {n}" for n in range(groups)]))
        pq.write_table(table, folder / f"{number:05}.parquet", row_group_size=1)


def plan(folder: Path) -> list[Shard]:
    """Return one shard for each row group."""
    files = list(Location.of(folder).files())
    return plan_parquet("filter", files, COLUMNS, "en", shard_rows=1)


def count_plan(folder: Path) -> int:
    return len(plan(folder))


def receipt_of(shard: Shard) -> Receipt:
    file = {"rows": shard.rows, "size_bytes": 10**6, "sha256": shard.shard_id * 4}
    tables = {f"{name}/{shard.shard_id}.parquet": file for name in TABLES}
    counts = {reason: int(shard.shard_id[:4], 16) for reason in REASONS}
    return Receipt(shard.shard_id, "filter", "en", shard.file.name, counts, tables, 1.0)


def leave_off(folder: Path, output: Path, saved: int) -> None:
    """Leave what a driver leaves that is killed when all is done; ``saved`` receipts in parts."""
    shards = plan(folder)
    for name in ("receipts", *TABLES):
        (output / name).mkdir(parents=True, exist_ok=True)
    for shard in shards:
        for name in TABLES:
            (output / name / f"{shard.shard_id}.parquet").touch()
    ledger = Ledger(Location.of(output))
    for first in range(0, saved, ROWS_OF_PART):
        part = shards[first : min(first + ROWS_OF_PART, saved)]
        ledger.save(rows_of(receipt_of(shard) for shard in part))
    for shard in shards[saved:]:
        text = json.dumps(asdict(receipt_of(shard)), indent=1)
        (output / "receipts" / f"{shard.shard_id}.json").write_text(text)


def walk(folder: Path, output: Path) -> int:
    """Plan and run a step in which nothing is left to do."""

    def never(shard: Shard) -> Iterator[ShardOutput]:
        raise AssertionError(shard)

    return len(run_shards("filter", plan(folder), never, Location.of(output)))


def write_summaries(output: Path) -> None:
    """Leave a finished pass whose shards have one summary each, of 200 keywords."""
    (output / "summary").mkdir(parents=True)
    words = [f"keyword{number}" for number in range(KEYWORDS)]
    counted = pa.table(
        {
            "language": ["en"] * KEYWORDS,
            "keyword": words,
            "documents": list(range(KEYWORDS)),
            "kept_documents": list(range(KEYWORDS)),
        }
    )
    table = summarise_keywords(counted.cast(KEYWORD_COUNTS)).to_table()
    file = {"rows": 1, "size_bytes": 10**4, "sha256": "0" * 64}
    receipts = []
    for number in range(FOLDED_TABLES):
        path = f"summary/{number:016x}.parquet"
        pq.write_table(table, output / path, compression="zstd")
        receipts.append(Receipt(f"{number:016x}", "decisions", "en", "a", {}, {path: file}))
    Ledger(Location.of(output)).write(rows_of(receipts))


def fold(output: Path, folded: Path) -> int:
    """Merge the summaries as the curate job does; return the last keyword's documents."""
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    step, merged = Location.of(output), Location.of(folded)
    work = partial(merge_group, name="summary", merge=merge_tables)
    run_shards("fold", plan_groups(step), work, merged)
    total = Summary.from_table(merge_tables(read_tables(merged, MERGED)))
    ray.shutdown()
    return int(total.rows("keywords")[-1]["documents"])


def pass_of(stage: Path, name: str) -> Pass:
    return Pass.of(Location.of(stage), name, {})


def write_stage(stage: Path) -> None:
    """Leave a stage whose passes are done: empty tables, and their ledgers."""
    for step in STEPS:
        one = pass_of(stage, step)
        names = [hashlib.sha256(f"{step}{n}".encode()).hexdigest() for n in range(STAGE_SHARDS)]
        tables = [f"table{number}" for number in range(TABLES_OF_STEP)]
        for table in tables:
            folder = one.folder.local_path() / table
            folder.mkdir(parents=True)
            for name in names:
                os.mknod(folder / f"{name[:16]}.parquet")
        rows = []
        for first in range(0, STAGE_SHARDS, ROWS_OF_PART):
            part = names[first : first + ROWS_OF_PART]
            rows.append(rows_of(receipt_of_tables(step, name, tables) for name in part))
        Ledger(one.folder).write(pa.concat_tables(rows))


def receipt_of_tables(step: str, name: str, tables: list[str]) -> Receipt:
    file = {"rows": 1, "size_bytes": 10**6, "sha256": name}
    files = {f"{table}/{name[:16]}.parquet": file for table in tables}
    return Receipt(name[:16], step, "en", "a.parquet", dict.fromkeys(REASONS, 1), files, 1.0)


def sweep_stage(stage: Path) -> None:
    context: Any = SimpleNamespace(output=Location.of(stage))
    Walker(context, 1, [pass_of(stage, step) for step in STEPS]).sweep()


def commit_stage(stage: Path) -> int:
    return len(commit(Location.of(stage), **MANIFEST).manifest.files)


def main() -> None:
    print("bench_shards: the driver's peak memory and time, imports included in memory")
    with tempfile.TemporaryDirectory() as name:
        for number, (files, groups) in enumerate(FILES_AND_GROUPS):
            folder = Path(name) / str(number)
            write_files(folder, files, groups)
            cost, shards = in_fresh_process(count_plan, folder)
            print(f"\n{shards} shards: {files} files of {groups} row groups\n  {'plan':44}{cost}")
        for title, saved in (("saved in parts", shards), ("all single files", 0)):
            output = Path(name) / f"output{saved}"
            leave_off(folder, output, saved)
            cost, _ = in_fresh_process(walk, folder, output)
            print(f"  {f'plan and go on, receipts {title}':44}{cost}")
            cost, _ = in_fresh_process(walk, folder, output)
            print(f"  {'plan and walk over the finished step':44}{cost}", flush=True)
        measure_fold(Path(name))
    with tempfile.TemporaryDirectory() as name:
        measure_end(Path(name) / "stage")


def measure_end(stage: Path) -> None:
    """Print what the end of a stage costs the driver that holds nothing else."""
    write_stage(stage)
    print(f"\na stage of {STAGE_SHARDS * len(STEPS) * TABLES_OF_STEP} tables")
    for title, function in (("sweep leftovers", sweep_stage), ("commit", commit_stage)):
        cost, _ = in_fresh_process(function, stage)
        print(f"  {title:44}{cost}", flush=True)


def measure_fold(folder: Path) -> None:
    """Print what merging the summaries of 20,000 shards costs the driver."""
    write_summaries(folder / "summaries")
    cost, _ = in_fresh_process(fold, folder / "summaries", folder / "folded")
    print(f"\n{FOLDED_TABLES} tables of shards\n  {'merge by groups, Ray started':44}{cost}")


if __name__ == "__main__":
    main()
