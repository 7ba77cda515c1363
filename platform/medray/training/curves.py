"""Where the metrics of a run are written down: a file of lines, TensorBoard, a tracker."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from medray.storage.location import Location

METRICS_NAME = "metrics.jsonl"
TENSORBOARD_NAME = "tensorboard"
SAVE_EVERY_S = 60.0
Row = dict[str, Any]


class Tracker(Protocol):
    """A server of metrics beside the files."""

    def add(self, row: Row) -> None: ...


class Recorder:
    """Writes rows to ``metrics.jsonl`` and TensorBoard's files in a stage's folder.

    On local disk each row is there at once; an object store is given the whole file every minute,
    and TensorBoard's files at the end.
    """

    def __init__(self, output: Location, scratch: Path, tracker: Tracker | None = None) -> None:
        self._file, self._folder = output / METRICS_NAME, output / TENSORBOARD_NAME
        self._local = self._folder.local_path() if output.is_local else scratch
        self._rows: list[Row] = []
        if self._file.exists():
            # A last line that was torn, by a kill or a full disk, is of a step that is done again.
            lines = self._file.read_bytes().decode().splitlines(keepends=True)
            self._rows = [json.loads(line) for line in lines if line.endswith("\n")]
        self._writer: Any = None
        self._tracker = tracker
        self._saved = time.monotonic()

    def add(self, row: Row) -> None:
        if "begin" in row:
            self._begin(row["begin"], row["last"])
            return
        self._rows.append(row)
        self._draw(row)
        if self._tracker is not None:
            self._tracker.add(row)
        if self._file.is_local:
            with self._file.local_path().open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        elif time.monotonic() - self._saved > SAVE_EVERY_S:
            self._save()

    def _begin(self, step: int, last: list[Row]) -> None:
        """Write anew what is still true: rows up to the step that a worker group goes on after."""
        from tensorboardX import SummaryWriter

        self._rows = [row for row in self._rows if row["step"] <= step]
        known = {_name(row) for row in self._rows}
        missed = [row for row in last if _name(row) not in known]
        self._rows = sorted(self._rows + missed, key=_name)
        if self._tracker is not None:
            for row in missed:
                self._tracker.add(row)
        self._save()
        self.close()
        shutil.rmtree(self._local, ignore_errors=True)
        self._writer = SummaryWriter(str(self._local), flush_secs=10)
        for row in self._rows:
            self._draw(row)

    def _draw(self, row: Row) -> None:
        for name, value in flat(row):
            if name != "step":
                self._writer.add_scalar(name, value, row["step"])

    def _save(self) -> None:
        self._saved = time.monotonic()
        self._file.write_bytes("".join(json.dumps(row) + "\n" for row in self._rows).encode())

    def close(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        if not self._file.is_local:
            self._save()
            self._folder.upload(self._local)


def _name(row: Row) -> tuple[int, bool]:
    """Return what no other row of a run has, in order: a step is evaluated after it is done."""
    return row["step"], "loss" not in row


def flat(row: Row) -> Iterator[tuple[str, float]]:
    """Yield a row's numbers, those of a group in it as ``group/name``; what is None is left out."""
    for name, value in leaves(row, "/"):
        if value is not None:
            yield name, float(value)


def leaves(group: Mapping[str, Any], between: str) -> Iterator[tuple[str, Any]]:
    """Yield what is in a group and in the groups in it, ``between`` their names."""
    for name, value in group.items():
        if isinstance(value, dict):
            for inner, leaf in leaves(value, between):
                yield f"{name}{between}{inner}", leaf
        else:
            yield name, value
