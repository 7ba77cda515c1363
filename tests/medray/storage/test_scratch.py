"""Temporary files outlive no process for long, however it ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from medray.storage import scratch

# Writes to a store that never answers "finished": what is under way lies on this machine's disk.
WRITE = """
import sys, time
import pyarrow.fs as pafs
from medray.storage.location import Location
store = Location(pafs.SubTreeFileSystem(sys.argv[1], pafs.LocalFileSystem()), "table.parquet")
with store.writing() as path:
    path.write_bytes(b"half")
    print(path, flush=True)
    sys.stdin.read()
"""
FORK = r"""
import os, sys
from medray.storage.scratch import scratch_folder
own = scratch_folder()
child = os.fork()
os.write(1, f"{scratch_folder()}\n".encode())  # one write: two processes share the pipe
if child:
    os.waitpid(child, 0)
    assert own.is_dir() and scratch_folder() == own
"""


def users_folder(tmp: Path) -> Path:
    return tmp / f"medray-{os.getuid()}"


def left(tmp: Path) -> list[Path]:
    return sorted(path for path in users_folder(tmp).iterdir() if path.is_dir())


def python(program: str, tmp: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(tmp)],
        env={**os.environ, "TMPDIR": str(tmp)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def writer(tmp: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Yield a process in the middle of a write to an object store, and its temporary file."""
    with python(WRITE, tmp) as process:
        assert process.stdout
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_process_that_ends_takes_its_temporary_files_with_it(tmp_path: Path) -> None:
    with writer(tmp_path) as (process, file):
        assert file.read_bytes() == b"half"
        process.communicate("")
        assert process.returncode == 0
    assert left(tmp_path) == []
    assert (tmp_path / "table.parquet").read_bytes() == b"half"


def test_the_next_process_sweeps_what_a_killed_one_left_and_not_a_living_ones(
    tmp_path: Path,
) -> None:
    with writer(tmp_path) as (killed, orphan), writer(tmp_path) as (_, living):
        killed.kill()
        killed.wait()
        assert orphan.is_file()
        with writer(tmp_path) as (_, own):
            assert not orphan.parent.exists()
            assert left(tmp_path) == sorted([living.parent, own.parent])
            assert living.read_bytes() == own.read_bytes() == b"half"


def test_a_forked_child_has_a_folder_of_its_own(tmp_path: Path) -> None:
    out, _ = python(FORK, tmp_path).communicate()
    assert len(set(out.split())) == 2
    assert left(tmp_path) == []


def test_temporary_folders_lie_in_the_processs_own_and_go_at_the_end() -> None:
    with scratch.temporary_folder() as folder:
        assert folder.parent == scratch.scratch_folder()
        (folder / "part").write_text("x")
    assert not folder.exists()
    assert oct(folder.parent.parent.stat().st_mode & 0o777) == "0o700"


def test_a_folder_that_somebody_else_put_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    users_folder(tmp_path).symlink_to(tmp_path / "elsewhere")
    program = "from medray.storage.scratch import scratch_folder; scratch_folder()"
    process = python(program, tmp_path)
    _, told = process.communicate()
    assert process.returncode == 1
    assert "set TMPDIR to another folder" in told


# Holds a shared folder, or waits where it is being filled, and says who filled it.
SHARE = """
import sys, time
from pathlib import Path
from medray.storage.scratch import let_go, shared_folder
def fill(folder):
    print("filling", flush=True)
    sys.stdin.readline()
    (folder / "who").write_text(sys.argv[2])
folder = shared_folder("data", fill)
print((folder / "who").read_text(), flush=True)
sys.stdin.readline()
let_go()
print("gone" if not folder.exists() else "there", flush=True)
"""


class Sharer:
    """A process that shares a folder."""

    def __init__(self, tmp: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SHARE, str(tmp), name],
            env={**os.environ, "TMPDIR": str(tmp)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def sharer(tmp_path: Path) -> Iterator[Callable[[str], Sharer]]:
    made: list[Sharer] = []

    def make(name: str) -> Sharer:
        made.append(Sharer(tmp_path, name))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_the_first_process_fills_and_the_last_one_removes(
    sharer: Callable[[str], Sharer],
) -> None:
    first = sharer("first")
    assert first.says() == "filling"
    second = sharer("second")
    first.go_on()
    assert (first.says(), second.says()) == ("first", "first")
    first.go_on()
    assert first.says() == "there"
    second.go_on()
    assert second.says() == "gone"


def test_where_the_one_that_fills_is_killed_the_next_fills_anew(
    sharer: Callable[[str], Sharer],
) -> None:
    first = sharer("first")
    assert first.says() == "filling"
    second = sharer("second")
    first.kill()
    assert second.says() == "filling"
    second.go_on()
    assert second.says() == "second"


def test_what_killed_processes_shared_is_found_again_for_an_hour(
    tmp_path: Path, sharer: Callable[[str], Sharer]
) -> None:
    first = sharer("first")
    first.go_on()
    assert [first.says(), first.says()] == ["filling", "first"]
    first.kill()
    with writer(tmp_path):  # which sweeps
        [folder] = users_folder(tmp_path).glob("shared-*")
    second = sharer("second")
    assert second.says() == "first"
    second.kill()
    with writer(tmp_path):
        assert folder.is_dir()
    an_hour_ago = time.time() - scratch.UNUSED_FOR_S
    os.utime(folder / scratch.UNUSED_NAME, (an_hour_ago, an_hour_ago))
    with writer(tmp_path):
        assert not folder.exists()
