"""Lists of token lists as arrays of integers, which compiled loops can go through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Tokens = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Ragged:
    """Texts as token ids. Text i is ``tokens[starts[i]:starts[i + 1]]``; equal words, equal ids."""

    tokens: npt.NDArray[np.int32]
    starts: Integers

    def text(self, number: int) -> npt.NDArray[np.int32]:
        return self.tokens[self.starts[number] : self.starts[number + 1]]

    @property
    def lengths(self) -> Integers:
        return np.diff(self.starts)


class Vocabulary:
    """The ids that words get in the order of their first use: 0, 1, 2 ..."""

    def __init__(self) -> None:
        ids: defaultdict[str, int] = defaultdict()
        ids.default_factory = ids.__len__
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def pack(self, texts: Tokens) -> Ragged:
        starts = offsets([len(text) for text in texts])
        ids = map(self._ids.__getitem__, chain.from_iterable(texts))
        return Ragged(np.fromiter(ids, np.int32, int(starts[-1])), starts)


def offsets(counts: Sequence[int]) -> Integers:
    """Return where each part begins in a row of parts of these lengths, and where the last ends."""
    out = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(np.asarray(counts, np.int64), out=out[1:])
    return out
