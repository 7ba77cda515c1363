"""Temporary files of a process that may be killed: the next process on the machine sweeps them."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK_NAME = ".lock"
# Folder and held lock of each process that asked: a forked child makes its own.
_OWN: dict[int, tuple[Path, IO[str]]] = {}
_ONE_THREAD = threading.Lock()


def scratch_folder() -> Path:
    """Return a folder on this machine's disk that is this process's own.

    It goes when the process ends. Of a process that was killed it stays, which for an object
    store's files is as much as was under way on the node; so the first call of each process
    removes the folders of dead ones. Who is dead the kernel says: it frees a dead process's lock.
    """
    process = os.getpid()
    with _ONE_THREAD:
        if process not in _OWN:
            _OWN[process] = _make(_users_folder())
            atexit.register(_remove, process)
        return _OWN[process][0]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder, removed at the end, or by a later process where this one is killed."""
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        yield Path(folder)


def _users_folder() -> Path:
    """Return this user's folder below TMPDIR; PermissionError where it is somebody else's."""
    folder = Path(tempfile.gettempdir()) / f"medray-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not this user's own; set TMPDIR to another folder")
    return folder


def _make(parent: Path) -> tuple[Path, IO[str]]:
    # The parent's lock: no other process may see the new folder before its lock is taken.
    with (parent / LOCK_NAME).open("w") as all_folders:
        fcntl.flock(all_folders, fcntl.LOCK_EX)
        for folder in parent.iterdir():
            if folder.is_dir() and _is_dead(folder):
                shutil.rmtree(folder, ignore_errors=True)
        own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        lock = (own / LOCK_NAME).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return own, lock


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / LOCK_NAME).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:  # its process is removing it, or was killed as it did
        return True
    return True


def _remove(process: int) -> None:
    if os.getpid() == process:  # not in a forked child that ends with its parent's handlers
        shutil.rmtree(_OWN.pop(process)[0], ignore_errors=True)
