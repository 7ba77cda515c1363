"""What runs in each Ray Train worker: build, resume, step, report, export."""

from __future__ import annotations

import errno
import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.scratch import let_go
from medray.training.checkpoints import Checkpoints, metrics, resume
from medray.training.config import TrainingConfig
from medray.training.engine import Engine, Step
from medray.training.history import History, NoSpaceError, TrainingError, check_step
from medray.training.meter import Meter
from medray.training.methods import prefix_length
from medray.training.micro_batches import targets_by_language
from medray.training.order import Order
from medray.training.preemption import PreemptionNotice
from medray.training.sequences import Sequences
from medray.training.strategy import gathered, prepare_process
from medray.training.timings import Timings


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

    def export(self, assembly: Assembly, weights: dict[str, Any], history: History) -> None:
        """Write the finished model; called on rank 0 only."""
        ...


def train_worker(task: TrainingTask, board: Any, storage: Location | None, begun: float) -> None:
    """Train ``task`` in one worker of a Ray Train worker group.

    ``board``: an actor that is told of the run, or None. ``storage``: where Ray Train keeps
    checkpoints; None: nothing is kept, not the model either, as a sweep's trial wants it.
    ``begun``: when the driver asked for workers, as time.time() tells it.
    """
    import ray.train

    if board is not None and ray.get(board.stopped.remote()) is not None:
        return
    timings = Timings()
    if board is not None and not ray.get(board.has_begun.remote()):
        timings.add("start_workers", time.time() - begun)
    try:
        train(task, board, storage, timings)
    except (InputError, TrainingError) as error:
        # Every worker meets it in the same place, and would again: Ray Train, which begins anew
        # whatever failed, is not told.
        if board is None:
            raise
        ray.get(board.stop.remote(error))
    except OSError as error:
        # A full disk may be met by one worker alone while others wait for it. They are begun anew
        # together, and end at once.
        if board is not None and error.errno == errno.ENOSPC:
            told = f"{error}; checkpoints are kept: free some space and give the same command again"
            ray.get(board.stop.remote(NoSpaceError(told)))
        raise
    # Not after other failures: a worker group begun anew finds the node's sequences still there.
    let_go()


def train(task: TrainingTask, board: Any, storage: Location | None, timings: Timings) -> None:
    """Build, resume, do all steps that are left, export."""
    import ray.train

    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    with timings.of("import"):
        prepare_process(task.training.workers.use_gpu, context.get_local_world_size())
    with timings.of("build"):
        assembly = build(task)
    config = task.training.of_length(len(assembly.sequences))
    order = order_of(assembly.sequences, config, task.seed)
    with timings.of("engine"):
        engine = Engine(assembly.model, config, rank, world_size)
    with timings.of("resume"):
        history = resume(engine)
    history.sequences = len(assembly.sequences)
    checkpoints = None if storage is None else Checkpoints(engine, storage)
    told = board if rank == 0 else None
    Run(task.seed, config, assembly, engine, order, history, told, checkpoints, timings).all_steps()
    if storage is not None:
        with timings.of("export"):
            weights = engine.whole_weights()
            if rank == 0:
                task.export(assembly, weights, history)
    if told is not None:
        ray.get(told.time.remote(timings.table()))


def build(task: TrainingTask) -> Assembly:
    """Make or load model and data; InputError on all workers where one of them cannot."""
    import torch

    torch.manual_seed(task.seed)
    wrong = ""
    try:
        assembly = task.build()
        check_assembly(assembly, task.training)
    except InputError as error:
        wrong = str(error)
    # A folder may be missing on one node alone: its worker must not leave while others wait for it.
    if told := next((message for message in gathered(wrong) if message), ""):
        raise InputError(told)
    return assembly


