"""Joining a Ray cluster or starting a local one."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass, field
from typing import Any

from medray.errors import InputError

# What every Ray process of a run needs in its environment.
# RAY_ADDRESS is added beside these: with more than one Ray on a host, Ray Train's placement group
# cleaner asks "the" cluster for its state, fails with "Found multiple active Ray instances", and
# every early-stopped trial keeps its CPUs until the sweep hangs.
WORKER_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
}
# Ray's own CPU numbers are only for its scheduler. A sweep nests a trial, its controller and its
# workers, so a small machine needs more logical CPUs than it has cores, or a trial waits for ever.
MINIMUM_LOGICAL_CPUS = 4


@dataclass
class RayRuntime:
    """A lazily made connection to Ray: ``connect()`` is called by the first stage that needs it.

    ``address`` None starts a Ray of our own on loopback, which ends with this process, even when
    it is killed; any other address joins a running cluster, which is left as it was.
    """

    address: str | None = None
    logical_cpus: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    _connected: bool = False

    def connect(self) -> None:
        """Join or start Ray once. Raises ConnectionError where ``address`` does not answer."""
        if self._connected:
            return
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is None:
            gcs_port = free_port()
            os.environ["RAY_GCS_SERVER_PORT"] = str(gcs_port)
            address = f"127.0.0.1:{gcs_port}"
            cpus = self.logical_cpus or max(MINIMUM_LOGICAL_CPUS, 2 * (os.cpu_count() or 1))
            options |= {"address": "local", "num_cpus": cpus, "_node_ip_address": "127.0.0.1"}
        else:
            options |= {"address": self.address}
            address = os.environ.get("RAY_ADDRESS", self.address)
        environment = WORKER_ENVIRONMENT | self.environment
        if address != "auto":
            environment["RAY_ADDRESS"] = address
        ray.init(runtime_env={"env_vars": environment}, **options)
        self._quieten()
        self._connected = True

    def _quieten(self) -> None:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        for name in ("ray.data", "ray.train", "ray.tune", "ray.serve"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def need_cpus(self, cpus: float, purpose: str) -> None:
        """Check that the cluster has ``cpus`` in all; too few is an InputError.

        A joined cluster may autoscale, so there the shortage is left to its scheduler.
        """
        self.connect()
        import ray

        present = ray.cluster_resources().get("CPU", 0.0)
        if self.address is None and present < cpus:
            raise InputError(
                f"{purpose} needs {cpus:g} CPUs, this Ray has {present:g}: lower the number of "
                f"workers or raise --cpus"
            )

    def shutdown(self) -> None:
        """Leave the cluster; a local one that we started ends."""
        if self._connected:
            import ray

            ray.shutdown()
            self._connected = False


def free_port() -> int:
    """Return a TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
