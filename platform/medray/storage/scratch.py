"""Temporary files of a process that may be killed: the next process on the machine sweeps them."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK_NAME = ".lock"
FILLING_NAME = ".filling"
# When a sweep first found that nobody holds a shared folder.
UNUSED_NAME = ".unused"
UNUSED_FOR_S = 3600.0
# Folder and held lock of each process that asked: a forked child makes its own.
_OWN: dict[int, tuple[Path, IO[str]]] = {}
_SHARED: dict[tuple[int, Path], IO[str]] = {}
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


def shared_folder(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder of this name that all of this user's processes on the machine share.

    ``fill`` is given an empty folder by the process that comes first; the others wait. It goes
    when the last process that asked calls ``let_go``. Where that was killed the folder stays for
    an hour at least, so that what is begun anew finds it, and a later process sweeps it.
    """
    parent = scratch_folder().parent
    folder = parent / f"shared-{name}"
    with _locked(parent / FILLING_NAME):
        if not _hold(folder):
            with temporary_folder() as own:
                made = own / "made"
                made.mkdir()
                fill(made)
                (made / LOCK_NAME).touch()
                made.rename(folder)
            _hold(folder)
    return folder


def let_go() -> None:
    """Let go of all shared folders; those that no other process holds are removed.

    Files that this process has mapped into memory it may go on reading.
    """
    for process, folder in list(_SHARED):
        if process == os.getpid():
            with _locked(folder.parent / LOCK_NAME):
                _SHARED.pop((process, folder)).close()
                if _is_dead(folder):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hold(folder: Path) -> bool:
    """Hold a shared folder from now on; return False where there is none."""
    if (os.getpid(), folder) in _SHARED:
        return True
    # The parent's lock: nobody sweeps meanwhile.
    with _locked(folder.parent / LOCK_NAME):
        if not folder.is_dir():
            return False
        lock = (folder / LOCK_NAME).open()
        fcntl.flock(lock, fcntl.LOCK_SH)
        (folder / UNUSED_NAME).unlink(missing_ok=True)
    _SHARED[os.getpid(), folder] = lock
    return True


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
    with _locked(parent / LOCK_NAME):
        for folder in parent.iterdir():
            if folder.is_dir() and _is_dead(folder) and not _is_kept(folder):
                shutil.rmtree(folder, ignore_errors=True)
        own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        lock = (own / LOCK_NAME).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return own, lock


def _is_dead(folder: Path) -> bool:
    """Return whether no process holds a folder."""
    try:
        with (folder / LOCK_NAME).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:  # its process is removing it, or was killed as it did
        return True
    return True


def _is_kept(folder: Path) -> bool:
    """Return whether a folder that nobody holds is a shared one that may be asked for again."""
    if not folder.name.startswith("shared-"):
        return False
    unused = folder / UNUSED_NAME
    if not unused.exists():
        unused.touch()
    return time.time() - unused.stat().st_mtime < UNUSED_FOR_S


def _remove(process: int) -> None:
    if os.getpid() == process:  # not in a forked child that ends with its parent's handlers
        shutil.rmtree(_OWN.pop(process)[0], ignore_errors=True)
