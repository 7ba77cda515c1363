"""A deduplication in a process of its own, which can be killed; and what it left."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from disturbed import Placed, spawn
from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.deduplicate import RESULT_NAME, deduplicate
from medray.corpus.dedup.signature_pass import READ_COLUMNS
from medray.runtime import RayRuntime
from medray.storage.location import Location
from medray.storage.parquet_shards import plan_parquet
from medray.storage.receipts import RECEIPTS

# Where a run is, by the newest of the tables between its walks; Ray Data shuffles in each of the
# places from "equal" on.
PLACE_AFTER = {
    "plan": "equal",
    "exact_unsorted": "equal",
    "exact": "pairs",
    "pairs_unsorted": "pairs",
    "pairs": "pairs",
    "members": "verify",
    "verified": "evidence",
    "removals": "evidence",
}
PLACES = ("signatures", "equal", "pairs", "verify", "evidence", "end")


@dataclass
class Deduplication(Placed):
    """One running deduplication; the log lies beside ``work``."""

    work: Path

    @classmethod
    def start(
        cls, kept: Path, work: Path, address: str, partitions: int, environment: Mapping[str, str]
    ) -> Deduplication:
        # Not as a script: its folder would come first in every process's path, and tests/medray in
        # it stand for the package. The paths are this process's, platform before tests.
        begin = f"import sys, {Path(__file__).stem} as runs; runs.main(*sys.argv[1:])"
        command = [sys.executable, "-c", begin, str(kept), str(work), address, str(partitions)]
        paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        log = work.with_suffix(".log")
        return cls(spawn(command, log, {**environment, **paths}), log, work)

    def place(self) -> str:
        """Return "start" or one of PLACES, by what this process wrote."""
        if (self.work / RESULT_NAME).exists():
            return "end"
        changed = {name: self._changed_ns(name) for name in PLACE_AFTER}
        newest = max(changed, key=changed.__getitem__)
        if changed[newest] > self.begun_ns:
            return PLACE_AFTER[newest]
        return "signatures" if any((self.work / RECEIPTS).glob("*.json")) else "start"

    def _changed_ns(self, name: str) -> int:
        try:
            return (self.work / "between" / f"{name}.parquet").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def main(kept: str, work: str, address: str, partitions: str) -> None:
    """Deduplicate; a file's name begins with its language."""
    files = [Location.of(file) for file in sorted(Path(kept).glob("*.parquet"))]
    tables = [
        table
        for file in files
        for table in plan_parquet("kept", [file], READ_COLUMNS, file.name.partition("_")[0], 10**9)
    ]
    runtime = RayRuntime(address)
    deduplicate(tables, DeduplicateConfig(), Location.of(work), runtime, partitions=int(partitions))
    runtime.shutdown()
