"""One type for a place on local disk or in an object store."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from medray.errors import InputError
from medray.storage.object_store import open_filesystem
from medray.storage.persistence import persist
from medray.storage.scratch import scratch_folder

# A file up to this size is identified by the hash of all its bytes; a larger one by size, time of
# change and the hash of its two ends (a Parquet footer holds every column chunk's offset and
# statistics, so a changed value shows there).
WHOLE_HASH_LIMIT_BYTES = 64 * 2**20
END_HASH_BYTES = 64 * 2**10
COPY_BYTES = 8 * 2**20
PARTIAL = ".partial"
LOCK_NAME = ".lock"
# Arrow shows a folder of these stores only where somebody made a marker for it, which writing a
# file does not: they are listed as a whole.
STORES_WITHOUT_FOLDERS = ("gcs",)
_COPIES: dict[str, Path] = {}


@dataclass(frozen=True)
class Location:
    """A file or folder: a pyarrow filesystem and a path in it. Pickles, so tasks can carry it."""

    filesystem: pafs.FileSystem
    path: str

    @classmethod
    def of(cls, where: str | Path | Location) -> Location:
        """Return the location of a local path or a URI (``s3://``, ``gs://``, ``hf://``, ``file://``)."""
        if isinstance(where, Location):
            return where
        text = str(where)
        if "://" in text:
            return cls(*open_filesystem(text))
        return cls(pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))

    def __hash__(self) -> int:
        """Filesystems compare, but have no hash of their own."""
        return hash((self.filesystem.type_name, self.path))

    def __truediv__(self, name: str) -> Location:
        return Location(self.filesystem, f"{self.path.rstrip('/')}/{name}")

    def __str__(self) -> str:
        if self.is_local:
            return self.path
        return f"{'gs' if self._is_google else self.filesystem.type_name}://{self.path}"

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    @property
    def _is_google(self) -> bool:
        return bool(self.filesystem.type_name == "gcs")

    def local_path(self) -> Path:
        """Return the path on this machine's disk; ``ValueError`` for an object store."""
        if not self.is_local:
            raise ValueError(f"{self} is not on a local disk")
        return Path(self.path)

    def is_file(self) -> bool:
        return bool(self.filesystem.get_file_info(self.path).type == pafs.FileType.File)

    def exists(self) -> bool:
        return bool(self.filesystem.get_file_info(self.path).type != pafs.FileType.NotFound)

    def files(self, with_partial: bool = False) -> Iterator[Location]:
        """Yield every file below this folder, sorted by path; nothing where it does not exist.

        What a killed writer left half written is among them only ``with_partial``.
        """
        selector = pafs.FileSelector(self.path, allow_not_found=True, recursive=True)
        infos = [i for i in self.filesystem.get_file_info(selector) if i.type == pafs.FileType.File]
        for info in sorted(infos, key=lambda i: i.path):
            if with_partial or not info.path.endswith(PARTIAL):
                yield Location(self.filesystem, info.path)

    def walk(self) -> Iterator[tuple[Location, list[str]]]:
        """Yield this folder and all below it, each with the names of the files in it, sorted.

        A folder comes before those in it. What killed writers left half written is among the
        files; what comes or goes meanwhile may be told or not. One folder's names are in memory at
        a time, 80 bytes each, where ``files`` takes 400 of every file.
        """
        if self.filesystem.type_name in STORES_WITHOUT_FOLDERS:
            yield from self._walk_whole()
            return
        waiting = [self]
        while waiting:
            folder = waiting.pop()
            folders, names = folder._listed()
            yield folder, names
            waiting += (folder / name for name in reversed(folders))

    def _walk_whole(self) -> Iterator[tuple[Location, list[str]]]:
        found: dict[str, list[str]] = {}
        for file in self.files(with_partial=True):
            found.setdefault(file.parent.path, []).append(file.name)
        found.setdefault(self.path, [])  # told even where it holds nothing, as everywhere
        for path in sorted(found, key=lambda path: path.split("/")):
            yield Location(self.filesystem, path), found[path]

    def _listed(self) -> tuple[list[str], list[str]]:
        """Return the names of the folders and of the files directly in this one, sorted."""
        if self.is_local:
            return _scan(self.path)
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        folders = sorted(i.base_name for i in infos if i.type == pafs.FileType.Directory)
        return folders, sorted(i.base_name for i in infos if i.type == pafs.FileType.File)

    def folders(self) -> list[Location]:
        """Return the folders directly in this one, sorted; none where it does not exist."""
        if self.filesystem.type_name in STORES_WITHOUT_FOLDERS:
            below = (f.relative_to(self) for f, _ in self._walk_whole() if f.path != self.path)
            return [self / name for name in sorted({path.partition("/")[0] for path in below})]
        return [self / name for name in self._listed()[0]]

    def relative_to(self, folder: Location) -> str:
        return self.path.removeprefix(folder.path.rstrip("/") + "/")

    def open_input(self) -> pa.NativeFile:
        return self.filesystem.open_input_file(self.path)

    def read_bytes(self) -> bytes:
        """Return the file's bytes as they lie: Arrow would unpack what is called ``.gz``."""

        def read() -> bytes:
            with self.filesystem.open_input_stream(self.path, compression=None) as stream:
                return bytes(stream.read())

        return persist(read)

    def read_json(self) -> Any:
        return json.loads(self.read_bytes())

    def write_bytes(self, data: bytes | pa.Buffer) -> None:
        """Write the whole file or nothing: a reader never sees a part of it."""
        with self.writing() as path, path.open("wb") as file:
            file.write(data)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield a local path to write a file to; left without an error, it stands here, whole.

        Local disk: a temporary file beside its place, flushed to disk, then renamed over.
        Object store: a temporary file on this machine, then one upload, which becomes visible
        when it is closed. A full disk is an OSError that names the file and the remedy.
        """
        if self.is_local:
            temporary = Path(f"{self.parent.path}/.{self.name}.{uuid.uuid4().hex}{PARTIAL}")
            temporary.parent.mkdir(parents=True, exist_ok=True)
        else:
            temporary = scratch_folder() / f"{uuid.uuid4().hex}{PARTIAL}"
        try:
            yield temporary
            if self.is_local:
                _flush(temporary)
                temporary.replace(self.path)
            else:
                self._upload_file(temporary)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC,
                f"{self}: no space left on the disk; what was finished is kept: free some space "
                "and give the same command again",
            ) from None
        finally:
            temporary.unlink(missing_ok=True)

    @property
    def parent(self) -> Location:
        return Location(self.filesystem, self.path.rsplit("/", 1)[0])

    def _upload_file(self, file: Path) -> None:
        with file.open("rb") as source:
            target = self.filesystem.open_output_stream(self.path, compression=None)
            try:
                while piece := source.read(COPY_BYTES):
                    target.write(piece)
            except BaseException:
                # Arrow can finish an upload but not give one up: what an interrupt cut short
                # would stand there as if it were whole.
                target.close()
                self.delete_file()
                raise
            target.close()

    def write_json(self, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
        self.write_bytes(text.encode() + b"\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this local folder for one process; InputError where another one holds it.

        The kernel frees the lock when the process ends, however it ends. An object store has no
        lock: there the caller must see to it.
        """
        if not self.is_local:
            yield
            return
        folder = self.local_path()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK_NAME).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{folder}: another run works there; wait for it, or name another workspace"
                ) from error
            yield

    def upload(self, folder: Path) -> None:
        """Copy a local folder with all its files to here."""
        if self.is_local:
            self.local_path().mkdir(parents=True, exist_ok=True)
        pafs.copy_files(
            str(folder),
            self.path,
            source_filesystem=pafs.LocalFileSystem(),
            destination_filesystem=self.filesystem,
        )

    def local_copy(self) -> Path:
        """Return this folder on this machine's disk: itself, or a copy that this process made.

        A copy is made once in a process, so it is for folders whose content never changes.
        """
        if self.is_local:
            return self.local_path()
        key = str(self)
        if key not in _COPIES:
            copied = tempfile.mkdtemp(dir=scratch_folder())
            persist(
                lambda: pafs.copy_files(
                    self.path,
                    copied,
                    source_filesystem=self.filesystem,
                    destination_filesystem=pafs.LocalFileSystem(),
                )
            )
            _COPIES[key] = Path(copied)
        return _COPIES[key]

    def delete_file(self) -> None:
        """Remove this file; it need not exist, and another process may remove it meanwhile."""
        if self.is_file():
            with suppress(FileNotFoundError):
                self.filesystem.delete_file(self.path)

    def delete_folder(self) -> None:
        """Remove this folder and all below it; it need not exist."""
        if self._is_google:
            # Arrow's delete_dir fails here where no object stands for the folder.
            self.filesystem.delete_dir_contents(self.path, missing_dir_ok=True)
        if self.exists():
            self.filesystem.delete_dir(self.path)


