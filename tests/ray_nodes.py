"""A Ray cluster of several nodes on this host, in a process of its own, whose nodes can be lost.

As a program it keeps the cluster: a line ``add`` on its standard input adds a node; when its input
ends, it ends every process of the cluster. It answers in JSON, one object a line.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

CPUS_OF_NODE = 1
# A killed raylet is missed after this time; on a busy host a live one may be slow to answer.
SYSTEM_CONFIG = {"health_check_period_ms": 1000, "health_check_failure_threshold": 15}
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")


@dataclass
class Nodes:
    """The cluster as its test sees it; ``raylets`` are the added nodes' processes,
    ``names`` their node ids by the raylet's pid."""

    keeper: subprocess.Popen[str]
    environment: dict[str, str]
    address: str = ""
    raylets: list[psutil.Process] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def _answer(self) -> dict[str, Any]:
        assert self.keeper.stdout is not None
        line = self.keeper.stdout.readline()
        assert line, "the cluster's keeper has ended"
        return dict(json.loads(line))

    def add(self) -> None:
        assert self.keeper.stdin is not None
        print("add", file=self.keeper.stdin, flush=True)
        answer = self._answer()
        self.raylets.append(psutil.Process(answer["raylet"]))
        self.names[answer["raylet"]] = answer["node"]

    def replace_dead(self) -> None:
        """Add a node for each that ended by itself, as one does that a busy head takes for dead."""
        alive = [raylet for raylet in self.raylets if _is_alive(raylet)]
        missing, self.raylets = len(self.raylets) - len(alive), alive
        for _ in range(missing):
            self.add()

    def busy_workers(self) -> list[psutil.Process]:
        """Return the processes that are doing a task now."""
        found = []
        for raylet in self.raylets:
            for child in _children(raylet):
                title = title_of(child)
                if title.startswith("ray::") and not title.startswith(("ray::IDLE", *AGENTS)):
                    found.append(child)
        return found

    def give_notice(self, number: int, grace_s: int) -> None:
        """Tell Ray that a node will be taken away, as a cloud does before it reclaims a machine."""
        words = ["drain-node", "--address", self.address]
        words += ["--node-id", self.names[self.raylets[number].pid]]
        words += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "reclaimed"]
        words += ["--deadline-remaining-seconds", str(grace_s)]
        command = [sys.executable, "-m", "ray.scripts.scripts", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def doing(self, task: str) -> list[int]:
        """Return the numbers of the nodes that do a task whose name holds ``task``."""
        titles = [[title_of(child) for child in _children(raylet)] for raylet in self.raylets]
        return [n for n, mine in enumerate(titles) if any(task in title for title in mine)]

    def lose(self, number: int) -> None:
        """Kill a node: its raylet and, as when a machine is lost, all below it at once."""
        raylet = self.raylets.pop(number)
        for process in [raylet, *_children(raylet, recursive=True)]:
            kill(process)


def kill(process: psutil.Process) -> None:
    """Send SIGKILL; psutil checks that the id is still that process's."""
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _children(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
    try:
        return process.children(recursive)
    except psutil.NoSuchProcess:
        return []


def title_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def ray_nodes(folder: Path, nodes: int) -> Iterator[Nodes]:
    """Yield a cluster of a head without CPUs and ``nodes`` nodes; logs and token in ``folder``."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("RAY_")
    } | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    with (folder / "cluster.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip
    cluster = Nodes(keeper, environment)
    try:
        cluster.address = str(cluster._answer()["address"])
        for _ in range(nodes):
            cluster.add()
        yield cluster
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait(60)


def _keep() -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "_system_config": SYSTEM_CONFIG},
    )
    # Ray's own start-up messages go to standard output too.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"address": cluster.address}), file=answers, flush=True)
    for _ in sys.stdin:
        node = cluster.add_node(num_cpus=CPUS_OF_NODE)
        raylet = node.all_processes["raylet"][0].process.pid
        print(json.dumps({"raylet": raylet, "node": node.node_id}), file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    _keep()
