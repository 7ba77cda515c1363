"""What whole processes cost: the peak memory of a fresh one, the CPU time of a tree of them."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What one call took: peak resident memory of its process in MiB, CPU and clock seconds."""

    peak_mib: float
    cpu_s: float
    wall_s: float

    def __str__(self) -> str:
        return f"{self.peak_mib:6.0f} MiB {self.cpu_s:7.1f} CPU-s {self.wall_s:7.1f} s on the clock"


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> tuple[Cost, Any]:
    """Call a module's function in a process of its own; its imports count as memory, not time."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, arguments))


def _measured(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Cost, Any]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    value = function(*arguments)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return Cost(_peak_mib(), cpu_s, wall_s), value


def _peak_mib() -> float:
    """Return VmHWM: ``getrusage`` also counts what the parent had when this process was begun."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kib) / 1024


def tree_cpu_s() -> float:
    """Return the CPU seconds of this process and of all below it, the ended ones included."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the reading
        pid = int(stat.parent.name)
        parents[pid] = int(fields[1])
        seconds[pid] = sum(map(int, fields[11:15])) / TICKS_PER_S
    return sum(seconds[pid] for pid in parents if _is_below(pid, os.getpid(), parents))


def _is_below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid != ancestor and pid in parents:
        pid = parents[pid]
    return pid == ancestor
