"""Servers as processes of their own: started, waited for until they answer, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

START_S = 180
END_S = 60


@contextmanager
def running(
    command: Sequence[str],
    variables: Mapping[str, str],
    ready: Callable[[], httpx.Response],
    log: Path | None = None,
) -> Iterator[None]:
    """Start ``command``, wait until ``ready`` answers 200, and end it as Ctrl+C does.

    The caller's RAY_ variables do not reach it. RuntimeError where it does not come up.
    """
    environment = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(
            command, env=environment | variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(ready):
            if time.monotonic() > deadline or process.poll() is not None:
                told = "" if log is None else f":\n{log.read_text()[-2000:]}"
                raise RuntimeError(f"{' '.join(command)} did not come up{told}")
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(ready: Callable[[], httpx.Response]) -> bool:
    try:
        return ready().status_code == 200
    except httpx.TransportError:
        return False
