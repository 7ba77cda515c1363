"""The sweep job: Ray Tune over learning rate x LoRA rank, each trial a Ray Train run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import Field, model_validator

from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Config
from medray.storage.location import Location
from medray.training import finetune
from medray.training.finetune import AdaptationConfig, FinetuneTask, make_task
from medray.training.loop import train_worker
from medray.training.methods import Lora
from medray.training.trainer import make_trainer

# A trial's own function only starts the trainer and waits; its workers have CPUs of their own.
TRIAL_DRIVER_CPUS = 0.1
METRIC = "validation_loss"
FREED_WITHIN_S = 60.0


class AshaConfig(Config):
    """Asynchronous successive halving (Li et al. 2018, arXiv 1810.05934)."""

    grace_evaluations: int = Field(default=1, ge=1, description="no trial stops before so many")
    reduction_factor: int = Field(default=2, ge=2, description="1 in so many goes on at a rung")


class SweepConfig(AdaptationConfig):
    """Configuration of the sweep job. The grid's trials differ in nothing but the two axes."""

    job: Literal["sweep"]
    learning_rates: list[float] = Field(min_length=1)
    lora_ranks: list[int] = Field(min_length=1, description="alpha / rank stays as in method")
    asha: AshaConfig = Field(default=AshaConfig())
    concurrent_trials: int = Field(
        default=1, ge=1, description="1: trials run in order, so which ones stop is reproducible"
    )

    @model_validator(mode="after")
    def _can_be_compared(self) -> SweepConfig:
        if self.validation_share == 0:
            raise ValueError("a sweep needs validation_share > 0: trials are compared by it")
        if self.training.epochs is not None:
            raise ValueError("a sweep counts in training.steps, not in epochs")
        if not 0 < self.training.evaluate_every_steps <= self.training.steps:
            raise ValueError("a sweep needs training.evaluate_every_steps in 1..steps")
        if not isinstance(self.method, Lora):
            raise ValueError("a sweep over lora_ranks needs method.kind lora")
        return self


def trial_task(task: FinetuneTask, parameters: Mapping[str, Any]) -> FinetuneTask:
    """Return the task of one trial: another learning rate, another rank, the same scale."""
    rank = int(parameters["lora_rank"])
    assert isinstance(task.method, Lora)  # the configuration was checked
    alpha = task.method.alpha / task.method.rank * rank
    optimizer = task.training.optimizer.model_copy(
        update={"learning_rate": float(parameters["learning_rate"])}
    )
    return replace(
        task,
        training=task.training.model_copy(update={"optimizer": optimizer}),
        method=task.method.model_copy(update={"rank": rank, "alpha": alpha}),
    )


def run_trial(parameters: Mapping[str, Any], task: FinetuneTask, storage: Location) -> None:
    """Train one trial in a worker group of its own; Tune hears of each evaluation."""
    from ray import tune
    from ray.tune.integration.ray_train import TuneReportCallback

    mine = trial_task(task, parameters)
    # A name is a run's identity to Ray Train: a repeated one would resume another trial's run.
    name = tune.get_context().get_trial_id()
    loop = partial(train_worker, mine, None, None, time.time())
    make_trainer(mine, storage, name, loop, [TuneReportCallback()]).fit()


def check_trials(config: SweepConfig, context: StageContext) -> None:
    """Read every question, and check that the concurrent trials fit."""
    finetune.check(config, context)
    workers = config.training.workers
    cpus = TRIAL_DRIVER_CPUS + workers.count * workers.cpus_per_worker
    context.ray.need_cpus(config.concurrent_trials * cpus, f"stages.{context.name}")


def run(config: SweepConfig, context: StageContext) -> StageResult:
    """Run the grid and return its table, the best trial first known by its validation loss."""
    task = make_task(config, context)
    context.ray.connect()
    check_trials(config, context)
    trials = context.output / "trials"
    trials.delete_folder()  # a broken sweep starts anew: a trial takes a fraction of a stage
    groups = _placement_groups()
    results = _tune(config, task, trials, context)
    _wait_until_freed(groups, context)
    table = [_row(result) for result in results]
    table.sort(key=lambda row: (row["learning_rate"], row["lora_rank"]))
    best = min(table, key=lambda row: row[METRIC])
    stopped = sum(row["stopped_early"] for row in table)
    return StageResult(
        counts={"trials": len(table), "stopped_early": stopped},
        results={"trials": table, "best": best},
    )


def _tune(config: SweepConfig, task: FinetuneTask, trials: Location, context: StageContext) -> Any:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    every = config.training.evaluate_every_steps
    evaluations = -(-config.training.steps // every)
    scheduler = ASHAScheduler(
        max_t=evaluations,
        grace_period=min(config.asha.grace_evaluations, evaluations),
        reduction_factor=config.asha.reduction_factor,
    )
    trainable = tune.with_resources(
        partial(run_trial, task=task, storage=trials / "train"), {"CPU": TRIAL_DRIVER_CPUS}
    )
    total = len(config.learning_rates) * len(config.lora_ranks)
    tuner = tune.Tuner(
        trainable,
        param_space={
            "learning_rate": tune.grid_search(config.learning_rates),
            "lora_rank": tune.grid_search(config.lora_ranks),
        },
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="min",
            scheduler=scheduler,
            max_concurrent_trials=config.concurrent_trials,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=trials.path,
            storage_filesystem=trials.filesystem,
            callbacks=[_progress_callback(context, total)],
            verbose=0,
        ),
    )
    results = tuner.fit()
    for error in results.errors:
        raise error
    return results


def _progress_callback(context: StageContext, total: int) -> Any:
    from ray.tune import Callback

    class TrialProgress(Callback):
        """Tells how many trials have ended, and how."""

        done = 0

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            self.done += 1
            result = trial.last_result or {}
            context.log.event("trial done", **trial.config, validation_loss=result.get(METRIC))
            context.log.progress("trial", self.done, total)

    return TrialProgress()


def _row(result: Any) -> dict[str, Any]:
    """Return one trial's line of the table."""
    metrics = result.metrics
    return {
        "learning_rate": result.config["learning_rate"],
        "lora_rank": result.config["lora_rank"],
        "steps": metrics["step"],
        METRIC: metrics[METRIC],
        "loss": metrics["loss"],
        "stopped_early": not metrics["last"],
    }


def _placement_groups() -> set[str]:
    from ray.util import placement_group_table

    table = placement_group_table()
    return {key for key, entry in table.items() if entry["state"] == "CREATED"}


def _wait_until_freed(before: set[str], context: StageContext) -> None:
    """Wait until the trials' placement groups are gone.

    An early-stopped trial's group is removed a second or so later by Ray Train's cleaner; one
    that stays holds its CPUs for ever, and the next stage would hang without a word. In a joined
    cluster the groups may be other people's, so there it is only told.
    """
    end = time.monotonic() + FREED_WITHIN_S
    while left := _placement_groups() - before:
        if time.monotonic() > end:
            told = f"{len(left)} placement groups made during the sweep were not removed"
            if context.ray.address is None:
                raise RuntimeError(told)
            context.log.event(told)
            return
        time.sleep(0.5)


JOB = Job("sweep", 2, "sweep", SweepConfig, run, check_trials)
