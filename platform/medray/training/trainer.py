"""Running a training task as a Ray Train worker group, from the driver."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from medray.pipeline import StageContext
from medray.storage.location import Location
from medray.training.board import shown
from medray.training.checkpoints import read_history
from medray.training.config import TrainingConfig
from medray.training.curves import leaves
from medray.training.history import History
from medray.training.loop import TrainingTask, train_worker
from medray.training.tracking import MlflowRun, need_mlflow


def check_workers(config: TrainingConfig, context: StageContext) -> None:
    """Check that the worker group fits into the cluster, and that what it needs is installed.

    InputError where it never will fit.
    """
    workers = config.workers
    fewest = workers.minimum or workers.count
    context.ray.need_cpus(fewest * workers.cpus_per_worker, f"stages.{context.name}")
    context.ray.need_gpus(fewest if workers.use_gpu else 0, f"stages.{context.name}")
    if config.mlflow_experiment is not None:
        need_mlflow(f"stages.{context.name}.training.mlflow_experiment")


def fit(task: TrainingTask, context: StageContext) -> tuple[History, dict[str, float]]:
    """Train ``task`` in a worker group; return its curve, and seconds by what they went to.

    Checkpoints lie in ``<stage>/checkpoints/<fingerprint>``: the fingerprint is the Ray Train
    run's name, and a name is a run's identity there, so a broken run goes on from its last
    checkpoint and a changed one can never pick up a foreign one.
    """
    import ray

    config = task.training
    context.ray.connect()
    check_workers(config, context)
    storage = context.output / "checkpoints"
    with (
        tracked(config, context) as tracker,
        shown(context.log, context.output, tracker) as board,
    ):
        result = make_trainer(
            task,
            storage,
            context.fingerprint,
            partial(train_worker, task, board, storage, time.time()),
            [],
        ).fit()
        stopped, timings = ray.get([board.stopped.remote(), board.timings.remote()])
        if stopped is not None:
            raise stopped
    if result.checkpoint is None:
        raise RuntimeError("Ray Train returned no checkpoint")
    with result.checkpoint.as_directory() as folder:
        return read_history(Path(folder)), timings


@contextmanager
def tracked(config: TrainingConfig, context: StageContext) -> Iterator[MlflowRun | None]:
    """Yield the run in MLflow, where one is asked for; it ends as the block does."""
    if config.mlflow_experiment is None:
        yield None
        return
    parameters = {"stage": context.name, "seed": context.seed}
    parameters |= dict(leaves(config.model_dump(mode="json"), "."))
    run = MlflowRun(
        config.mlflow_experiment, context.name, context.fingerprint, parameters, context.log
    )
    try:
        yield run
    except BaseException:
        run.close(failed=True)
        raise
    run.close(failed=False)


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
            # A pair is a range: Ray Train goes on with what nodes there are, from the last
            # checkpoint, and takes in those that come.
            num_workers=(workers.minimum, workers.count) if workers.minimum else workers.count,
            elastic_resize_monitor_interval_s=workers.resize_after_s,
            use_gpu=workers.use_gpu,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage.path,
            storage_filesystem=storage.filesystem,
            failure_config=FailureConfig(max_failures=workers.failures_borne),
            checkpoint_config=CheckpointConfig(
                num_to_keep=config.checkpoints_kept,
                checkpoint_score_attribute="validation_loss",
                checkpoint_score_order="min",
            ),
            callbacks=callbacks,
        ),
    )
