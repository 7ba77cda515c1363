"""The curve of a run: what travels in each checkpoint, and what ends a run that has gone wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from medray.training.engine import Step, name_some
from medray.training.sequences import Sequences

# A spike is told from the median of so many losses before it, once there are as many as SETTLED.
RECENT, SETTLED = 50, 20
# A driver asks for rows once a second.
ROWS_KEPT = 100


class TrainingError(RuntimeError):
    """Training cannot go on, and would not if it were begun again: one line says why."""


class DivergedError(TrainingError):
    """A loss or a gradient that no training should go on from."""


class NoSpaceError(TrainingError):
    """A checkpoint has no room where the run keeps its own."""


@dataclass
class History:
    """The curve so far; travels in each checkpoint so that a resumed run has all of it.

    ``sequences``: how many there are to train on. ``loss``: [step, nats a token] of each logged
    step (1-based); ``validation_loss`` likewise, and by language in ``language_loss``, each over
    ``validation_targets`` tokens. ``recent``: the last losses, of every step. ``rows``:
    the last rows of metrics, for a driver that was killed before it wrote them down.
    """

    loss: list[tuple[int, float]] = field(default_factory=list)
    validation_loss: list[tuple[int, float]] = field(default_factory=list)
    language_loss: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    validation_targets: dict[str, int] = field(default_factory=dict)
    recent: list[float] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    sequences: int = 0

    def add(self, done: Step, log_every_steps: int, last: bool) -> bool:
        """Count a step; return whether it is one that is logged."""
        self.step += 1
        self.recent = [*self.recent, done.loss][-RECENT:]
        logged = self.step % log_every_steps == 0 or self.step == 1 or last
        if logged:
            self.loss.append((self.step, done.loss))
        return logged

    def keep(self, row: dict[str, Any]) -> None:
        """Keep a row of metrics as one of the last."""
        self.rows = [*self.rows, row][-ROWS_KEPT:]

    def add_validation(self, losses: dict[str, float]) -> None:
        """Note losses by language, that of all under ``""``; DivergedError for one of no number."""
        if not math.isfinite(losses[""]):
            raise DivergedError(f"step {self.step}: validation loss {losses['']}")
        self.validation_loss.append((self.step, losses[""]))
        by_language = {code: loss for code, loss in sorted(losses.items()) if code}
        self.language_loss.append((self.step, by_language))

    @property
    def curves(self) -> dict[str, Any]:
        """Return what a stage's results tell of the run."""
        return {
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "language_loss": self.language_loss,
            "validation_targets": self.validation_targets,
            "first_loss": self.loss[0][1],
            "last_loss": self.loss[-1][1],
        }


def check_step(
    done: Step, history: History, spike_nats: float, sequences: Sequences, chosen: Sequence[int]
) -> None:
    """DivergedError that names the batch where a loss is no number, or far above the last ones.

    ``history``: of the steps before. Called before anything of the step is saved.
    """
    told = ""
    if not (math.isfinite(done.loss) and math.isfinite(done.gradient_norm)):
        told = f"loss {done.loss}, gradient norm {done.gradient_norm}"
    elif spike_nats and len(history.recent) >= SETTLED:
        usual = median(history.recent)
        if done.loss > usual + spike_nats:
            told = f"loss {done.loss:.4g}, more than training.spike_nats above {usual:.4g}"
    if told:
        raise DivergedError(
            f"step {history.step + 1}: {told}; checkpoints are from before; its batch: "
            f"{name_some(sequences, chosen)}"
        )
