"""Finding an item's answer options around its question, in whatever order and under any label."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medray.corpus.decontamination.index import BenchmarkIndex
from medray.corpus.dedup.words import Hashes, hash_words

# How much of a question must stand somewhere before its options are looked for there.
QUESTION_SHARE = 0.5
# Words allowed between question and options, beside as many again as the options have: labels,
# headings, hints.
SLACK_WORDS = 20
ITEMS_AT_HAND = 4096

Numbers = npt.NDArray[np.int64]


class OptionFinder:
    """An option of three words says nothing alone; beside its question it is part of the item."""

    def __init__(self, index: BenchmarkIndex, language: str) -> None:
        """``language``: of the documents, whose words are compared."""
        self._index, self._language = index, language
        self._parts = lru_cache(ITEMS_AT_HAND)(self._read)

    def paint(
        self, owners: Numbers, hashes: Hashes, item: int, at: Numbers, lengths: Numbers
    ) -> None:
        """Give an item's options the item wherever half its question has been found.

        ``owners``: the item of each word of a document, -1 for none; changed in place, where it is
        -1. ``at``, ``lengths``: the words that are the item's question (or passage, rationale):
        hits, sorted by place.
        """
        asked, options = self._parts(item)
        if not options or not len(at):
            return
        reach = 2 * sum(map(len, options)) + SLACK_WORDS
        ends = np.maximum.accumulate(at + lengths)
        new = ends - np.maximum(at, np.append(at[0], ends[:-1]))
        cuts = (np.flatnonzero(at[1:] > ends[:-1] + reach) + 1).tolist()
        for begin, end in pairwise([0, *cuts, len(at)]):
            if new[begin:end].sum() >= QUESTION_SHARE * asked:
                near = slice(max(0, at[begin] - reach), ends[end - 1] + reach)
                for option in options:
                    _paint_option(owners[near], hashes[near], option, item)

    def _read(self, item: int) -> tuple[int, list[Hashes]]:
        """Return how many words an item's shortest question has, and its options' words."""
        texts = self._index.texts_of(item)
        options = pa.array([t["text"] for t in texts if t["role"] == "option"], pa.string())
        hashes, offsets = hash_words(options, self._language)
        asked = min((t["words"] for t in texts if t["role"] != "option"), default=0)
        pieces = [hashes[first:end] for first, end in pairwise(offsets.tolist())]
        return asked, [piece for piece in pieces if len(piece)]


def _paint_option(owners: Numbers, hashes: Hashes, option: Hashes, item: int) -> None:
    starts = np.flatnonzero(hashes[: max(0, len(hashes) - len(option) + 1)] == option[0])
    for start in starts.tolist():
        if np.array_equal(hashes[start : start + len(option)], option):
            here = owners[start : start + len(option)]
            here[here < 0] = item
