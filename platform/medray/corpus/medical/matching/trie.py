"""Patterns laid out as tables for the compiled matcher: a prefix filter and a trie over bytes.

The trie reads UTF-8 as it stands in the text. Each character of a pattern is an edge for every
character that is the same letter in another case, so texts need no lower case made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medray.corpus.medical.matching.characters import flag_table, written_as
from medray.corpus.medical.matching.patterns import PatternSet, Rule
from medray.corpus.medical.matching.protocol import Bytes

# The filter: a bit for each hash of the first bytes of a pattern. 2^18 bits fill a first-level
# cache and no more; 200 keywords set up to 0.4 % of them, in all their cases and encodings.
# On real documents fewer bits or fewer bytes sent more places to the trie, and more bits missed
# the cache (6 and 8 bytes, 2^17 to 2^19 bits tried).
PREFIX_BYTES = 8
HASH_BITS = 18
HASH_FACTOR = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: Knuth's multiplicative hash
# Makes capitals small letters in ASCII. Of other bytes it makes some equal that are not: a few
# more places to look at, none missed, for patterns go through it too.
CASE_BITS = 0x2020_2020_2020_2020
_ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF

Numbers = npt.NDArray[np.int32]


class Tables(NamedTuple):
    """What the kernels read.

    ``bits``: the filter. ``factor`` [256]: the hash's factor, by the second of eight bytes; only
    as many of the eight enter the hash as the shortest pattern with that second byte has, for the
    factor is shifted so that the others overflow. ``classes`` [256]: a byte's column in ``step``,
    0 if no pattern has it. ``step``: rows of ``width``, a node each, number 0 the dead end and
    number 1 the root; an entry is twice the place in ``step`` where the next node's row begins,
    plus 1 if a pattern ends at that node; a row's last column has the node's first pattern or -1.
    ``word_begins``: whether all patterns want a word's begin. Of each pattern: ``keyword``,
    ``rule``, ``characters``, and ``another``, the next pattern of the same node or -1. ``flags``:
    of every code point. ``keywords`` and ``apart`` as in PatternSet.
    """

    bits: npt.NDArray[np.uint32]
    factor: npt.NDArray[np.uint64]
    classes: Numbers
    step: Numbers
    width: int
    word_begins: bool
    keyword: Numbers
    rule: Numbers
    characters: Numbers
    another: Numbers
    flags: Bytes
    keywords: int
    apart: bool


class _Trie:
    """Nodes as dictionaries from byte to node; node 0 is the root."""

    def __init__(self, patterns: PatternSet) -> None:
        self.next: list[dict[int, int]] = [{}]
        self.first: list[int] = [-1]
        self.another = [-1] * len(patterns.patterns)
        self._same_letter = written_as(patterns.case)
        self._children: dict[tuple[int, str], int] = {}
        for number, pattern in reversed(list(enumerate(patterns.patterns))):
            node = 0
            for character in pattern.text:
                node = self._child(node, character)
            self.another[number], self.first[node] = self.first[node], number

    def _new(self) -> int:
        self.next.append({})
        self.first.append(-1)
        return len(self.next) - 1

    def _child(self, node: int, character: str) -> int:
        """Return the node after a character, however it is written."""
        if (node, character) in self._children:
            return self._children[node, character]
        child = self._children[node, character] = self._new()
        for written in self._same_letter.get(character, (character,)):
            *leading, last = written.encode()
            place = node
            for byte in leading:
                if byte not in self.next[place]:
                    self.next[place][byte] = self._new()
                place = self.next[place][byte]
            self.next[place][last] = child
        return child

    def prefixes(self) -> Iterator[bytes]:
        """Yield the first PREFIX_BYTES, or all, of every way to write each pattern.

        A pattern that another one begins with is yielded apart.
        """
        pending = [(0, b"")]
        while pending:
            node, prefix = pending.pop()
            if len(prefix) == PREFIX_BYTES:
                yield prefix
                continue
            if self.first[node] >= 0:
                yield prefix
            pending += [(child, prefix + bytes([byte])) for byte, child in self.next[node].items()]


def build_tables(patterns: PatternSet) -> Tables:
    """Return the tables of a set of patterns."""
    trie = _Trie(patterns)
    bits, factor = _filter(list(trie.prefixes()))
    classes, step, width = _dense(trie)
    return Tables(
        bits=bits,
        factor=factor,
        classes=classes,
        step=step,
        width=width,
        word_begins=all(pattern.rule & Rule.WORD_BEGINS for pattern in patterns.patterns),
        keyword=np.array([pattern.keyword for pattern in patterns.patterns], np.int32),
        rule=np.array([int(pattern.rule) for pattern in patterns.patterns], np.int32),
        characters=np.array([len(pattern.text) for pattern in patterns.patterns], np.int32),
        another=np.array(trie.another, np.int32),
        flags=flag_table(),
        keywords=patterns.keywords,
        apart=patterns.apart,
    )


def _filter(prefixes: list[bytes]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]:
    """Return ``bits`` and ``factor``."""
    lengths = [PREFIX_BYTES] * 256
    for prefix in prefixes:
        # Any byte may follow a pattern of one.
        for second in prefix[1:2] or range(256):
            lengths[second] = min(lengths[second], len(prefix))
    factors = [HASH_FACTOR << 8 * (8 - length) & _ALL_BITS for length in lengths]
    bits = np.zeros(1 << (HASH_BITS - 5), np.uint32)
    for prefix in prefixes:
        word = int.from_bytes(prefix.ljust(8), "little") | CASE_BITS
        for factor in {factors[second] for second in prefix[1:2] or range(256)}:
            place = (word * factor & _ALL_BITS) >> (64 - HASH_BITS)
            bits[place >> 5] |= np.uint32(1 << (place & 31))
    return bits, np.array(factors, np.uint64)


def _dense(trie: _Trie) -> tuple[Numbers, Numbers, int]:
    """Return ``classes``, ``step`` and ``width``."""
    used = sorted({byte for edges in trie.next for byte in edges})
    classes = np.zeros(256, np.int32)
    classes[used] = np.arange(1, len(used) + 1)
    width = len(used) + 2  # the column of bytes that no pattern has, and that of the patterns
    step = np.zeros((len(trie.next) + 1, width), np.int32)
    for node, edges in enumerate(trie.next, start=1):
        for byte, child in edges.items():
            step[node, classes[byte]] = (child + 1) * width * 2 + (trie.first[child] >= 0)
    step[0, -1] = -1
    step[1:, -1] = trie.first
    return classes, step.reshape(-1), width
