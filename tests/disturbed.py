"""Runs in processes of their own on a cluster, disturbed by SIGKILLs at chosen moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from ray_nodes import Nodes, kill, title_of

KINDS = ("worker", "driver", "node")
# No task for so long is a run that hangs; a lost node is missed after 15 s.
NO_TASK_S = 180.0


class Kill(NamedTuple):
    """``place``: where the run was; ``task``: what the killed worker did."""

    kind: str
    place: str
    task: str = ""


@dataclass
class Driver:
    """A process that drives Ray; the logs of all its starts go to one file."""

    process: subprocess.Popen[bytes]
    log: Path
    begun_ns: int = field(default_factory=time.time_ns, kw_only=True)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def wait(self, expected: int = 0, timeout_s: float = 600.0) -> str:
        """Wait for the end; return the last line of the log."""
        code = self.process.wait(timeout_s)
        assert code == expected, f"exit {code}\n{self.tail()}"
        return (self.tail().strip().splitlines() or [""])[-1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Placed(Driver, ABC):
    """A driver that tells where it is, for kills in chosen places."""

    @abstractmethod
    def place(self) -> str:
        """Return where the run is; the word of a place in the plan of kills, or another."""


def spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that appends all it says to a log."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            list(command), stdout=sink, stderr=sink, env=dict(environment or os.environ)
        )


class Disturbed:
    """One run, begun again each time that its driver is killed; ``places`` stand in order."""

    def __init__(self, cluster: Nodes, start: Callable[[], Placed], places: Sequence[str]) -> None:
        self.cluster, self.start, self.places = cluster, start, places
        self.kills: list[Kill] = []
        self.run = start()

    def through(
        self, plan: Sequence[tuple[str, str]], pause_s: Mapping[str, float], seed: int
    ) -> None:
        """Make the kills (kind, place) one after another, at random moments, and wait for the end.

        Each comes up to ``pause_s`` of its place after the run was seen there or in a later one.
        """
        draw = random.Random(seed)
        for kind, place in plan:
            self._wait_for(place)
            time.sleep(draw.uniform(0, pause_s[place]))
            assert not self.run.ended, self._told("ended before the kill")
            self._strike(kind, draw)
        self.run.wait()

    def through_task(self, task: str, times: int) -> None:
        """Kill the worker that does a task, as often as that, and wait for the end."""
        for _ in range(times):
            worker = self._wait_for_worker(task)[0]
            self.kills.append(Kill("worker", self.run.place(), title_of(worker).strip()))
            kill(worker)
            worker.wait(NO_TASK_S)
        self.run.wait()

    def _strike(self, kind: str, draw: random.Random) -> None:
        """Kill one thing of a kind, and put another in its place where it does not come back."""
        place, task = self.run.place(), ""
        if kind == "driver":
            self.run.kill()
            self.run = self.start()
        elif kind == "node":
            self.cluster.lose(draw.randrange(len(self.cluster.raylets)))
            self.cluster.add()
        else:
            worker = draw.choice(self._wait_for_worker())
            place, task = self.run.place(), title_of(worker).strip()
            kill(worker)
        self.kills.append(Kill(kind, place, task))

    def _wait_for(self, place: str, timeout_s: float = 300.0) -> None:
        """Wait until the run is in a place, or in a later one."""
        deadline = time.monotonic() + timeout_s
        while self.run.place() not in self.places[self.places.index(place) :]:
            self._look_after(deadline, f"not in {place}")

    def _wait_for_worker(self, task: str = "") -> list[psutil.Process]:
        """Return the workers that do a task whose name holds ``task``."""
        deadline = time.monotonic() + NO_TASK_S
        while not (found := [w for w in self.cluster.busy_workers() if task in title_of(w)]):
            self._look_after(deadline, f"no task {task} ran")
        return found

    def _look_after(self, deadline: float, missing: str) -> None:
        assert not self.run.ended, self._told("ended before the kill")
        assert time.monotonic() < deadline, self._told(missing)
        self.cluster.replace_dead()
        time.sleep(0.05)

    def _told(self, what: str) -> str:
        return f"{what}: {self.kills}\n{self.run.tail()}"
