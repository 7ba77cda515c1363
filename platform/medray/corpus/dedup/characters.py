"""Which characters make words, and what each is folded to: the same in every Python, for ever.

Hashes of words lie in files, so the classes must not move when Python brings a newer Unicode.
They come from Unicode 3.2, which every CPython carries unchanged (``unicodedata.ucd_3_2_0``); of
later additions only Han counts, whose blocks are closed. Case folding of characters that Unicode
3.2 knows is stable by Unicode's policy (https://www.unicode.org/policies/stability_policy.html).
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

# Code points from here on are no word characters: private use, tags, variation selectors.
END = 0x40000
# Set in an entry of the table: in an unspaced language the character is a word of its own.
ALONE = 1 << 24

_HAN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, END))
# Scripts that Chinese and Japanese write without blanks: iteration marks and Hangzhou numerals,
# kana, bopomofo, their extensions, half-width kana, historic kana.
_UNSPACED = (
    *_HAN,
    (0x3005, 0x3008),
    (0x3021, 0x3040),
    (0x3040, 0x3100),
    (0x3100, 0x3130),
    (0x31A0, 0x31C0),
    (0x31F0, 0x3200),
    (0xFF66, 0xFFA0),
    (0x1B000, 0x1B170),
)
# Variation selectors are marks, but choose a glyph, as the one behind many an emoji does.
_SELECTORS = range(0xFE00, 0xFE10)


def simple_fold(character: str) -> str:
    """Return Unicode's simple case folding (CaseFolding.txt, classes C and S): one for one."""
    folded = character.casefold()
    if len(folded) > 1:  # "ẞ" folds to "ss"; simply, to "ß"
        folded = character.lower()
    return folded if len(folded) == 1 else character


def is_word_character(character: str) -> bool:
    """Say whether a character is part of a word: letter, mark, number or underscore."""
    code = ord(character)
    if code >= END or code in _SELECTORS:
        return False
    if any(first <= code < end for first, end in _HAN):
        return True
    return character == "_" or unicodedata.ucd_3_2_0.category(character)[0] in "LMN"


def stands_alone(character: str) -> bool:
    """Say whether a word character of zh or ja text is a word by itself."""
    return any(first <= ord(character) < end for first, end in _UNSPACED)


@cache
def character_table() -> npt.NDArray[np.uint32]:
    """Return, by code point, 0 or the folded code point of a word character, with ``ALONE``.

    1 MiB; made once a process in about 0.1 s.
    """
    table = np.arange(END, dtype=np.uint32) | np.uint32(ALONE)  # as Han is: the most of it
    for first, end in pairwise((0, *(edge for block in _HAN for edge in block))):
        if (first, end) not in _HAN:
            table[first:end] = [_entry(chr(code)) for code in range(first, end)]
    return table


def _entry(character: str) -> int:
    if not is_word_character(character):
        return 0
    return ord(simple_fold(character)) | (ALONE if stands_alone(character) else 0)
