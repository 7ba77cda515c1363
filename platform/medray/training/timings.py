"""Where a worker's seconds go, by name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings:
    """Adds up seconds on the clock under names; ``laps`` counts how often each was entered."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.laps: dict[str, int] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.laps[name] = self.laps.get(name, 0) + 1

    def table(self) -> dict[str, float]:
        """Return the seconds under each name, and what one lap took where there were several."""
        told = {name: round(seconds, 3) for name, seconds in self.seconds.items()}
        each = {
            f"{name}_each": round(self.seconds[name] / laps, 4)
            for name, laps in self.laps.items()
            if laps > 1
        }
        return told | each
