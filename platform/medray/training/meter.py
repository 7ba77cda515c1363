"""Speed, memory and FLOPs utilisation of a worker group between two logged steps."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from medray.training.engine import Engine, Step
from medray.training.flops import peak_of
from medray.training.sequences import Sequences


class Meter:
    """Adds up what steps did since it was last read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._peak = None if engine.work is None else peak_of(engine.strategy.device)
        self._begin()

    def _begin(self) -> None:
        self._since, self._tokens, self._flops = time.perf_counter(), 0, 0.0

    def add(self, done: Step, sequences: Sequences, chosen: Sequence[int]) -> None:
        self._tokens += done.tokens
        if self._peak is not None and self._engine.work is not None:
            lengths = np.concatenate([sequences.piece_lengths(number) for number in chosen])
            self._flops += self._engine.work.flops_of(lengths, done.targets)

    def pause(self) -> None:
        """Leave out what follows until the next ``read``'s steps: evaluation, checkpoints."""
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        self._since += time.perf_counter() - self._paused

    def read(self) -> dict[str, float | int | None]:
        """Return tokens_per_s of all workers, mfu and this worker's peak memory; begin anew."""
        seconds = time.perf_counter() - self._since
        mfu = None
        if self._peak is not None:
            mfu = self._flops / seconds / (self._peak * self._engine.world_size)
        told = {
            "tokens_per_s": self._tokens / seconds,
            "mfu": mfu,
            "memory_bytes": peak_memory_bytes(self._engine.strategy.device),
        }
        self._begin()
        return told


def peak_memory_bytes(device: Any) -> int:
    """Return the most that was allocated on a CUDA device, or of this process's memory on a CPU."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
