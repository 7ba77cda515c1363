"""Sequences in flat files on a node's disk, which all of its workers map into memory."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medray.errors import InputError
from medray.storage.scratch import shared_folder
from medray.training.sequences import Sequences

# Part of each folder's name: one of another format is not looked at.
FORMAT = 2
ARRAYS = {
    "tokens": "<i4",
    "labels": "<i4",
    "offsets": "<i8",
    "pieces": "<i8",
    "languages": "<i4",
    "entries": "<i4",
}
NAMES_SCHEMA = pa.schema([("names", pa.list_(pa.string()))])
# Training's sequences and those held out for validation.
Split = tuple[Sequences, Sequences]


def on_this_node(key: str, parts: Callable[[], Iterable[Split]]) -> Split:
    """Return (training, validation), the parts one after another, mapped from this node's disk.

    The first process of the node that asks for a key makes them, a part in memory at a time, and
    the others wait; a worker group of eight then holds no token eight times, and a corpus may be
    larger than memory. 4 bytes a token of windows, 8 of examples, below TMPDIR until
    ``scratch.let_go``. InputError where they find no room there.
    """

    def fill(folder: Path) -> None:
        try:
            with Writer(folder / "training") as training, Writer(folder / "validation") as held:
                for trained_on, held_out in parts():
                    training.add(trained_on)
                    held.add(held_out)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise InputError(
                f"{folder.parent.parent}: no room for the sequences to train on; set TMPDIR to a "
                "folder that has it, on every node"
            ) from error

    folder = shared_folder(f"sequences-{FORMAT}-{key}", fill)
    return map_sequences(folder / "training"), map_sequences(folder / "validation")


class Writer:
    """Writes sequences into an empty folder, a part after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        # Numbers by name, over all parts: each part numbers its own from 0.
        self._known: dict[str, dict[str, int]] = {"languages": {}, "entries": {}}
        self._tokens, self._largest = 0, -1
        # Whether labels are other than tokens: known from the first part on.
        self._labelled: bool | None = None

    def __enter__(self) -> Writer:
        self._folder.mkdir()
        self._files = {name: (self._folder / name).open("wb") for name in ARRAYS}
        self._names = pa.ipc.new_file(str(self._folder / "names"), NAMES_SCHEMA)
        self._append("offsets", np.zeros(1))
        return self

    def __exit__(self, failed: Any, *_: object) -> None:
        for file in [*self._files.values(), self._names]:
            file.close()
        if failed is None:
            about = {
                "labelled": bool(self._labelled),
                "language_names": list(self._known["languages"]),
                "entry_names": list(self._known["entries"]),
                "largest_token": self._largest,
            }
            (self._folder / "about.json").write_text(json.dumps(about))

    def add(self, part: Sequences) -> None:
        """Append a part; ValueError where its labels are its tokens and those before were not."""
        if len(part) == 0:
            return
        labelled = part.labels is not part.tokens
        if self._labelled not in (None, labelled):
            raise ValueError("sequences whose labels are their tokens are mixed with others")
        self._labelled = labelled
        self._append("tokens", part.tokens)
        if labelled:
            self._append("labels", part.labels)
        self._append("offsets", part.offsets[1:] + self._tokens)
        self._append("pieces", part.pieces + self._tokens)
        self._append_numbers("languages", part.languages, part.language_names)
        self._append_numbers("entries", part.entries, part.entry_names)
        for chunk in part.names.chunks:
            self._names.write_batch(pa.record_batch([chunk], schema=NAMES_SCHEMA))
        self._tokens += len(part.tokens)
        self._largest = max(self._largest, part.largest_token)

    def _append_numbers(
        self, name: str, numbers: npt.NDArray[np.int32], names: tuple[str, ...]
    ) -> None:
        known = self._known[name]
        renumbered = [known.setdefault(one, len(known)) for one in names]
        self._append(name, np.asarray(renumbered, np.int32)[numbers])

    def _append(self, name: str, values: npt.NDArray[Any]) -> None:
        self._files[name].write(np.ascontiguousarray(values, ARRAYS[name]).data)


def map_sequences(folder: Path) -> Sequences:
    """Return the sequences that a Writer wrote: views of its files, read-only."""
    about = json.loads((folder / "about.json").read_text())
    tokens, labels, offsets, pieces, languages, entries = (
        _map(folder / name, kind) for name, kind in ARRAYS.items()
    )
    with pa.ipc.open_file(pa.memory_map(str(folder / "names"))) as names:
        return Sequences(
            tokens,
            labels if about["labelled"] else tokens,
            offsets,
            pieces,
            languages,
            tuple(about["language_names"]),
            names.read_all()["names"],
            about["largest_token"],
            entries,
            tuple(about["entry_names"]),
        )


def _map(file: Path, kind: str) -> npt.NDArray[Any]:
    if file.stat().st_size == 0:  # which mmap refuses
        return np.zeros(0, kind)
    return np.asarray(np.memmap(file, kind, "r"))
