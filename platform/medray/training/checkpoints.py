"""Saving a run's state through Ray Train, and going on from it."""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medray.storage.location import Location
from medray.storage.scratch import scratch_folder
from medray.training.engine import Engine
from medray.training.history import History, NoSpaceError

HISTORY_NAME = "history.json"


def report_checkpoint(engine: Engine, history: History, last: bool, storage: Location) -> None:
    """Save every worker's part and report it; Ray Train merges the parts into one folder.

    Training goes on while the parts are uploaded to ``storage``. NoSpaceError where a disk has no
    room for them: Ray Train would begin the run anew, as often as it may, to fail there again.
    """
    import ray.train
    from ray.train import CheckpointUploadMode

    folder = Path(tempfile.mkdtemp(dir=scratch_folder()))
    engine.save(folder)
    if engine.rank == 0:
        (folder / HISTORY_NAME).write_text(json.dumps(asdict(history)), encoding="utf-8")
    need_room(folder, engine, storage)
    ray.train.report(
        metrics(history, last),
        checkpoint=ray.train.Checkpoint.from_directory(str(folder)),
        checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
        delete_local_checkpoint_after_upload=True,
    )


def need_room(folder: Path, engine: Engine, storage: Location) -> None:
    """NoSpaceError, on every worker, where all of a checkpoint's parts do not fit."""
    import torch

    mine = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    sizes = torch.tensor([float(mine), 0.0], dtype=torch.float64, device=engine.strategy.device)
    if engine.rank == 0:
        free = shutil.disk_usage(storage.local_path()).free if storage.is_local else math.inf
        sizes[1] = free
    needed, free = engine.sum_over_workers(sizes).tolist()
    if needed > free:
        raise NoSpaceError(
            f"{storage}: no space left for a checkpoint of {needed / 1e6:.0f} MB: "
            f"{free / 1e6:.0f} MB are free; earlier ones are kept: free some space and give the "
            "same command again"
        )


def metrics(history: History, last: bool) -> dict[str, Any]:
    """Return what Ray Train, and a sweep by it, is told of a run."""
    told: dict[str, Any] = {"step": history.step, "last": last}
    if history.loss:
        told["loss"] = history.loss[-1][1]
    # The best checkpoint is known by it. Not infinity: Ray Train's own notes are JSON, which has
    # none, and a run could not go on from them.
    told["validation_loss"] = (
        history.validation_loss[-1][1] if history.validation_loss else sys.float_info.max
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
