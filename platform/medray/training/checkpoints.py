"""Saving a run's state through Ray Train, and going on from it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medray.storage.scratch import scratch_folder
from medray.training.engine import Engine
from medray.training.history import History

HISTORY_NAME = "history.json"


def report_checkpoint(engine: Engine, history: History, last: bool) -> None:
    """Save every worker's part and report it; Ray Train merges the parts into one folder.

    Training goes on while the parts are uploaded, and waits for the upload before the next one.
    """
    import ray.train
    from ray.train import CheckpointUploadMode

    folder = Path(tempfile.mkdtemp(dir=scratch_folder()))
    engine.save(folder)
    if engine.rank == 0:
        (folder / HISTORY_NAME).write_text(json.dumps(asdict(history)), encoding="utf-8")
    ray.train.report(
        metrics(history, last),
        checkpoint=ray.train.Checkpoint.from_directory(str(folder)),
        checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
        delete_local_checkpoint_after_upload=True,
    )


def metrics(history: History, last: bool) -> dict[str, Any]:
    """Return what Ray Train, and a sweep by it, is told of a run."""
    told: dict[str, Any] = {"step": history.step, "last": last}
    if history.loss:
        told["loss"] = history.loss[-1][1]
    # The best checkpoint is known by it; before the first evaluation none is.
    told["validation_loss"] = (
        history.validation_loss[-1][1] if history.validation_loss else float("inf")
    )
    return told


def resume(engine: Engine) -> History:
    """Load the latest checkpoint that Ray Train has of this run, where there is one."""
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return History()
    with checkpoint.as_directory() as folder:
        engine.load(Path(folder))
        return read_history(Path(folder))


def read_history(folder: Path) -> History:
    """Return the curve that a checkpoint holds."""
    stored = json.loads((folder / HISTORY_NAME).read_text(encoding="utf-8"))
    return History(**stored)
