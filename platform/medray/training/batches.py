"""Sequences, the order in which they are seen, and padded batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet

# A label that the loss leaves out (torch's cross_entropy has the same default).
IGNORED = -100


@dataclass(frozen=True)
class Sequences:
    """Many token sequences, flat: sequence i is tokens[offsets[i]:offsets[i+1]].

    ``tokens`` and ``labels``: int32, one entry a token. 8 bytes a token in memory on every
    worker, so 10^9 tokens are 8 GB.
    """

    tokens: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Sequences:
        """Build from (tokens, labels) pairs of equal lengths."""
        lengths = [len(tokens) for tokens, _ in pairs]
        flat = [np.asarray(tokens, np.int32) for tokens, _ in pairs]
        labels = [np.asarray(label, np.int32) for _, label in pairs]
        empty = [np.zeros(0, np.int32)]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.concatenate(flat or empty), np.concatenate(labels or empty), offsets)


def read_windows(files: Iterable[Location]) -> Sequences:
    """Read files of windows (``medray.corpus.tokens.windows.window_schema``) in the order given.

    Every token up to a window's ``length`` is a token and a label of its sequence, the same
    array, so 4 bytes a token; padding is not read into it. A window of several documents is one
    sequence. InputError for a torn file.
    """
    files = list(files)
    lengths = [_read_column(file, "length").to_numpy() for file in files]
    offsets = np.concatenate([[0], *lengths]).astype(np.int64).cumsum()
    tokens, first = np.empty(offsets[-1], np.int32), 0
    for file, kept in zip(files, lengths, strict=True):
        windows = window_matrix(_read_column(file, "tokens"))
        end = first + int(kept.sum())
        tokens[first:end] = windows[np.arange(windows.shape[1]) < kept[:, None]]
        first = end
    return Sequences(tokens, tokens, offsets)


def window_matrix(column: pa.FixedSizeListArray) -> npt.NDArray[np.int32]:
    """Return windows as int32 [windows, window_tokens]: a view of Arrow's memory, no copy.

    ``torch.from_numpy`` takes it as it is, read-only.
    """
    matrix: npt.NDArray[np.int32] = column.flatten().to_numpy()
    return matrix.reshape(len(column), column.type.list_size)


def _read_column(file: Location, name: str) -> pa.Array:
    with open_parquet(file) as parquet:
        return parquet.read(columns=[name])[name].combine_chunks()


@lru_cache(maxsize=2)
def _permutation(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def sample_at(position: int, count: int, seed: int) -> int:
    """Return which sequence is the ``position``-th to be seen (0-based, over all epochs).

    A function of (seed, position) alone: what was seen up to a step is one integer, whatever the
    number of workers.
    """
    epoch, within = divmod(position, count)
    return int(_permutation(count, seed, epoch)[within])


def worker_samples(
    step: int, global_batch_size: int, rank: int, world_size: int, count: int, seed: int
) -> list[int]:
    """Return the sequences of one worker in one step: a slice of the step's global batch."""
    share = global_batch_size // world_size
    first = step * global_batch_size + rank * share
    return [sample_at(position, count, seed) for position in range(first, first + share)]


def collate(sequences: Sequences, chosen: Sequence[int], padding: int) -> dict[str, Any]:
    """Return one padded batch: input_ids, attention_mask, labels; int64 [batch, longest].

    Padding stands on the right, is masked from attention and never has a label.
    """
    import torch

    spans = [(int(sequences.offsets[i]), int(sequences.offsets[i + 1])) for i in chosen]
    longest = max(end - start for start, end in spans)
    shape = (len(spans), longest)
    tokens = np.full(shape, padding, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    mask = np.zeros(shape, np.int64)
    for row, (start, end) in enumerate(spans):
        tokens[row, : end - start] = sequences.tokens[start:end]
        labels[row, : end - start] = sequences.labels[start:end]
        mask[row, : end - start] = 1
    arrays = {"input_ids": tokens, "attention_mask": mask, "labels": labels}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
