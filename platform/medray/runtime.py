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

    ``address`` None starts a Ray of our own, which ends with this process, even when it is
    killed. Ray's ports listen on the host's interfaces, behind its token authentication. Any
    other address joins a running cluster, which is left as it was.
    """

    address: str | None = None
    logical_cpus: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    _connected: bool = False

    def connect(self) -> None:
        """Join or start Ray once. Raises ConnectionError where ``address`` does not answer."""
        if self._connected:
            return
        # Tune prints a table of its own, whatever its verbosity, unless told to use its old output.
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        # Serve's own log goes to its files; on the terminal it would stand between medray's lines.
        os.environ.setdefault("RAY_SERVE_LOG_TO_STDERR", "0")
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is None:
            gcs_port = free_port()
            os.environ["RAY_GCS_SERVER_PORT"] = str(gcs_port)
            address = f"127.0.0.1:{gcs_port}"
            options |= {
                "address": "local",
                "num_cpus": self._local_cpus,
            }
        else:
            options |= {"address": self.address}
            address = self.address
            if address == "auto":
                address = os.environ.get("RAY_ADDRESS", address)
        environment = WORKER_ENVIRONMENT | self.environment
        if address != "auto":
            environment["RAY_ADDRESS"] = address
        try:
            ray.init(runtime_env={"env_vars": environment}, **options)
        finally:
            # Or a Ray that a child of this process starts would want the same port.
            os.environ.pop("RAY_GCS_SERVER_PORT", None)
        self._quieten()
        self._connected = True

    def _quieten(self) -> None:
        import ray.data

        for name in ("ray.data", "ray.train", "ray.tune", "ray.serve"):
            logging.getLogger(name).setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False

    @property
    def _local_cpus(self) -> int:
        return self.logical_cpus or max(MINIMUM_LOGICAL_CPUS, 2 * (os.cpu_count() or 1))

    @property
    def cpus_per_core(self) -> float:
        """Return how many of Ray's CPUs a task should take that keeps one core busy."""
        if self.address is not None:
            return 1.0
        return max(1.0, self._local_cpus / (os.cpu_count() or 1))

    def need_cpus(self, cpus: float, purpose: str) -> None:
        """Check that a local Ray will have ``cpus`` in all; too few is an InputError.

        A joined cluster may autoscale, so there the shortage is left to its scheduler.
        """
        if self.address is None and self._local_cpus < cpus:
            raise InputError(
                f"{purpose} needs {cpus:g} CPUs, the local Ray has {self._local_cpus}: lower the "
                "number of workers or raise --cpus"
            )

    def need_gpus(self, gpus: int, purpose: str) -> None:
        """Check that this machine has ``gpus`` where Ray is a local one; else InputError."""
        if self.address is None and gpus > 0:
            import torch

            found = torch.cuda.device_count()
            if found < gpus:
                raise InputError(f"{purpose} needs {gpus} GPUs, PyTorch finds {found} here")

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


def port_in_use(port: int) -> bool:
    """Say whether something listens on a TCP port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
