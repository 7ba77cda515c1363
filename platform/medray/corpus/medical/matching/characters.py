"""What is one letter written in two ways, and what is a word: Unicode's tables, by character.

Every engine follows these functions and the table made from them, so that no engine's own idea
of case or of a word's end can change a decision.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

# folded: simple case folding. lowered: ``str.lower``, as the published script does. exact: none.
Case = Literal["folded", "lowered", "exact"]

# Flags of a character.
WORD, MARK, SPACE = 1, 2, 4

# Every cased letter, word character and space lies below, or is a mark of the last range: planes
# 4 to 13 hold nothing yet and 15 and 16 are private. A test holds Python's own tables to it.
FLAGGED_BELOW = 0x3_4000
LATE_MARKS = range(0xE_0100, 0xE_01F0)

# The two letters whose lower case ``str.lower`` does not find character by character: "İ" becomes
# two characters, "Σ" depends on its place in the word.
UNEVEN_LOWER = ("İ", "Σ")

_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
_FULL_WIDTH_LETTERS = {code: full for code, full in _FULL_WIDTH.items() if chr(code).isalnum()}


def fold_character(character: str) -> str:
    """Return one character's simple case folding (Unicode's CaseFolding.txt, status C and S).

    Python has the full folding alone, which may grow: where it does ("ß", "ẞ", "İ"), the simple
    one is the lower case if that is one character, else the character itself.
    """
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


def lower_character(character: str) -> str:
    """Return ``str.lower`` of one character, which it leaves as it is if that would grow it."""
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


@cache
def _folding() -> Mapping[int, str]:
    characters = map(chr, range(FLAGGED_BELOW))
    return {ord(c): folded for c in characters if (folded := fold_character(c)) != c}


def fold(text: str) -> str:
    """Return ``text`` with every character folded; it keeps its length, so positions stay true."""
    folded = text.casefold()
    # The full folding differs only where it grows; a table looked up is 10 times as slow.
    return folded if len(folded) == len(text) else text.translate(_folding())


def to_case(text: str, case: Case) -> str:
    """Return ``text`` as engines compare it."""
    if case == "folded":
        return fold(text)
    return text.lower() if case == "lowered" else text


@cache
def written_as(case: Case) -> Mapping[str, tuple[str, ...]]:
    """Return, for each character that stands for several, all that ``to_case`` turns into it."""
    if case == "exact":
        return {}
    one = fold_character if case == "folded" else lower_character
    found: dict[str, list[str]] = {}
    for character in map(chr, range(FLAGGED_BELOW)):
        cased = one(character)
        if cased != character:
            found.setdefault(cased, [cased]).append(character)
    return {cased: tuple(characters) for cased, characters in found.items()}


def spellings(word: str) -> tuple[str, ...]:
    """Return the ways in which a text may encode ``word``, itself first; case is not among them.

    Canonical composition and decomposition (NFC, NFD), and for Asian text full-width letters and
    digits, alone and with the blanks and signs between them.
    """
    composed = unicodedata.normalize("NFC", word)
    ways = [word, composed, unicodedata.normalize("NFD", word)]
    if any(character.isascii() and character.isalnum() for character in word):
        ways += [composed.translate(_FULL_WIDTH_LETTERS), composed.translate(_FULL_WIDTH)]
    return tuple(dict.fromkeys(ways))


def flags_of(character: str) -> int:
    """Return a character's flags.

    WORD: a letter, a number, a mark or "_". MARK: a mark that composes with the letter before it
    (canonical combining class not 0), so that "e" before it is not the letter "e". SPACE: one of
    those at which ``str.split`` splits.
    """
    mark = unicodedata.category(character)[0] == "M"
    flags = WORD if mark or character.isalnum() or character == "_" else 0
    if unicodedata.combining(character):
        flags |= MARK
    return flags | SPACE if character.isspace() else flags


@cache
def flag_table() -> npt.NDArray[np.uint8]:
    """Return the flags of every code point up to the last that has any, 0.9 MB."""
    table = np.zeros(LATE_MARKS.stop, np.uint8)
    table[:FLAGGED_BELOW] = [flags_of(chr(code)) for code in range(FLAGGED_BELOW)]
    table[LATE_MARKS.start :] = [flags_of(chr(code)) for code in LATE_MARKS]
    return table
