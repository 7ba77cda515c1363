"""From the places that a library found to what they add up to: numpy alone, a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medray.corpus.medical.matching.characters import MARK, SPACE, WORD, flag_table
from medray.corpus.medical.matching.patterns import PatternSet, Rule
from medray.corpus.medical.matching.protocol import Bytes, Integers, Scan

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Occurrences:
    """Where patterns were found in one UTF-8 buffer, from byte ``start`` up to ``stop``."""

    start: Integers
    stop: Integers
    pattern: Integers

    @classmethod
    def of(cls, start: Sequence[int], stop: Sequence[int], pattern: Sequence[int]) -> Occurrences:
        """Return occurrences in the order of start and stop, each once."""
        rows = np.array([start, stop, pattern], np.int64).reshape(3, -1)
        rows = rows[:, np.lexsort((rows[2], rows[1], rows[0]))]
        repeated = np.all(rows[:, 1:] == rows[:, :-1], axis=0)
        return cls(*np.delete(rows, np.flatnonzero(repeated), axis=1))

    def where(self, mask: Mask) -> Occurrences:
        """Return those of a mask."""
        return Occurrences(self.start[mask], self.stop[mask], self.pattern[mask])


def add_up(data: Bytes, offsets: Integers, patterns: PatternSet, occurrences: Occurrences) -> Scan:
    """Return what the occurrences that count come to, text by text.

    ``offsets``: n + 1 places between the texts of the buffer. An occurrence that runs from one
    text into the next is none.
    """
    keyword_of = np.array([pattern.keyword for pattern in patterns.patterns], np.int64)
    length_of = np.array([len(pattern.text) for pattern in patterns.patterns], np.int64)
    rule_of = np.array([int(pattern.rule) for pattern in patterns.patterns], np.int64)
    document = np.searchsorted(offsets, occurrences.start, side="right") - 1
    occurrences = occurrences.where(occurrences.stop <= offsets[document + 1])
    document = np.searchsorted(offsets, occurrences.start, side="right") - 1
    begin, end = offsets[document], offsets[document + 1]
    stands = _stand(data, begin, end, occurrences, rule_of[occurrences.pattern])
    occurrences, document = occurrences.where(stands), document[stands]
    keyword = keyword_of[occurrences.pattern]
    if patterns.apart:
        apart = _apart(occurrences, keyword)
        occurrences, document, keyword = occurrences.where(apart), document[apart], keyword[apart]

    texts = len(offsets) - 1
    first = np.sort(np.unique(document * patterns.keywords + keyword, return_index=True)[1])
    covered_document, covered = _covered(data, occurrences, document)
    return Scan(
        keyword_count=np.bincount(document[first], minlength=texts),
        covered=_sums(covered_document, covered, texts),
        summed=_sums(document, length_of[occurrences.pattern], texts),
        found=keyword[first].astype(np.int32),
    )


def _sums(document: Integers, values: Integers, texts: int) -> Integers:
    return np.bincount(document, weights=values, minlength=texts).astype(np.int64)


def _stand(
    data: Bytes, begin: Integers, end: Integers, occurrences: Occurrences, rule: Integers
) -> Mask:
    """Return which occurrences stand where their patterns' rules want them."""
    inner = occurrences.start > begin
    before = np.where(inner, _flags(data, _character_before(data, occurrences.start)), SPACE)
    after = np.where(occurrences.stop < end, _flags(data, occurrences.stop), SPACE)
    wrong = (rule & Rule.WORD_BEGINS != 0) & (before & WORD != 0)
    wrong |= (rule & Rule.WORD_ENDS != 0) & (after & WORD != 0)
    wrong |= (rule & Rule.LETTER_ENDS != 0) & (after & MARK != 0)
    wrong |= (rule & Rule.TOKEN != 0) & (before & after & SPACE == 0)
    stands: Mask = ~wrong
    return stands


def _byte(data: Bytes, place: Integers) -> Integers:
    """Return the bytes at places; beyond the buffer it is filled with its own last one."""
    values: Integers = data[np.minimum(place, len(data) - 1)].astype(np.int64)
    return values


def _character_before(data: Bytes, place: Integers) -> Integers:
    """Return where the character that ends at each place begins; 0 for the buffer's begin."""
    before = np.maximum(place - 1, 0)
    for _ in range(3):
        before = np.maximum(before - (_byte(data, before) & 0xC0 == 0x80), 0)
    return before


def _flags(data: Bytes, place: Integers) -> Integers:
    """Return the flags of the characters that begin at places."""
    lead = _byte(data, place)
    one, two, three = (_byte(data, place + more) & 0x3F for more in (1, 2, 3))
    code = np.select(
        [lead < 0x80, lead < 0xE0, lead < 0xF0],
        [lead, (lead & 0x1F) << 6 | one, (lead & 0xF) << 12 | one << 6 | two],
        (lead & 0x7) << 18 | one << 12 | two << 6 | three,
    )
    table = flag_table()
    return np.where(code < len(table), table[np.minimum(code, len(table) - 1)], 0).astype(np.int64)


def _apart(occurrences: Occurrences, keyword: Integers) -> Mask:
    """Return which occurrences overlap no earlier one of their keyword that is itself returned."""
    free: dict[int, int] = {}
    apart = np.zeros(len(keyword), bool)
    rows = zip(occurrences.start.tolist(), occurrences.stop.tolist(), keyword.tolist(), strict=True)
    for row, (start, stop, number) in enumerate(rows):
        if start >= free.get(number, 0):
            free[number], apart[row] = stop, True
    return apart


def _covered(
    data: Bytes, occurrences: Occurrences, document: Integers
) -> tuple[Integers, Integers]:
    """Return pieces of text that no earlier occurrence covers: document, length in characters."""
    reached = np.maximum.accumulate(occurrences.stop)
    reached_before = np.concatenate([np.zeros(1, np.int64), reached])[:-1]
    fresh = np.flatnonzero(occurrences.stop > reached_before)
    if not len(fresh):
        return fresh, fresh
    start = np.maximum(occurrences.start, reached_before)[fresh]
    # The pieces, and the gaps between them, lie one after another: one sum over the buffer.
    borders = np.stack([start, occurrences.stop[fresh]], axis=1).reshape(-1)
    begins = np.append(data & 0xC0 != 0x80, False).astype(np.int8)
    return document[fresh], np.add.reduceat(begins, borders, dtype=np.int64)[::2]
