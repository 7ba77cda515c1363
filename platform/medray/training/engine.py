"""One optimizer step over a global batch, and evaluation, on any strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.training.config import TrainingConfig, learning_rate_at
from medray.training.flops import Work
from medray.training.micro_batches import targets_of
from medray.training.objective import Objective
from medray.training.sequences import Sequences
from medray.training.strategy import make_strategy


@dataclass(frozen=True)
class Step:
    """What one step did, alike on every worker.

    ``loss``: nats a target, the mean over all targets of the global batch. ``gradient_norm``:
    before clipping.
    """

    loss: float
    gradient_norm: float
    learning_rate: float
    tokens: int
    targets: int


class Engine:
    """One model under a strategy in this worker of ``world_size``."""

    def __init__(self, model: Any, config: TrainingConfig, rank: int, world_size: int) -> None:
        self.config, self.rank, self.world_size = config, rank, world_size
        self.objective = Objective(
            model, config.gradient_checkpointing, config.compiled, config.kernels == "liger"
        )
        self.work = Work.of(self.objective)
        self.strategy = make_strategy(self.objective, config, config.workers.use_gpu)

    def step(self, sequences: Sequences, chosen: Sequence[int], step: int) -> Step:
        """Do one optimizer step on a global batch: all of its sequences, on every worker alike.

        The loss is the mean over all targets of the global batch, however they fall on workers
        and rows: every sum is divided by the global count, which each worker knows by itself,
        and multiplied by the number of workers, by which their gradients' mean divides.
        """
        targets = targets_of(sequences, chosen)
        if targets == 0:
            raise InputError(
                f"step {step + 1}: no token of its {len(chosen)} sequences is to be learned: "
                f"{name_some(sequences, chosen)}"
            )
        rows = self._rows(sequences, chosen)
        loss_sum = 0.0
        for number, row in enumerate(rows):
            batch = self.objective.collate(sequences, row).to(self.strategy.device)
            row_sum = self.strategy.module(batch)
            self.strategy.backward(row_sum * (self.world_size / targets), number + 1 == len(rows))
            loss_sum = loss_sum + row_sum.detach().double()
        learning_rate = learning_rate_at(step, self.config.steps, self.config.optimizer)
        norm = self.strategy.update(learning_rate)
        loss = float(self.sum_over_workers(loss_sum)) / targets
        tokens = int(sequences.lengths_of(chosen).sum())
        return Step(loss, norm, learning_rate, tokens, targets)

    def evaluate(self, sequences: Sequences) -> dict[str, float]:
        """Return the mean loss (nats a target) of each language, and of all under ``""``."""
        import torch

        count = len(sequences.language_names)
        sums = torch.zeros(2, count, dtype=torch.float64, device=self.strategy.device)
        languages = torch.tensor(sequences.languages).to(self.strategy.device)
        self.objective.eval()
        with torch.no_grad():
            for row in self._rows(sequences, range(len(sequences))):
                batch = self.objective.collate(sequences, row).to(self.strategy.device)
                losses = self.strategy.module(batch, each=True)
                codes = languages[batch.owners].long()
                sums[0].index_add_(0, codes, losses.double())
                sums[1].index_add_(0, codes, torch.ones_like(losses, dtype=torch.float64))
        self.objective.train()
        losses, targets = self.sum_over_workers(sums).tolist()
        found = {
            name: loss / number
            for name, loss, number in zip(sequences.language_names, losses, targets, strict=True)
            if number
        }
        return found | {"": sum(losses) / max(1.0, sum(targets))}

    def _rows(self, sequences: Sequences, chosen: Sequence[int]) -> list[list[int]]:
        """Return this worker's forward passes, as numbers for the objective to collate."""
        capacity = self.config.micro_batch_tokens
        return self.objective.deal(sequences, chosen, capacity, self.world_size)[self.rank]

    def sum_over_workers(self, value: Any) -> Any:
        """Return the sum of all workers' tensors, in place."""
        import torch

        if self.world_size > 1:
            torch.distributed.all_reduce(value)
        return value

    def save(self, folder: Path) -> None:
        """Write this worker's part of a checkpoint; every worker must call it."""
        self.strategy.save(folder)

    def load(self, folder: Path) -> None:
        """Restore weights and optimizer from a checkpoint; every worker must call it."""
        self.strategy.load(folder)

    def whole_weights(self) -> dict[str, Any]:
        """Return the model's whole state dict on the CPU; every worker must call it."""
        state = self.strategy.weights()
        return {name.removeprefix("model."): tensor for name, tensor in state.items()}


def name_some(sequences: Sequences, chosen: Sequence[int], most: int = 8) -> str:
    """Return the ids of what a batch was made from, as a person would name them."""
    ids = sequences.ids_of(chosen)
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more
