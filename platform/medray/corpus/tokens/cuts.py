"""Short words for Chinese and Japanese: runs of characters cut where no token can reach across.

A byte-level BPE works word by word and remembers words. In en, fr, es and ru a word is a word; in
zh and ja it is a whole clause, nearly always a new one, and gigatoken falls from 200 MB/s to 27.
But merges join neighbours only, and what they make is in the vocabulary. So where no token holds
two characters side by side, no merge crosses from one to the other, whatever stands around them:
both sides may be encoded apart. That is so at about every third place of a text.

A cut is made by a mark put into the text: a control character that no token holds but its own.
The marks' own tokens are taken out of the result. Exact by that argument, and the gate of
``tokenizer_gate`` compares it on the corpus at hand all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]

# A cut stands between a letter of these blocks (kana, Han), or a stop, and a letter. All splits of
# byte-level tokenizers treat the letters of one run alike, and end a word between stop and letter
# or take the stop to the letter; no token reaches across, so either gives the same tokens.
LETTERS = ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x30FC, 0x30FE), (0x3400, 0x4DBF), (0x4E00, 0x9FFC))
STOPS = (
    (0x201C, 0x201D),  # quotation marks
    (0x3001, 0x3003),
    (0x3008, 0x3011),  # brackets
    (0x3014, 0x301B),
    (0xFF01, 0xFF0F),  # full-width ! to /
    (0xFF1A, 0xFF20),  # full-width : to @
)
MAY_END, MAY_START = 1, 2

# Bits of the table of pairs for each pair: at 64, one place in 64 is left whole without need.
BITS_PER_PAIR = 64
MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth's multiplicative hash


@dataclass(frozen=True)
class RunCutter:
    """Cuts for one vocabulary.

    ``edges``: uint8 [65536], by code point: whether a piece may end with it, or start with it.
    ``pairs``: uint8, a bit for each hash of two characters that some token holds side by side.
    ``mark``: the byte put in; ``mark_token``: its token.
    """

    edges: Bytes
    pairs: Bytes
    mark: int
    mark_token: int

    @classmethod
    def of(cls, tokenizer: Mapping[str, Any]) -> RunCutter | None:
        """Return the cutter for a parsed tokenizer.json; None where a cut might change tokens."""
        if not _is_plain_byte_level(tokenizer):
            return None
        model = tokenizer["model"]
        vocabulary = {_bytes_of(token): number for token, number in model["vocab"].items()}
        whole = [*vocabulary, *(t["content"].encode() for t in tokenizer["added_tokens"])]
        used = np.bincount(np.frombuffer(b"".join(whole), np.uint8), minlength=256)
        # Control characters; tab to carriage return and U+001C to U+001F are blanks to some.
        free = [b for b in (*range(1, 9), *range(14, 28)) if used[b] == 1]
        free = [b for b in free if bytes([b]) in vocabulary]
        if not free:
            return None
        edges, pairs = _tables(whole)
        return cls(edges, pairs, free[0], vocabulary[bytes([free[0]])])

    def cut(self, data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
        """Return UTF-8 documents with marks; document i is data[offsets[i]:offsets[i+1]]."""
        marked: tuple[Bytes, Offsets] = _cut(data, offsets, self.edges, self.pairs, self.mark)
        return marked

    def take_out(self, tokens: Tokens, offsets: Offsets) -> tuple[Tokens, Offsets]:
        """Return tokens without those of the marks; in place."""
        kept: tuple[Tokens, Offsets] = _take_out(tokens, offsets, self.mark_token)
        return kept


def _is_plain_byte_level(tokenizer: Mapping[str, Any]) -> bool:
    """Return whether all that makes tokens is merges of the text's own bytes.

    ``ignore_merges`` (Llama 3) takes a word that is a token as it stands, so a cut could make one
    that merges do not; ``single_word`` looks at an added token's neighbours. NFC leaves each
    character that is cut beside as it is; NFKC does not.
    """
    model, normalizer = tokenizer["model"], tokenizer["normalizer"]
    splits = tokenizer["pre_tokenizer"] or {"type": "none"}
    steps = splits.get("pretokenizers", [splits])
    by_merges = model["type"] == "BPE" and not (
        model.get("ignore_merges")
        or model.get("continuing_subword_prefix")
        or model.get("end_of_word_suffix")
        or any(token["single_word"] for token in tokenizer["added_tokens"])
    )
    byte_level = any(s["type"] == "ByteLevel" and not s["add_prefix_space"] for s in steps)
    return by_merges and byte_level and (normalizer is None or normalizer["type"] == "NFC")


@cache
def _byte_alphabet() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for.

    GPT-2's table: printable Latin-1 stands for itself, every other byte for U+0100 and up.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(0x100 + number): byte for number, byte in enumerate(others)}


def _bytes_of(token: str) -> bytes:
    """Return a token's bytes; one that is not in the byte alphabet is an added one, plain text."""
    alphabet = _byte_alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode()


