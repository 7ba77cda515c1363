"""One document that shares words with benchmark items: which of its paragraphs go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from medray.corpus.decontamination.index import BenchmarkIndex, Hits
from medray.corpus.decontamination.kernels import measure_lines, paint
from medray.corpus.decontamination.options import OptionFinder
from medray.corpus.dedup.words import Hashes, Offsets

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """When a paragraph goes: its share of a benchmark's words, or so many of them in a row."""

    share: float
    run: int


@dataclass(frozen=True)
class Removal:
    """A paragraph that goes: its number, the row of the item's text that it is most like.

    ``share``, ``covered``: how much of it, and how many of its words, are a benchmark's.
    """

    paragraph: int
    row: int
    share: float
    covered: int


@dataclass(frozen=True)
class Inspection:
    """What is known of one document.

    ``item``: the one with the most matches. ``words`` counts the document's words, ``covered``
    those that are a benchmark's, ``left`` those in paragraphs that stay.
    """

    item: int
    words: int
    covered: int
    left: int
    removals: Sequence[Removal]


class Inspector:
    """Weighs the hits of one document after another."""

    def __init__(self, index: BenchmarkIndex, limits: Limits, language: str) -> None:
        self._index, self._limits = index, limits
        self._options = OptionFinder(index, language)

    def inspect(self, hashes: Hashes, line_offsets: Offsets, hits: Hits) -> Inspection:
        """Weigh a document: its words, where lines begin in them, its hits, sorted, one or more."""
        rows = self._index.posting_texts[hits.postings].astype(np.int64)
        owners, nearest, best = self._owners(hashes, rows, hits)
        covered, runs = measure_lines(owners, line_offsets)
        counts = np.diff(line_offsets)
        share = covered / np.maximum(counts, 1)
        gone = (covered > 0) & ((share >= self._limits.share) | (runs >= self._limits.run))
        removals = []
        for line in np.flatnonzero(gone).tolist():
            own = owners[line_offsets[line] : line_offsets[line + 1]]
            row = nearest[_commonest(own[own >= 0])]
            removals.append(Removal(line, row, float(share[line]), int(covered[line])))
        left = int(counts[~gone].sum())
        return Inspection(best, len(hashes), int(covered.sum()), left, removals)

    def _owners(
        self, hashes: Hashes, rows: Numbers, hits: Hits
    ) -> tuple[Numbers, dict[int, int], int]:
        """Return each word's item, -1 for none; each item's commonest row; the commonest item.

        Where items share words, these are the one's that has the most hits.
        """
        lengths = self._index.lengths[hits.postings].astype(np.int64)
        items = self._index.items[rows].astype(np.int64)
        order = _rarest_first(items)
        at, lengths, items, rows = (a[order] for a in (hits.words, lengths, items, rows))
        owners = np.full(len(hashes), -1, np.int64)
        paint(owners, at, lengths, items)
        nearest = {}
        cuts = (np.flatnonzero(np.diff(items)) + 1).tolist()
        for begin, end in pairwise([0, *cuts, len(items)]):
            item, own = int(items[begin]), rows[begin:end]
            nearest[item] = _commonest(own)
            asking = np.flatnonzero(~self._index.is_option[own]) + begin
            self._options.paint(owners, hashes, item, at[asking], lengths[asking])
        return owners, nearest, int(items[-1])


def _rarest_first(items: Numbers) -> Numbers:
    """Return the order of hits by their item's number of hits; of as many, the later item first."""
    found, places, counts = np.unique(items, return_inverse=True, return_counts=True)
    rank = np.empty(len(found), np.int64)
    rank[np.lexsort((-found, counts))] = np.arange(len(found))
    return np.argsort(rank[places], kind="stable")


def _commonest(numbers: Numbers) -> int:
    """Return the number that stands most often, the least of several."""
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[np.argmax(counts)])
