"""Ends vLLM's processes with the one that started them, however that ends."""

from __future__ import annotations

import subprocess
import sys

# Waits until its parent's end of the pipe is closed, which the kernel does for a killed process
# too. Its processes of computation end themselves when the one that is killed here has gone.
WATCH = """
import os, signal, sys
process = os.pidfd_open(int(sys.argv[1]))
sys.stdin.read()
try:
    signal.pidfd_send_signal(process, signal.SIGKILL)
except ProcessLookupError:
    pass
"""


class Guard:
    """A process that kills another one when this one is no more. vLLM's own would live on."""

    def __init__(self, process_id: int) -> None:
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WATCH, str(process_id)], stdin=subprocess.PIPE
        )

    def close(self) -> None:
        """Kill it now, where it still runs, and end."""
        assert self._watch.stdin is not None
        self._watch.stdin.close()
        self._watch.wait()