@dataclass
class Run:
    """One worker's part of a run; ``board``: on rank 0, where there is one."""

    seed: int
    config: TrainingConfig
    assembly: Assembly
    engine: Engine
    order: Order
    history: History
    board: Any
    checkpoints: Checkpoints | None
    timings: Timings

    def all_steps(self) -> None:
        config = self.config
        meter, notice = Meter(self.engine), PreemptionNotice(self.engine)
        self._tell("begin", self.history.step, config.steps, self.history.rows)
        while self.history.step < config.steps:
            with self.timings.of("steps"):
                done, chosen = self._step()
            meter.add(done, self.assembly.sequences, chosen)
            last = self.history.step == config.steps - 1
            if self.history.add(done, config.log_every_steps, last):
                row = {"step": self.history.step, "loss": done.loss}
                row |= {"workers": self.engine.world_size}
                row |= {"gradient_norm": done.gradient_norm, "learning_rate": done.learning_rate}
                self._tell_row(row | meter.read())
            self._tell("at", self.history.step)
            meter.pause()
            # A node that was given notice goes soon: save once, and train on while it lasts.
            self._evaluate_and_save(last, notice.is_new())
            meter.go_on()

    def _step(self) -> tuple[Step, list[int]]:
        import torch

        step, config = self.history.step, self.config
        # Dropout's state is a function of the step too, so a resumed run draws the same masks.
        # Those of another number of workers are others.
        torch.manual_seed((self.seed * 1_000_003 + step) * 1_009 + self.engine.rank)
        first = step * config.global_batch_size
        chosen = self.order.between(first, first + config.global_batch_size)
        done = self.engine.step(self.assembly.sequences, chosen, step)
        sequences, history = self.assembly.sequences, self.history
        check_step(done, history, config.spike_nats, sequences, chosen)
        return done, chosen

    def _evaluate_and_save(self, last: bool, notice: bool) -> None:
        """Evaluate, checkpoint and report where the step's number says so."""
        import ray.train

        step, config = self.history.step, self.config
        every, validation = config.evaluate_every_steps, self.assembly.validation
        evaluates = validation is not None and (last or (every > 0 and step % every == 0))
        if evaluates and validation is not None:
            with self.timings.of("evaluation"):
                losses = self.engine.evaluate(validation)
            self.history.add_validation(losses)
            self.history.validation_targets = targets_by_language(validation)
            perplexity = {code: perplexity_of(loss) for code, loss in losses.items() if code}
            row = {"step": step, "validation_loss": losses[""], "perplexity": perplexity}
            self._tell_row(row)
        saves = last or notice or step % config.checkpoint_every_steps == 0
        if self.checkpoints is not None and saves:
            with self.timings.of("checkpoint_stall"):
                self.checkpoints.save(self.history, last)
        elif evaluates:
            ray.train.report(metrics(self.history, last))

    def _tell_row(self, row: dict[str, Any]) -> None:
        self.history.keep(row)
        self._tell("tell", row)

    def _tell(self, method: str, *values: Any) -> None:
        if self.board is not None:
            getattr(self.board, method).remote(*values)


def perplexity_of(loss: float) -> float | None:
    """Return exp(loss); None above 700 nats, where a float has no number for it."""
    return math.exp(loss) if loss < 700 else None


def order_of(sequences: Sequences, config: TrainingConfig, seed: int) -> Order:
    """Return the order in which a run sees its sequences."""
    if config.mixture is None:
        return Order.uniform(len(sequences), seed)
    return Order.mixture(sequences, config.mixture, seed)


def check_assembly(assembly: Assembly, config: TrainingConfig) -> None:
    """InputError where data and model do not fit each other, or a pass."""
    parts = [part for part in (assembly.sequences, assembly.validation) if part is not None]
    longest = max(int(part.lengths.max(initial=0)) for part in parts)
    if len(assembly.sequences.tokens) == 0:
        raise InputError("there is nothing to train on: no sequence of a token")
    largest = max(part.largest_token for part in parts)
    rows = assembly.model.get_input_embeddings().weight.shape[0]
    if largest >= rows:
        raise InputError(f"a sequence has the token {largest}, the model's embeddings {rows} rows")
    positions = getattr(assembly.model.config, "max_position_embeddings", None)
    prefix = prefix_length(assembly.model)
    if positions is not None and longest + prefix > positions:
        before = f" behind a prefix of {prefix}" if prefix else ""
        raise InputError(
            f"a sequence has {longest} tokens{before}, the model {positions} positions"
        )
    if longest > config.micro_batch_tokens:
        raise InputError(
            f"training.micro_batch_tokens: {config.micro_batch_tokens} is less than the longest "
            f"sequence, {longest}"
        )
