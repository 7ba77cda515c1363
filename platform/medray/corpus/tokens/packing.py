"""Cutting documents' tokens into a matrix of windows, and saying whose tokens stand where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

Tokens = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """Documents one after another, each with its end token: i has tokens[bounds[i]:bounds[i+1]].

    ``positions``: which token of its document is the first here; above 0 only for a first
    document whose start stands in a window before.
    """

    document_ids: pa.Array
    tokens: Tokens
    bounds: Places
    positions: Places

    @property
    def documents(self) -> int:
        return len(self.document_ids)

    @classmethod
    def empty(cls) -> Stream:
        nothing = np.zeros(0, np.int64)
        return cls(pa.array([], pa.string()), np.zeros(0, np.int32), np.zeros(1, np.int64), nothing)

    @classmethod
    def of(
        cls, ids: pa.Array | pa.ChunkedArray, tokens: Tokens, offsets: Places, end_id: int
    ) -> Stream:
        """Put the end token after every document that has a token, and leave out the others."""
        ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        ids = ids.cast(pa.string())
        lengths = np.diff(offsets)
        ids = ids if lengths.all() else ids.filter(pa.array(lengths > 0))
        bounds = _bounds(lengths[lengths > 0] + 1)
        out = np.empty(bounds[-1], np.int32)
        _with_ends(tokens, bounds, end_id, out)
        return cls(ids, out, bounds, np.zeros(len(ids), np.int64))

    def followed_by(self, other: Stream) -> Stream:
        return Stream(
            pa.concat_arrays([self.document_ids, other.document_ids]),
            np.concatenate([self.tokens, other.tokens]),
            np.concatenate([self.bounds, self.bounds[-1] + other.bounds[1:]]),
            np.concatenate([self.positions, other.positions]),
        )

    def since(self, place: int) -> Stream:
        """Return what stands from token ``place`` on; a document may begin inside."""
        first = int(np.searchsorted(self.bounds, place, "right")) - 1
        if first == self.documents:
            return Stream.empty()
        bounds = np.maximum(self.bounds[first:], place) - place
        positions = self.positions[first:].copy()
        positions[0] += place - self.bounds[first]
        return Stream(self.document_ids[first:], self.tokens[place:].copy(), bounds, positions)


@dataclass(frozen=True)
class Pieces:
    """Windows: int32 [windows, size], ``lengths`` int32 [windows], and their documents' pieces.

    Window w has pieces offsets[w] up to offsets[w+1] of ``document_ids``, ``starts`` and
    ``positions`` (int32: where in the window, which token of the document).
    """

    windows: Tokens
    lengths: Tokens
    offsets: Tokens
    document_ids: pa.Array
    starts: Tokens
    positions: Tokens


def cut_overlapping(stream: Stream, size: int, overlap: int, padding_id: int) -> Pieces:
    """Cut each document by itself; the last window of a long one ends with it."""
    lengths, stride = np.diff(stream.bounds), size - overlap
    counts = 1 + np.maximum(0, -(-(lengths - size) // stride))
    document = np.repeat(np.arange(stream.documents), counts)
    number = np.arange(len(document)) - np.repeat(_bounds(counts)[:-1], counts)
    last_start = np.maximum(0, lengths - size)
    starts = np.minimum(number * stride, last_start[document])
    kept = np.minimum(lengths, size)[document]
    windows = np.full((len(document), size), padding_id, np.int32)
    _copy(stream.tokens, stream.bounds[document] + starts, kept, windows)
    return Pieces(
        windows,
        kept.astype(np.int32),
        np.arange(len(document) + 1, dtype=np.int32),
        stream.document_ids.take(pa.array(document)),
        np.zeros(len(document), np.int32),
        starts.astype(np.int32),
    )


def cut_packed(stream: Stream, size: int, padding_id: int, *, rest: bool) -> tuple[Pieces, Stream]:
    """Cut the stream into full windows; return them and what is left.

    ``rest``: whether what is left becomes a last, short window.
    """
    total = len(stream.tokens)
    count = -(-total // size) if rest else total // size
    end = min(total, count * size)
    if end == count * size:
        windows = stream.tokens[:end].reshape(count, size)
    else:
        windows = np.full((count, size), padding_id, np.int32)
        windows.reshape(-1)[:end] = stream.tokens
    window_starts = np.arange(count) * size
    lengths = np.minimum(window_starts + size, total) - window_starts
    first = np.searchsorted(stream.bounds, window_starts, "right") - 1
    past = np.searchsorted(stream.bounds, window_starts + lengths, "left")
    offsets = _bounds(past - first)
    window = np.repeat(np.arange(count), past - first)
    document = np.arange(offsets[-1]) - offsets[window] + first[window]
    begins = stream.bounds[document] - window_starts[window]
    pieces = Pieces(
        windows,
        lengths.astype(np.int32),
        offsets.astype(np.int32),
        stream.document_ids.take(pa.array(document)),
        np.maximum(begins, 0).astype(np.int32),
        (stream.positions[document] + np.maximum(-begins, 0)).astype(np.int32),
    )
    return pieces, stream.since(end)


def _bounds(lengths: npt.NDArray[np.integer]) -> Places:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@njit(cache=True, nogil=True)
def _with_ends(tokens, bounds, end_id, out):  # type: ignore[no-untyped-def]
    read = 0
    for document in range(len(bounds) - 1):
        first, last = bounds[document], bounds[document + 1] - 1
        out[first:last] = tokens[read : read + last - first]
        out[last] = end_id
        read += last - first


@njit(cache=True, nogil=True)
def _copy(tokens, begins, lengths, windows):  # type: ignore[no-untyped-def]
    for window in range(len(begins)):
        begin, length = begins[window], lengths[window]
        windows[window, :length] = tokens[begin : begin + length]
