"""What a run tells is written down once, whatever the run went through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tensorboard_reader import scalars

from medray.storage.location import Location
from medray.training.board import Board
from medray.training.curves import Recorder, Row


def lines(output: Location) -> list[Row]:
    text = (output / "metrics.jsonl").read_bytes().decode()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(params=["disk", "store"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "disk":
        return Location.of(tmp_path / "stage")
    memory = MemoryFileSystem(skip_instance_cache=True)
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return Location(pafs.PyFileSystem(pafs.FSSpecHandler(memory)), "/bucket/stage")


def record(output: Location, scratch: Path, rows: list[Row]) -> None:
    recorder = Recorder(output, scratch)
    for row in rows:
        recorder.add(row)
    recorder.close()


def test_rows_are_lines_and_curves(output: Location, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"step": 1, "loss": 3.0, "mfu": None},
        {"step": 2, "perplexity": {"en": 8.0, "zh": 9.0}},
    ]
    record(output, tmp_path / "scratch", [{"begin": 0, "last": []}, *rows])
    assert lines(output) == rows
    found = scalars(output / "tensorboard")
    assert found == {"loss": [(1, 3.0)], "perplexity/en": [(2, 8.0)], "perplexity/zh": [(2, 9.0)]}


def test_steps_that_are_done_again_are_told_once(output: Location, tmp_path: Path) -> None:
    """A worker dies after step 3, the run goes on from a checkpoint of step 2; then the driver."""
    first = [{"begin": 0, "last": []}, *({"step": n, "loss": float(n)} for n in (1, 2, 3))]
    again = [{"begin": 2, "last": []}, {"step": 3, "loss": 30.0}, {"step": 4, "loss": 4.0}]
    record(output, tmp_path / "one", first + again)
    record(output, tmp_path / "two", [{"begin": 3, "last": []}, {"step": 4, "loss": 40.0}])
    expected = [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]
    assert [(row["step"], row["loss"]) for row in lines(output)] == expected
    assert scalars(output / "tensorboard") == {"loss": expected}


def test_rows_that_a_killed_driver_never_heard_of_are_written(
    output: Location, tmp_path: Path
) -> None:
    """It is killed after step 2; its workers save at step 4, and end."""
    rows: list[Row] = [{"step": n, "loss": float(n)} for n in (1, 2, 3, 4)]
    rows += [{"step": 4, "validation_loss": 9.0}]
    record(output, tmp_path / "one", [{"begin": 0, "last": []}, *rows[:2]])
    rest = {"step": 5, "loss": 5.0}
    record(output, tmp_path / "two", [{"begin": 4, "last": rows[1:]}, rest])
    assert lines(output) == [*rows, rest]
    assert scalars(output / "tensorboard")["loss"] == [(n, float(n)) for n in range(1, 6)]


def test_a_torn_last_line_is_forgotten(tmp_path: Path) -> None:
    """A kill or a full disk in the middle of a line."""
    output = Location.of(tmp_path / "stage")
    record(output, tmp_path / "one", [{"begin": 0, "last": []}, {"step": 1, "loss": 1.0}])
    file = tmp_path / "stage" / "metrics.jsonl"
    file.write_text(file.read_text() + '{"step": 2, "lo')
    record(output, tmp_path / "two", [{"begin": 1, "last": []}, {"step": 2, "loss": 2.0}])
    assert lines(output) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 2.0}]


def test_a_board_is_read_from_where_one_left_off() -> None:
    board = Board()
    assert not board.has_begun()
    board.begin(0, 5, [])
    assert board.has_begun()
    board.tell({"step": 1, "loss": 2.0})
    board.at(1)
    assert board.read(0) == ([{"begin": 0, "last": []}, {"step": 1, "loss": 2.0}], 1, 5)
    assert board.read(2) == ([], 1, 5)
    assert board.stopped() is None
    board.stop(RuntimeError("x"))
    assert isinstance(board.stopped(), RuntimeError)
