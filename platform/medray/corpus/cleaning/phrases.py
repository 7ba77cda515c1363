"""The lists of boilerplate and spam, as a table that the loops over lines walk along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from medray.corpus.cleaning.line_kernels import (
    LINE,
    MORE,
    PHRASE,
    SPAM,
    SPAM_SHIFT,
    START,
    STOP_WORD,
    extend,
)
from medray.corpus.dedup.words import hash_words
from medray.errors import InputError

_SECTIONS = {"[line]": LINE, "[phrase]": PHRASE, "[spam]": SPAM, "[stop]": STOP_WORD}
_YEARS = range(1980, 2040)


@dataclass(frozen=True)
class PhraseTable:
    """A trie of word hashes as a hash table with open addressing; its size is a power of two.

    ``keys``: the hash of the words so far, 0 where the slot is free; ``values``: bits, see
    ``line_kernels``.
    """

    keys: npt.NDArray[np.uint64]
    values: npt.NDArray[np.int32]
    spam_phrases: int


def phrase_lists(language: str) -> dict[int, list[str]]:
    """Return the entries of a language's list by section: LINE, PHRASE, SPAM, STOP_WORD.

    A ``{year}`` stands for sixty entries. InputError where a line stands in no section.
    """
    lists: dict[int, list[str]] = {section: [] for section in _SECTIONS.values()}
    section = None
    for number, raw in enumerate(_read(language).splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line in _SECTIONS:
            section = _SECTIONS[line]
        elif section is None or line.startswith("["):
            raise InputError(
                f"phrases/{language}.txt: line {number}: {line!r} is in no section; "
                f"put it under one of {', '.join(_SECTIONS)}"
            )
        elif "{year}" in line:
            lists[section] += [line.replace("{year}", str(year)) for year in _YEARS]
        else:
            lists[section].append(line)
    return lists


def phrases_fingerprint(language: str) -> str:
    """Return the hash (XXH3, 128 bits, hex) of a language's list: it comes with medray."""
    return xxhash.xxh3_128_hexdigest(_read(language).encode())


def _read(language: str) -> str:
    name = f"{language}.txt"
    folder = resources.files("medray.corpus.cleaning") / "phrases"
    return (folder / name).read_text(encoding="utf-8")


@cache
def phrase_table(language: str) -> PhraseTable:
    """Return the table of a language's list, made once in a process in some milliseconds."""
    nodes: dict[int, int] = {}
    lists = phrase_lists(language)
    for section, entries in lists.items():
        hashes, offsets = hash_words(pa.array(entries, pa.string()), language)
        for number in range(len(entries)):
            walked = np.uint64(START)
            for word in hashes[offsets[number] : offsets[number + 1]]:
                nodes[int(walked)] = nodes.get(int(walked), 0) | MORE
                walked = np.uint64(extend(walked, word))
            kind = section | (number << SPAM_SHIFT if section == SPAM else 0)
            nodes[int(walked)] = nodes.get(int(walked), 0) | kind
    size = 1 << (4 * len(nodes)).bit_length()  # a load under 1/4: most words end at one probe
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for key, value in nodes.items():
        slot = key & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot], values[slot] = key, value
    return PhraseTable(keys, values, len(lists[SPAM]))