def _tables(vocabulary: Iterable[bytes]) -> tuple[Bytes, Bytes]:
    """Return the tables ``edges`` and ``pairs`` of the tokens' bytes."""
    edges = np.zeros(0x10000, np.uint8)
    for blocks, may in ((LETTERS, MAY_END | MAY_START), (STOPS, MAY_END)):
        for first, last in blocks:
            edges[first : last + 1] = may
    joined: set[tuple[int, int]] = set()
    for token in vocabulary:
        for place in range(1, len(token)):
            if token[place] & 0xF0 == 0xE0:
                _close(token, place, edges, joined)
    bits = 1 << max(10, (len(joined) * BITS_PER_PAIR - 1).bit_length())
    pairs = np.zeros(bits // 8, np.uint8)
    _join(pairs, np.array(sorted(joined), np.int64).reshape(-1, 2))
    return edges, pairs


def _close(token: bytes, place: int, edges: Bytes, joined: set[tuple[int, int]]) -> None:
    """Note that ``token`` reaches across the border before its byte ``place``, a lead byte.

    Where the token holds only a part of the one character, the other is closed altogether.
    """
    start = place - 1
    while start >= 0 and token[start] & 0xC0 == 0x80:
        start -= 1
    right = token[place : place + 3]
    first = _code_point(right + b"\x80\x80")
    if start < 0:
        edges[first : first + 64 ** (3 - len(right))] &= MAY_END
    elif token[start] & 0xF0 == 0xE0 and place - start == 3:
        left = _code_point(token[start:place])
        if len(right) == 3:
            joined.add((left, first))
        else:
            edges[left] &= MAY_START


def _code_point(utf8: Sequence[int]) -> int:
    return (utf8[0] & 0x0F) << 12 | (utf8[1] & 0x3F) << 6 | utf8[2] & 0x3F


@njit(cache=True, nogil=True)
def _slot(left, right, bits):  # type: ignore[no-untyped-def]
    mixed = (np.uint64(left) << np.uint64(16) | np.uint64(right)) * MIXER
    return np.int64((mixed >> np.uint64(32)) & np.uint64(bits - 1))


@njit(cache=True, nogil=True)
def _join(pairs, joined):  # type: ignore[no-untyped-def]
    for left, right in joined:
        slot = _slot(left, right, len(pairs) * 8)
        pairs[slot >> 3] |= np.uint8(1 << (slot & 7))


@njit(cache=True, nogil=True)
def _cut(data, offsets, edges, pairs, mark):  # type: ignore[no-untyped-def]
    # At most one mark for each character of three bytes.
    out, n = np.empty(len(data) + len(data) // 3, np.uint8), 0
    starts = np.empty_like(offsets)
    for document in range(len(offsets) - 1):
        starts[document] = n
        text = data[offsets[document] : offsets[document + 1]]
        # Nearly all of en, fr, es and ru: no byte that begins a kana or Han letter.
        letters = False
        for byte in text:
            letters |= (byte >= 0xE3) & (byte <= 0xE9)
        if letters:
            n = _cut_one(text, out, n, edges, pairs, mark)
        else:
            out[n : n + len(text)] = text
            n += len(text)
    starts[-1] = n
    return out[:n], starts


@njit(cache=True, nogil=True)
def _cut_one(text, out, n, edges, pairs, mark):  # type: ignore[no-untyped-def]
    """Append a document with marks to ``out`` at ``n``; return where it ends."""
    i, left, bits = 0, 0, len(pairs) * 8
    while i < len(text):
        lead = text[i]
        if lead & 0xF0 != 0xE0:  # not the first of three bytes: U+0800 to U+FFFF
            out[n] = lead
            n, i, left = n + 1, i + 1, 0
            continue
        right = (lead & 0x0F) << 12 | (text[i + 1] & 0x3F) << 6 | text[i + 2] & 0x3F
        if edges[left] & MAY_END and edges[right] & MAY_START:
            slot = _slot(left, right, bits)
            if not pairs[slot >> 3] >> (slot & 7) & 1:
                out[n] = mark
                n += 1
        out[n], out[n + 1], out[n + 2] = lead, text[i + 1], text[i + 2]
        n, i, left = n + 3, i + 3, right
    return n


@njit(cache=True, nogil=True)
def _take_out(tokens, offsets, mark_token):  # type: ignore[no-untyped-def]
    starts, n = np.empty_like(offsets), 0
    for document in range(len(offsets) - 1):
        starts[document] = n
        for i in range(offsets[document], offsets[document + 1]):
            tokens[n] = tokens[i]
            n += tokens[i] != mark_token
    starts[-1] = n
    return tokens[:n], starts