def _scan(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the folders and of the files directly in a local folder, sorted.

    The directory itself says which is which: asking for each file's size, as Arrow does, takes
    five times as long.
    """
    folders, files = [], []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file():
                files.append(entry.name)
    return sorted(folders), sorted(files)


def _flush(file: Path) -> None:
    """Have the kernel put a written file's content on the disk."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def sha256_of(location: Location) -> tuple[int, str]:
    """Return (size in bytes, SHA-256 in hex) of a file, read in pieces of 8 MiB."""

    def read() -> tuple[int, str]:
        digest, size_bytes = hashlib.sha256(), 0
        with location.filesystem.open_input_stream(location.path, compression=None) as stream:
            while piece := stream.read(COPY_BYTES):
                digest.update(piece)
                size_bytes += len(piece)
        return size_bytes, digest.hexdigest()

    return persist(read)


def content_identity(location: Location) -> str:
    """Return a short string that changes when the file's content changes.

    The hash of all bytes up to 64 MiB; beyond that size, time of change and both ends' hash, so
    that planning over terabytes reads megabytes.
    """
    info = location.filesystem.get_file_info(location.path)
    if info.size <= WHOLE_HASH_LIMIT_BYTES:
        return sha256_of(location)[1][:32]
    digest = hashlib.sha256(f"{info.size} {info.mtime_ns}".encode())
    with location.open_input() as file:
        digest.update(file.read_at(END_HASH_BYTES, 0))
        digest.update(file.read_at(END_HASH_BYTES, info.size - END_HASH_BYTES))
    return digest.hexdigest()[:32]
