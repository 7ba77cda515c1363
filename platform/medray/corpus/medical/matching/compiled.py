"""The compiled matcher: one pass over the Arrow buffer, in machine code made by numba."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from medray.corpus.medical.matching.kernels import count_characters, scan_documents
from medray.corpus.medical.matching.patterns import PatternSet, comparable
from medray.corpus.medical.matching.protocol import Integers, Scan, text_buffers
from medray.corpus.medical.matching.trie import Tables, build_tables

# Numbers of keywords that one call can tell: a batch of 8 MiB has some 20,000. What is not written
# takes no memory of the machine.
FOUND_ROOM = 1 << 18


@dataclass(frozen=True)
class CompiledMatcher:
    """A filter on the first bytes of all patterns finds where one may begin, a trie which do.

    No text is folded or copied. Time grows with the text and the number of such places, at worst
    with the text's length times the longest pattern's.
    """

    patterns: PatternSet

    @cached_property
    def _tables(self) -> Tables:
        return build_tables(self.patterns)

    def scan(self, texts: pa.Array) -> Scan:
        data, offsets = text_buffers(comparable(texts, self.patterns.case))
        counts = np.empty((len(texts), 3), np.int64)
        found, first = [np.empty(0, np.int32)], 0
        while first < len(texts):
            room = np.empty(max(FOUND_ROOM, self.patterns.keywords), np.int32)
            first, used = scan_documents(data, offsets, self._tables, first, counts, room)
            found.append(room[:used])
        return Scan(counts[:, 0], counts[:, 1], counts[:, 2], np.concatenate(found))


def characters_of(texts: pa.Array) -> Integers:
    """Return how many characters (code points) each text has; no nulls among them."""
    data, offsets = text_buffers(texts)
    counts = np.empty(len(texts), np.int64)
    count_characters(data, offsets, counts)
    return counts
