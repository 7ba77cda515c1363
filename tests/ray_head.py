"""A Ray head of its own process, token and ports, that can be lost and started again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from medray.runtime import free_port


@dataclass
class Head:
    """``address``: of the dashboard, which jobs and Serve files are sent to."""

    folder: Path
    environment: dict[str, str]
    token: str
    # The job agent's port is 52365 for every Ray of a host; a second one gets no agent.
    ports: dict[str, int] = field(
        default_factory=lambda: {
            name: free_port() for name in ("port", "dashboard-port", "dashboard-agent-listen-port")
        }
    )
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports['dashboard-port']}"

    @property
    def _sessions(self) -> Path:
        # A Unix socket's path holds 107 characters; pytest's own folders are too long.
        return Path(f"/tmp/medray-head-{os.getpid()}")

    def start(self) -> None:
        """Start it and wait until its dashboard answers; again on the same ports."""
        words = [
            str(Path(sys.executable).parent / "ray"), "start", "--head", "--block",
            "--node-ip-address=127.0.0.1", "--num-cpus=4", "--dashboard-host=127.0.0.1",
            *(f"--{name}={port}" for name, port in self.ports.items()),
            f"--temp-dir={self._sessions}",
        ]  # fmt: skip
        log = self.folder / "head.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                words, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        request = urllib.request.Request(
            f"{self.address}/api/version", headers={"Authorization": f"Bearer {self.token}"}
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(request, timeout=5)
                return
            except OSError:
                assert self.process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)

    def lose(self) -> None:
        """Kill all that runs there at once, as when its machine is lost."""
        # Its own process group: `ray stop` would end every Ray on the host.
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        shutil.rmtree(self._sessions, ignore_errors=True)


@contextmanager
def ray_head(folder: Path) -> Iterator[Head]:
    """Yield a head that runs; its token and log lie in ``folder``."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("RAY_")
    } | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    # As in an activated environment: jobs call `python`.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    head = Head(folder, environment, token.read_text())
    head.start()
    try:
        yield head
    finally:
        head.lose()
