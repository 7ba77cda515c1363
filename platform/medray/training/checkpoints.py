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


class Checkpoints:
    """What a worker saves of its run, through Ray Train, in ``storage``."""

    def __init__(self, engine: Engine, storage: Location) -> None:
        self._engine, self._storage = engine, storage
        # What was saved last, as long as it is uploaded, and its bytes.
        self._under_way, self._bytes = Path(), 0

    def save(self, history: History, last: bool) -> None:
        """Save every worker's part and report it; Ray Train merges the parts into one folder.

        Training goes on while the parts are uploaded. NoSpaceError where a disk has no room for
        them: Ray Train would begin the run anew, as often as it may, to fail there again.
        """
        import ray.train
        from ray.train import CheckpointUploadMode

        folder = Path(tempfile.mkdtemp(dir=scratch_folder()))
        self._engine.save(folder)
        if self._engine.rank == 0:
            (folder / HISTORY_NAME).write_text(json.dumps(asdict(history)), encoding="utf-8")
        self._need_room(folder)
        ray.train.report(
            metrics(history, last),
            checkpoint=ray.train.Checkpoint.from_directory(str(folder)),
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
        )

    def _need_room(self, folder: Path) -> None:
        """NoSpaceError, on every worker, where all of a checkpoint's parts do not fit."""
        import torch

        mine = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        needed = mine + (self._bytes if self._under_way.name and self._under_way.exists() else 0)
        self._under_way, self._bytes = folder, mine
        device = self._engine.strategy.device
        sizes = torch.tensor([float(needed), 0.0], dtype=torch.float64, device=device)
        if self._engine.rank == 0:
            local = self._storage.is_local
            sizes[1] = shutil.disk_usage(self._storage.local_path()).free if local else math.inf
        all_of_it, free = self._engine.sum_over_workers(sizes).tolist()
        if all_of_it > free:
            raise NoSpaceError(
                f"{self._storage}: no space left for a checkpoint of {all_of_it / 1e6:.0f} MB: "
                f"{free / 1e6:.0f} MB are free; earlier ones are kept: free some space and give "
                "the same command again"
            )


def metrics(history: History, last: bool) -> dict[str, Any]:
    """Return what Ray Train, and a sweep by it, is told of a run."""
    told: dict[str, Any] = {"step": history.step, "last": last}
    if history.loss:
        told["loss"] = history.loss[-1][1]
    # The best checkpoint is known by it, so it must be of this step. Not infinity: Ray Train's own
    # notes are JSON, which has none, and a run could not go on from them.
    step, loss = history.validation_loss[-1] if history.validation_loss else (0, 0.0)
    told["validation_loss"] = loss if step == history.step else sys.float_info.max
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
