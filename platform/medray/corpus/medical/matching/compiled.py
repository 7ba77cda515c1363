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
        # An upper bound, mostly never written and so never taken from the machine's memory.
        room = min(len(texts) * self.patterns.keywords, len(data))
        found = np.empty(room, np.int32)
        used = scan_documents(data, offsets, self._tables, counts, found)
        return Scan(counts[:, 0], counts[:, 1], counts[:, 2], found[:used].copy())


def characters_of(texts: pa.Array) -> Integers:
    """Return how many characters (code points) each text has; no nulls among them."""
    data, offsets = text_buffers(texts)
    counts = np.empty(len(texts), np.int64)
    count_characters(data, offsets, counts)
    return counts
