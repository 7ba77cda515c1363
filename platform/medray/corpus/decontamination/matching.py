"""Finding a batch's words that are a benchmark's, and making sure of it on the words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medray.corpus.cleaning.characters import strings
from medray.corpus.cleaning.line_kernels import split_lines
from medray.corpus.decontamination.folding import Characters, fold_words
from medray.corpus.decontamination.index import BenchmarkIndex, Hits
from medray.corpus.decontamination.kernels import equal_words
from medray.corpus.dedup.words import Hashes, Offsets, hash_words, utf8_of

# Folded items kept at hand, some 500 characters each: a run's matches are of few items.
ITEMS_AT_HAND = 4096


@dataclass(frozen=True)
class Words:
    """A batch cut into lines and words: bytes, where lines begin, and what ``hash_words`` says.

    ``first_lines``: by text, its first line; ``line_offsets``: by line, its first word;
    ``offsets``: by text, its first word. Each has one entry more, for the end.
    """

    language: str
    data: npt.NDArray[np.uint8]
    line_starts: Offsets
    first_lines: Offsets
    hashes: Hashes
    line_offsets: Offsets
    offsets: Offsets

    @classmethod
    def of(cls, texts: pa.StringArray, language: str) -> Words:
        data, starts = utf8_of(texts)
        line_starts, first_lines = split_lines(data, starts)
        hashes, line_offsets = hash_words(strings(data, line_starts), language)
        offsets = line_offsets[first_lines]
        return cls(language, data, line_starts, first_lines, hashes, line_offsets, offsets)

    def lines_of(self, at: int | Offsets) -> Offsets:
        """Return the line of each word."""
        return np.searchsorted(self.line_offsets, at, side="right") - 1

    def fold(self, first: int, last: int) -> tuple[Characters, Offsets]:
        """Return words ``first`` up to, not with, ``last``, as ``fold_words`` does."""
        line = int(self.lines_of(first))
        end = int(self.lines_of(last - 1)) + 1
        data = self.data[self.line_starts[line] : self.line_starts[end]]
        before = int(self.line_offsets[line])
        return fold_words(data, self.language, first - before, last - before)


class Matcher:
    """Finds where texts and benchmark items have the same words in a row."""

    def __init__(self, index: BenchmarkIndex) -> None:
        self.index = index
        self._folded = lru_cache(ITEMS_AT_HAND)(self._fold)

    def find(self, words: Words, ngram: int, whole: int) -> Hits:
        """Return the hits that the words bear out, sorted by place in the batch.

        ``ngram``: how many words in a row must agree; ``whole``: from how many on a short
        question is found by all its words.
        """
        found = [self.index.find(words.hashes, words.offsets, n) for n in sorted({ngram, whole})]
        at = np.concatenate([hits.words for hits in found])
        postings = np.concatenate([hits.postings for hits in found])
        order = np.argsort(at, kind="stable")
        at, postings = at[order], postings[order]
        ends = words.offsets[np.searchsorted(words.offsets, at, side="right")]
        inside = at + self.index.lengths[postings] <= ends
        at, postings = at[inside], postings[inside]
        true = np.zeros(len(at), bool)
        ends = at + self.index.lengths[postings]
        for begin, end in _blocks(words, at, ends):
            first, hits = int(at[begin]), slice(begin, end)
            mine, my_starts = words.fold(first, int(ends[hits].max()))
            true[hits] = self._verify(mine, my_starts, at[hits] - first, postings[hits])
        return Hits(at[true], postings[true])

    def _verify(
        self,
        mine: Characters,
        my_starts: Offsets,
        at: npt.NDArray[np.int64],
        postings: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Say of each hit whether the words are the same; ``at`` counts them in ``mine``."""
        rows = self.index.posting_texts[postings]
        positions = self.index.positions[postings].astype(np.int64)
        lengths = self.index.lengths[postings].astype(np.int64)
        out = np.zeros(len(at), bool)
        for row in set(rows.tolist()):
            own = rows == row
            here = at[own], *self._folded(row), positions[own], lengths[own]
            out[own] = equal_words(mine, my_starts, *here)
        return out

    def _fold(self, row: int) -> tuple[Characters, Offsets]:
        found = self.index.text(row)
        data = np.frombuffer(found["text"].encode(), np.uint8)
        return fold_words(data, found["language"], 0, found["words"])


def _blocks(words: Words, at: Offsets, ends: Offsets) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of hits in a row whose lines no other hit touches.

    ``at``, ``ends``: the words of each hit, sorted. So only these lines are read a second time.
    """
    first = words.lines_of(at)
    reached = np.maximum.accumulate(words.lines_of(ends - 1))
    cuts = np.flatnonzero(first[1:] > reached[:-1]) + 1
    yield from pairwise([0, *cuts.tolist(), len(at)] if len(at) else [])
