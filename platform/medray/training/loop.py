"""What runs in each Ray Train worker: build, resume, step, report, export."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from medray.errors import InputError
from medray.storage.scratch import temporary_folder
from medray.training.config import TrainingConfig
from medray.training.engine import Engine, Step, name_some
from medray.training.order import Order
from medray.training.sequences import Sequences
from medray.training.strategy import prepare_process

HISTORY_NAME = "history.json"


@dataclass(frozen=True)
class Assembly:
    """What a task gives the loop: a model on the CPU, data, and its tokenizer."""

    model: Any
    sequences: Sequences
    validation: Sequences | None
    tokenizer: Any


class TrainingTask(Protocol):
    """What to train on what. Pickled to every worker, so it names large data by their place."""

    @property
    def training(self) -> TrainingConfig: ...

    @property
    def seed(self) -> int: ...

    def build(self) -> Assembly:
        """Make or load model and data; must give the same on every worker."""
        ...

    def export(self, assembly: Assembly, weights: dict[str, Any]) -> None:
        """Write the finished model; called on rank 0 only."""
        ...


@dataclass
class History:
    """The curve so far; travels in each checkpoint so that a resumed run has all of it.

    ``loss``: [step, nats a token] of each logged step (1-based); ``validation_loss`` likewise.
    """

    loss: list[tuple[int, float]] = field(default_factory=list)
    validation_loss: list[tuple[int, float]] = field(default_factory=list)
    step: int = 0


def train_worker(task: TrainingTask, board: Any, keeps: bool) -> None:
    """Train ``task`` in one worker of a Ray Train worker group.

    ``board``: an actor that is told (step, loss), or None. ``keeps``: whether to write
    checkpoints and, at the end, the model; a sweep's trial wants its metrics alone.
    """
    import ray.train
    import torch

    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    config = task.training
    prepare_process(config.workers.use_gpu, context.get_local_world_size())
    torch.manual_seed(task.seed)
    assembly = task.build()
    check_lengths(assembly, config)
    order = order_of(assembly.sequences, config, task.seed)
    engine = Engine(assembly.model, config, rank, world_size)
    history = _resume(engine)
    for step in range(history.step, config.steps):
        # Dropout's state is a function of the step too, so a resumed run draws the same masks.
        torch.manual_seed((task.seed * 1_000_003 + step) * 1_009 + rank)
        first = step * config.global_batch_size
        chosen = order.between(first, first + config.global_batch_size)
        done = engine.step(assembly.sequences, chosen, step)
        check_finite(done, step, assembly.sequences, chosen)
        history.step = step + 1
        if board is not None and rank == 0:
            board.tell.remote(step + 1, done.loss)
        _after_step(engine, assembly, history, config, done, keeps)
    if keeps:
        weights = engine.whole_weights()
        if rank == 0:
            task.export(assembly, weights)


def order_of(sequences: Sequences, config: TrainingConfig, seed: int) -> Order:
    """Return the order in which a run sees its sequences."""
    if config.mixture is None:
        return Order.uniform(len(sequences), seed)
    return Order.mixture(sequences, config.mixture, seed)


def check_lengths(assembly: Assembly, config: TrainingConfig) -> None:
    """InputError where a sequence is longer than a pass, or than the model has positions."""
    longest = int(max(assembly.sequences.lengths, default=0))
    if longest == 0:
        raise InputError("there is nothing to train on: no sequence of a token")
    positions = getattr(assembly.model.config, "max_position_embeddings", None)
    if positions is not None and longest > positions:
        raise InputError(f"a sequence has {longest} tokens, the model {positions} positions")
    if longest > config.micro_batch_tokens:
        raise InputError(
            f"training.micro_batch_tokens: {config.micro_batch_tokens} is less than the longest "
            f"sequence, {longest}"
        )


def check_finite(done: Step, step: int, sequences: Sequences, chosen: Sequence[int]) -> None:
    """FloatingPointError that names the batch where a loss or a gradient is not a number."""
    if not (math.isfinite(done.loss) and math.isfinite(done.gradient_norm)):
        raise FloatingPointError(
            f"step {step + 1}: loss {done.loss}, gradient norm {done.gradient_norm}; the last "
            f"checkpoint is from before; its batch: {name_some(sequences, chosen)}"
        )


def _after_step(
    engine: Engine,
    assembly: Assembly,
    history: History,
    config: TrainingConfig,
    done: Step,
    keeps: bool,
) -> None:
    """Log, evaluate, checkpoint and report where the step's number says so."""
    import ray.train

    step, last = history.step, history.step == config.steps
    if step % config.log_every_steps == 0 or step == 1 or last:
        history.loss.append((step, done.loss))
    every = config.evaluate_every_steps
    evaluates = assembly.validation is not None and (last or (every > 0 and step % every == 0))
    if evaluates and assembly.validation is not None:
        history.validation_loss.append((step, engine.evaluate(assembly.validation)[""]))
    if keeps and (last or step % config.checkpoint_every_steps == 0):
        _report_checkpoint(engine, history, last)
    elif evaluates:
        ray.train.report(_metrics(history, last))


def _report_checkpoint(engine: Engine, history: History, last: bool) -> None:
    """Save every worker's part and report it; Ray Train merges the parts into one folder."""
    import ray.train

    with temporary_folder() as folder:
        engine.save(folder)
        if engine.rank == 0:
            (folder / HISTORY_NAME).write_text(json.dumps(vars(history)), encoding="utf-8")
        checkpoint = ray.train.Checkpoint.from_directory(folder)
        ray.train.report(_metrics(history, last), checkpoint=checkpoint)


def _metrics(history: History, last: bool) -> dict[str, Any]:
    metrics: dict[str, Any] = {"step": history.step, "last": last}
    if history.loss:
        metrics["loss"] = history.loss[-1][1]
    if history.validation_loss:
        metrics["validation_loss"] = history.validation_loss[-1][1]
    return metrics


def _resume(engine: Engine) -> History:
    """Load the latest checkpoint that Ray Train has of this run, where there is one."""
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return History()
    with checkpoint.as_directory() as folder:
        engine.load(Path(folder))
        stored = json.loads((Path(folder) / HISTORY_NAME).read_text(encoding="utf-8"))
    return History(**stored)
