"""Temporary files outlive no process for long, however it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
