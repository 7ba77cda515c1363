"""What each character is to the cleaning rules, and the removal of characters that nobody sees."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from medray.corpus.dedup.characters import is_word_character, stands_alone
from medray.corpus.dedup.words import utf8_of

Table = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

# Code points from here on are variation selectors, tags or private use: they have no flag.
END = 0x40000
# Bits of an entry of the table. WIDE: two columns wide and a word of its own (Han, kana).
LETTER, WIDE, DIGIT, SPACE, SYMBOL, BULLET, STOP, INVISIBLE = (1 << bit for bit in range(8))

_BULLETS = "-–—*+•‣⁃▪▫■□●○◦◆◇►▶▸❖★☆✓✔➢➤·・･"
# Ends a sentence or a clause: a line that has one at its end is no menu entry.
_STOPS = ".!?:;,…。．｡！？：；，、､।"
# Line breaks beside "\n" and "\r": vertical tab, form feed (a PDF's page end), NEL, LS, PS.
_BREAKS = (0x0B, 0x0C, 0x85, 0x2028, 0x2029)
# Removed: controls (C0 but tab and line breaks, DEL, C1), soft hyphen, Mongolian vowel separator,
# Arabic letter mark, zero-width and bidirectional marks, word joiner and invisible operators,
# deprecated format characters, U+FDD0 to FDEF (no characters), byte order mark, interlinear marks,
# object replacement. The joiners 200C and 200D go too: none of the six languages spells with
# them (a joined emoji falls into its parts).
_INVISIBLE = (
    *((0x00, 0x09), (0x0E, 0x20), (0x7F, 0xA0), (0xAD, 0xAE), (0x61C, 0x61D), (0x180E, 0x180F)),
    *((0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070), (0xFDD0, 0xFDF0), (0xFEFF, 0xFF00)),
    (0xFFF0, 0xFFFD),
)
# Tag characters: unseen copies of ASCII, which carry hidden instructions on some pages.
_TAGS = (0xE0000, 0xE0080)
REPLACEMENT = 0xFFFD


@cache
def character_flags() -> Table:
    """Return the flags of every code point under ``END``: 256 KiB, made in about 0.2 s.

    The classes are those of Unicode 3.2, as in ``dedup.characters`` and for the same reason: they
    are equal under every Python. What came later, emoji above all, counts as a symbol.
    """
    flags = np.zeros(END, np.uint8)
    for code in range(END):
        flags[code] = _flag(chr(code))
    for first, end in _INVISIBLE:
        flags[first:end] = INVISIBLE
    flags[list(_BREAKS)] = SPACE
    for characters, flag in ((_BULLETS, BULLET), (_STOPS, STOP)):
        flags[[ord(character) for character in characters]] |= flag
    flags[0xF000:0xF100] |= BULLET  # the Symbol and Wingdings fonts' letters in Word's lists
    return flags


def _flag(character: str) -> int:
    """Return what the character is: letter (marks too), digit (all numbers), space or symbol."""
    if character in "\t\n\r" or character.isspace():
        return SPACE
    if character == "_":
        return SYMBOL
    if is_word_character(character):
        number = unicodedata.ucd_3_2_0.category(character)[0] == "N"
        return DIGIT if number else LETTER | (WIDE if stands_alone(character) else 0)
    category = unicodedata.ucd_3_2_0.category(character)
    return 0 if category[0] == "P" and character not in "#*@&\\" else SYMBOL


def clean_characters(texts: pa.StringArray) -> tuple[pa.StringArray, Counts]:
    """Return the texts without invisible characters, and how many U+FFFD each had lost.

    Line breaks of every kind become "\\n"; tabs stay; U+FFFD, which stands where some earlier
    program could not decode, goes. Nothing else is touched: no normalisation.
    """
    data, offsets = utf8_of(texts)
    out, out_offsets, damaged = _clean(data, offsets, character_flags())
    return strings(out, out_offsets), damaged


def strings(data: Table, offsets: npt.NDArray[np.int64]) -> pa.StringArray:
    """Return an Arrow array over bytes and offsets, without a copy of the bytes."""
    buffers = pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)
    return pa.StringArray.from_buffers(len(offsets) - 1, *buffers)


@njit(cache=True, nogil=True)
def _clean(data, offsets, flags):  # type: ignore[no-untyped-def]
    """Copy the bytes between what goes; ``damaged`` counts U+FFFD by text."""
    out = np.empty(offsets[-1] - offsets[0], np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    damaged = np.zeros(len(offsets) - 1, np.int64)
    filled = 0
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        copied = at
        while at < end:
            byte = data[at]
            if 0x20 <= byte < 0x7F or byte == 0x0A or byte == 0x09:
                at += 1
                continue
            code, after = decode(data, at)
            change = _change(code, flags)
            if change != _KEEP:
                out[filled : filled + at - copied] = data[copied:at]
                filled += at - copied
                copied = after
                damaged[text] += code == REPLACEMENT
                # "\r\n" is one line break: the "\n" that follows is kept.
                if change == _BREAK and not (code == 0x0D and after < end and data[after] == 0x0A):
                    out[filled] = 0x0A
                    filled += 1
            at = after
        out[filled : filled + end - copied] = data[copied:end]
        filled += end - copied
        out_offsets[text + 1] = filled
    return out[:filled], out_offsets, damaged


_KEEP, _REMOVE, _BREAK = range(3)


@njit(cache=True, nogil=True)
def _change(code, flags):  # type: ignore[no-untyped-def]
    """Return what becomes of a character that is not plain ASCII."""
    if code in (0x0D, *_BREAKS):
        return _BREAK
    if code == REPLACEMENT or (_TAGS[0] <= code < _TAGS[1]):
        return _REMOVE
    noncharacter = code & 0xFFFE == 0xFFFE  # the last two of each of the 17 planes
    return _REMOVE if noncharacter or (code < END and flags[code] & INVISIBLE) else _KEEP


@njit(cache=True, nogil=True, inline="always")
def decode(data, at):  # type: ignore[no-untyped-def]
    """Return (code point, where the next begins) in valid UTF-8."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, at + 1
    second = np.int64(data[at + 1]) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, at + 2
    third = np.int64(data[at + 2]) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, at + 3
    fourth = np.int64(data[at + 3]) & 0x3F
    return (lead & 0x07) << 18 | second << 12 | third << 6 | fourth, at + 4
