"""Nodes that are given notice while a run trains on them."""

from __future__ import annotations

import time

from medray.training.engine import Engine

# Clouds give 30 s (GCP) to 120 s (AWS). Asking Ray Train is a barrier over all workers, of some
# milliseconds; that it is time to ask is one number beside the step's loss.
ASK_EVERY_S = 3.0


class PreemptionNotice:
    """Asks Ray Train, now and then, whether a node of the workers is about to go."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._asked = engine, time.monotonic()
        self._known: set[str] = set()

    def is_new(self) -> bool:
        """Return whether a node was given notice that was not known; alike on every worker."""
        import ray.train
        import torch

        now = time.monotonic()
        due = self._engine.rank == 0 and now - self._asked >= ASK_EVERY_S
        agreed = torch.tensor(float(due), device=self._engine.strategy.device)
        if not float(self._engine.sum_over_workers(agreed)):
            return False
        self._asked = now
        info = ray.train.get_preemption_info()
        nodes = set(info.preempted_node_to_ranks) if info is not None else set()
        new = not nodes <= self._known
        self._known |= nodes
        return new
