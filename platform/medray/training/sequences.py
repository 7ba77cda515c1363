"""Token sequences to train on, and reading them from windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet

# A label that the loss leaves out (torch's cross_entropy has the same default).
IGNORED = -100


@dataclass(frozen=True)
class Example:
    """One sequence: ``tokens`` and ``labels`` of equal lengths, its language, where it is from.

    ``entry``: the name of the recipe's entry that it belongs to.
    """

    tokens: Sequence[int]
    labels: Sequence[int]
    language: str = ""
    name: str = ""
    entry: str = ""


@dataclass(frozen=True)
class Sequences:
    """Many token sequences, flat: sequence i is tokens[offsets[i]:offsets[i+1]].

    ``tokens`` and ``labels``: int32, one entry a token, the same array where every token is a
    label. ``pieces``: sorted places in ``tokens`` where attention and positions begin anew: every
    sequence's first token, and each border of documents in a packed window. ``languages``: int32,
    for each sequence the number of its language in ``language_names``. ``names``: for each
    sequence the ids of what it was made from. ``largest_known``: the largest token, where it was
    counted before. ``entries``: int32, for each sequence the number of its recipe entry's name in
    ``entry_names``; empty for windows of a corpus, which have none.
    """

    tokens: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    pieces: npt.NDArray[np.int64]
    languages: npt.NDArray[np.int32]
    language_names: tuple[str, ...] = ()
    names: pa.ChunkedArray = field(
        default_factory=lambda: pa.chunked_array([], pa.list_(pa.string()))
    )
    largest_known: int | None = None
    entries: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    entry_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.offsets)

    def lengths_of(self, chosen: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the chosen sequences' lengths: of millions, the others are not looked at."""
        numbers = np.asarray(chosen, np.int64)
        lengths: npt.NDArray[np.int64] = self.offsets[numbers + 1] - self.offsets[numbers]
        return lengths

    @property
    def largest_token(self) -> int:
        """Return the largest token; -1 where there is none."""
        if self.largest_known is not None:
            return self.largest_known
        return int(self.tokens.max(initial=-1))

    def borders(self, number: int) -> npt.NDArray[np.int64]:
        """Return where in a sequence its pieces begin."""
        first, end = self.offsets[number], self.offsets[number + 1]
        low, high = np.searchsorted(self.pieces, [first, end])
        borders: npt.NDArray[np.int64] = self.pieces[low:high] - first
        return borders

    def piece_lengths(self, number: int) -> npt.NDArray[np.int64]:
        """Return how many tokens each piece of a sequence has."""
        length = self.offsets[number + 1] - self.offsets[number]
        return np.diff(np.append(self.borders(number), length))

    def pieces_of(self, chosen: Sequence[int]) -> list[int]:
        """Return the numbers of the chosen sequences' pieces, counted through all sequences."""
        numbers = np.asarray(chosen, np.int64)
        low = np.searchsorted(self.pieces, self.offsets[numbers])
        high = np.searchsorted(self.pieces, self.offsets[numbers + 1])
        return [piece for a, b in zip(low, high, strict=True) for piece in range(int(a), int(b))]

    def piece_bounds(self, pieces: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return where pieces lie in ``tokens``: int64 [pieces, 2], first and one past last."""
        numbers = np.asarray(pieces, np.int64)
        last = numbers == len(self.pieces) - 1
        following = self.pieces[np.where(last, numbers, numbers + 1)]
        ends = np.where(last, self.offsets[-1], following)
        return np.stack([self.pieces[numbers], ends], 1)

    @classmethod
    def of(cls, examples: Iterable[Example]) -> Self:
        examples = list(examples)
        lengths = [len(example.tokens) for example in examples]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        languages, language_names = _numbered([example.language for example in examples])
        entries, entry_names = _numbered([example.entry for example in examples])
        ids = pa.array([[example.name] for example in examples], pa.list_(pa.string()))
        return cls(
            np.fromiter((t for e in examples for t in e.tokens), np.int32, offsets[-1]),
            np.fromiter((t for e in examples for t in e.labels), np.int32, offsets[-1]),
            offsets,
            offsets[:-1][np.diff(offsets) > 0],
            languages,
            language_names,
            pa.chunked_array([ids]),
            entries=entries,
            entry_names=entry_names,
        )

    def ids_of(self, chosen: Iterable[int]) -> list[str]:
        """Return the ids of what sequences were made from, each once, in order."""
        return list(dict.fromkeys(name for i in chosen for name in self.names[int(i)].as_py()))


def _numbered(values: Sequence[str]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return each value's number, and the values by number."""
    names = tuple(sorted(set(values)))
    numbers = {name: number for number, name in enumerate(names)}
    return np.fromiter((numbers[value] for value in values), np.int32, len(values)), names


def read_windows(files: Iterable[Location]) -> Sequences:
    """Read files of windows (``medray.corpus.tokens.windows.window_schema``) in the order given.

    Every token up to a window's ``length`` is a token and a label; padding is not read. A window
    is a sequence, of as many pieces as it has of documents. InputError for a torn file.
    """
    files = list(files)
    lengths = [_read_column(file, "length").to_numpy() for file in files]
    offsets = np.concatenate([[0], *lengths]).astype(np.int64).cumsum()
    tokens = np.empty(offsets[-1], np.int32)
    pieces, languages, names, first_token, first_window = [], [], [], 0, 0
    for file, kept in zip(files, lengths, strict=True):
        windows = window_matrix(_read_column(file, "tokens"))
        end = first_token + int(kept.sum())
        tokens[first_token:end] = windows[np.arange(windows.shape[1]) < kept[:, None]]
        begins = offsets[first_window : first_window + len(kept)]
        starts = _read_column(file, "starts")
        inside = np.repeat(begins, starts.value_lengths().to_numpy()) + starts.flatten().to_numpy()
        pieces.append(inside)
        languages.append(_read_column(file, "language"))
        names.append(_read_column(file, "document_ids"))
        first_token, first_window = end, first_window + len(kept)
    codes = pa.chunked_array(languages, pa.string()).combine_chunks().dictionary_encode()
    return Sequences(
        tokens,
        tokens,
        offsets,
        np.concatenate([np.zeros(0, np.int64), *pieces]),
        codes.indices.to_numpy(),
        tuple(codes.dictionary.to_pylist()),
        pa.chunked_array(names, pa.list_(pa.string())),
    )


def window_matrix(column: pa.FixedSizeListArray) -> npt.NDArray[np.int32]:
    """Return windows as int32 [windows, window_tokens]: a view of Arrow's memory, no copy.

    ``torch.from_numpy`` takes it as it is, read-only.
    """
    matrix: npt.NDArray[np.int32] = column.flatten().to_numpy()
    return matrix.reshape(len(column), column.type.list_size)


def _read_column(file: Location, name: str) -> pa.Array:
    with open_parquet(file) as parquet:
        return parquet.read(columns=[name])[name].combine_chunks()


def hold_out(sequences: Sequences, share: float, seed: int) -> tuple[Sequences, Sequences]:
    """Return (training, validation): ``share`` of the documents is held out, all their windows.

    A document is known by its id, so overlapping windows of one never lie on both sides. In a
    window of several documents the held ones are cut out; a held piece is a sequence by itself.
    """
    if share == 0 or len(sequences) == 0:
        return sequences, Sequences.of([])
    names = pa.chunked_array(sequences.names).combine_chunks().flatten()
    held_names = [draw(name, seed) < share for name in names.unique().to_pylist()]
    held = np.asarray(held_names)[names.dictionary_encode().indices.to_numpy()]
    return _of_pieces(sequences, ~held, alone=False), _of_pieces(sequences, held, alone=True)


def draw(name: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on nothing else."""
    digest = blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _of_pieces(sequences: Sequences, chosen: npt.NDArray[np.bool_], alone: bool) -> Sequences:
    """Return sequences of the chosen pieces only; ``alone``: each piece a sequence by itself."""
    lengths = np.diff(np.append(sequences.pieces, sequences.offsets[-1]))
    owners = np.searchsorted(sequences.offsets, sequences.pieces, side="right") - 1
    owners, sizes = owners[chosen], lengths[chosen]
    tokens = np.repeat(chosen, lengths)
    kept = sequences.tokens[tokens]
    labels = kept if sequences.labels is sequences.tokens else sequences.labels[tokens]
    begins = np.concatenate([[0], sizes.cumsum()]).astype(np.int64)
    groups = np.arange(len(sizes)) if alone else owners
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    borders = np.append(first, len(sizes))
    names = pa.chunked_array(sequences.names).combine_chunks().flatten().filter(pa.array(chosen))
    return Sequences(
        kept,
        labels,
        begins[borders],
        begins[:-1],
        sequences.languages[owners[first]],
        sequences.language_names,
        pa.chunked_array([pa.ListArray.from_arrays(pa.array(borders, pa.int32()), names)]),
        entries=sequences.entries[owners[first]] if sequences.entry_names else sequences.entries,
        entry_names=sequences.entry_names,
    )
