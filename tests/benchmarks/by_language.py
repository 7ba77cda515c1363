"""Comparing speeds over six languages, with the harmonic mean: what a corpus with as much of each
would run at."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from measure import Contestants, alternate


@dataclass(frozen=True)
class Work:
    """One language's contestants, and the MB of text that each gets through."""

    contestants: Contestants
    megabytes: float


def compare_languages(title: str, works: Mapping[str, Work], rounds: int = 3) -> None:
    """Print each contestant's MB per CPU second by language, and the harmonic means.

    Speeds are medians over rounds in which all contestants take turns. The last column is the
    first contestant's mean over this one's.
    """
    speeds: dict[str, dict[str, float]] = {}
    for code, work in works.items():
        for name, runs in alternate(work.contestants, rounds).items():
            cpu_s = statistics.median(run.cpu_s for run in runs)
            speeds.setdefault(name, {})[code] = work.megabytes / cpu_s
    means = {name: statistics.harmonic_mean(row.values()) for name, row in speeds.items()}
    first = next(iter(means.values()))
    print(f"\n{title}\nMB of text per CPU-s")
    print(f"  {'':38}" + "".join(f"{code:>8}" for code in works) + f"{'mean':>8}{'first/this':>12}")
    for name, row in speeds.items():
        cells = "".join(f"{_figures(speed):>8}" for speed in row.values())
        ratio = "" if means[name] is first else f"{first / means[name]:>12.1f}"
        print(f"  {name:38}{cells}{_figures(means[name]):>8}{ratio}", flush=True)


def _figures(speed: float) -> str:
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}"
