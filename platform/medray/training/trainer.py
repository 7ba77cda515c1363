"""Running a training task as a Ray Train worker group, from the driver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from medray.pipeline import StageContext
from medray.progress import StageLog
from medray.storage.location import Location
from medray.training.config import TrainingConfig
from medray.training.loop import HISTORY_NAME, History, TrainingTask, train_worker

# Worker deaths that one run survives, each by a restart from the last checkpoint.
WORKER_FAILURES_BORNE = 2
POLL_EVERY_S = 1.0


class ProgressBoard:
    """An actor that holds the last (step, loss), so that a driver anywhere can show it."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def tell(self, step: int, loss: float) -> None:
        self._last = (step, loss)

    def read(self) -> tuple[int, float] | None:
        return self._last


def check_workers(config: TrainingConfig, context: StageContext) -> None:
    """Check that the worker group fits into the cluster; InputError where it never will."""
    workers = config.workers
    context.ray.need_cpus(workers.count * workers.cpus_per_worker, f"stages.{context.name}")


def fit(task: TrainingTask, context: StageContext) -> History:
    """Train ``task`` in a worker group and return its curve.

    Checkpoints lie in ``<stage>/checkpoints/<fingerprint>``: the fingerprint is the Ray Train
    run's name, and a name is a run's identity there, so a broken run goes on from its last
    checkpoint and a changed one can never pick up a foreign one.
    """
    config = task.training
    context.ray.connect()
    check_workers(config, context)
    storage = context.output / "checkpoints"
    with _shown(context.log, config.steps) as board:
        result = make_trainer(
            task, storage, context.fingerprint, partial(train_worker, task, board, True), []
        ).fit()
    if result.checkpoint is None:
        raise RuntimeError("Ray Train returned no checkpoint")
    with result.checkpoint.as_directory() as folder:
        stored = json.loads((Path(folder) / HISTORY_NAME).read_text(encoding="utf-8"))
    return History(**stored)


def make_trainer(
    task: TrainingTask, storage: Location, name: str, loop: Any, callbacks: list[Any]
) -> Any:
    """Return the TorchTrainer of a task: its workers, storage, failures borne."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    config: TrainingConfig = task.training
    workers = config.workers
    resources = {"CPU": workers.cpus_per_worker} | ({"GPU": 1.0} if workers.use_gpu else {})
    return TorchTrainer(
        loop,
        scaling_config=ScalingConfig(
            num_workers=workers.count, use_gpu=workers.use_gpu, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage.path,
            storage_filesystem=storage.filesystem,
            failure_config=FailureConfig(max_failures=WORKER_FAILURES_BORNE),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            callbacks=callbacks,
        ),
    )


@contextmanager
def _shown(log: StageLog, steps: int) -> Iterator[Any]:
    """Yield a board actor; a thread shows its last step on ``log`` until the block ends."""
    import ray

    board = ray.remote(ProgressBoard).options(num_cpus=0).remote()
    stop = threading.Event()

    def show() -> None:
        told = 0
        while not stop.wait(POLL_EVERY_S):
            last = ray.get(board.read.remote())
            if last is not None and last[0] != told:
                told = last[0]
                log.progress("step", told, steps)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield board
    finally:
        stop.set()
        thread.join()
        ray.kill(board)
