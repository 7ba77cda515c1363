"""The matchers' protocol: what is asked of a batch of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """What a matcher finds in a batch of texts; one entry a text.

    ``keyword_count``: distinct keywords. ``covered``: characters that lie in some occurrence.
    ``summed``: the occurrences' lengths in characters, added up. ``found``: the numbers of the
    distinct keywords of the first text, then of the second, each in the order of first sight:
    ``keyword_count.sum()`` of them.
    """

    keyword_count: Integers
    covered: Integers
    summed: Integers
    found: npt.NDArray[np.int32]


class Matcher(Protocol):
    """Finds every occurrence of every pattern, overlapping ones included, where its rule allows.

    Engines differ in speed alone.
    """

    def scan(self, texts: pa.Array) -> Scan:
        """Return what is in ``texts``: a string or large string array without nulls."""
        ...


def text_buffers(texts: pa.Array) -> tuple[Bytes, Integers]:
    """Return the UTF-8 bytes of a string array and its n + 1 offsets into them; no byte is copied.

    A slice's bytes are its own alone.
    """
    _, offsets, data = texts.buffers()
    if len(texts) == 0 or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    places = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(places[0]), int(places[-1])
    return np.frombuffer(data, np.uint8)[first:last], places.astype(np.int64) - first
