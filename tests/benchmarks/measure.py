"""Comparing speeds: alternating repeats, medians with their spread, ratios round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Contestants = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Timing:
    """One run: CPU seconds of all threads of this process, and seconds on the clock."""

    cpu_s: float
    wall_s: float


def alternate(contestants: Contestants, rounds: int) -> dict[str, list[Timing]]:
    """Run every contestant once a round, A B A B ..., after one round that is not counted.

    Neighbours in time share the machine's mood: a busy host slows both sides of a ratio.
    """
    timings: dict[str, list[Timing]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            run()
            timing = Timing(time.process_time() - cpu_s, time.perf_counter() - wall_s)
            if number > 0:
                timings[name].append(timing)
    return timings


def compare(title: str, contestants: Contestants, work: float, unit: str, rounds: int = 5) -> None:
    """Print each contestant's speed, and the first one's speed over every other's.

    ``work`` is how many ``unit`` one run gets through; speed is work per CPU second. A ratio is
    taken within each round, so above 1 the first contestant is the faster one.
    """
    timings = alternate(contestants, rounds)
    first, *_ = timings.values()
    speed_title, cpu_title = f"{unit} per CPU-s", "first/this, CPU"
    print(f"\n{title}")
    print(f"  {'median (min-max)':38}{speed_title:>24}{cpu_title:>24}{'on the clock':>24}")
    for name, runs in timings.items():
        speed = _spread([work / run.cpu_s for run in runs])
        cpu = _spread([run.cpu_s / mine.cpu_s for mine, run in zip(first, runs, strict=True)])
        wall = _spread([run.wall_s / mine.wall_s for mine, run in zip(first, runs, strict=True)])
        ratios = f"{cpu:>24}{wall:>24}" if runs is not first else ""
        print(f"  {name:38}{speed:>24}{ratios}".rstrip(), flush=True)


def _spread(values: Sequence[float]) -> str:
    """Return "median (min-max)" with three figures of the median."""
    median = statistics.median(values)
    digits = 0 if median >= 100 else 1 if median >= 10 else 2 if median >= 1 else 3
    return f"{median:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
