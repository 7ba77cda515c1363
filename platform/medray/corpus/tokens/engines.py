"""Engines that turn texts into flat token arrays: Hugging Face's and, many times faster, gigatoken.

An engine never changes the tokens: ``tokenizer_gate`` compares them before one is used.
"""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from medray.corpus.tokens.cuts import Bytes, Offsets, RunCutter, Tokens
from medray.corpus.tokens.tokenizer import load_tokenizer
from medray.errors import InputError

HUGGING_FACE, GIGATOKEN = "huggingface", "gigatoken"

# gigatoken 0.10 remembers every word it meets and never forgets (its issue 36). It grew by 65 MB
# over 124 MB of six languages, by 160 MB with the runs of zh and ja whole: so at most 0.7 GB
# before a new one is made, in 0.1 s.
RENEW_BYTES = 512 * 2**20
HUGGING_FACE_BATCH = 256


@dataclass(frozen=True)
class Encoded:
    """Tokens of several texts, flat: text i has tokens[offsets[i]:offsets[i+1]].

    ``tokens``: int32. ``offsets``: int64, one more than there are texts. No begin, no end token.
    """

    tokens: Tokens
    offsets: Offsets


class TokenizerEngine(Protocol):
    """Encodes texts. ``end_id``: the token between documents; ``padding_id``: fills windows."""

    name: str
    end_id: int
    padding_id: int

    def encode(self, texts: pa.Array | pa.ChunkedArray) -> Encoded:
        """Encode strings without null. A special token that stands in a text is text."""
        ...


class HuggingFaceEngine:
    """The reference: the tokenizer's own Rust code, through Python lists."""

    name = HUGGING_FACE

    def __init__(self, tokenizer: Any) -> None:
        """``tokenizer``: of transformers. InputError where it has no Rust part or no end token."""
        from tokenizers import Tokenizer

        self.end_id, self.padding_id = _border_ids(tokenizer)
        self._tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, texts: pa.Array | pa.ChunkedArray) -> Encoded:
        pieces, lengths = [np.zeros(0, np.int32)], [0]
        for first in range(0, len(texts), HUGGING_FACE_BATCH):
            batch = texts.slice(first, HUGGING_FACE_BATCH).to_pylist()
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                pieces.append(np.array(encoding.ids, np.int32))
                lengths.append(len(pieces[-1]))
        return Encoded(np.concatenate(pieces), np.cumsum(lengths, dtype=np.int64))


class GigatokenEngine:
    """gigatoken on Arrow's own buffers, on one core, with the runs of zh and ja cut."""

    name = GIGATOKEN

    def __init__(self, tokenizer: Any) -> None:
        """``tokenizer``: of transformers.

        Raises ImportError where gigatoken is not installed, RuntimeError where it does not know
        the tokenizer's model or split, InputError as ``HuggingFaceEngine`` does.
        """
        self._reference = HuggingFaceEngine(tokenizer)
        self.end_id, self.padding_id = self._reference.end_id, self._reference.padding_id
        parsed = json.loads(tokenizer.backend_tokenizer.to_str())
        # Without its special tokens, what looks like one in a text is text.
        parsed["added_tokens"] = [t for t in parsed["added_tokens"] if not t["special"]]
        parsed["truncation"] = parsed["padding"] = None
        self._json = json.dumps(parsed)
        self._cutter = RunCutter.of(parsed)
        self._check = _bytes_to_check(self._cutter.mark if self._cutter else None)
        self._renew()

    def _renew(self) -> None:
        from gigatoken import Tokenizer

        self._tokenizer = Tokenizer.from_json(self._json)
        self._bytes_left = RENEW_BYTES

    def encode(self, texts: pa.Array | pa.ChunkedArray) -> Encoded:
        data, offsets = _utf8(texts)
        if len(data) > self._bytes_left:
            self._renew()
        self._bytes_left -= len(data)
        doubtful = np.flatnonzero(_doubtful(data, offsets, _unassigned(), self._check))
        encoded = self._encode(data, offsets)
        if len(doubtful) == 0:
            return encoded
        return _replace(encoded, doubtful, self._reference.encode(texts.take(pa.array(doubtful))))

    def _encode(self, data: Bytes, offsets: Offsets) -> Encoded:
        if self._cutter is None:
            return self._encode_words(data, offsets)
        marked = self._encode_words(*self._cutter.cut(data, offsets))
        return Encoded(*self._cutter.take_out(marked.tokens, marked.offsets))

    def _encode_words(self, data: Bytes, offsets: Offsets) -> Encoded:
        """Hand the buffers over as they are: gigatoken takes awkward arrays, and gives them."""
        import awkward

        contents = awkward.contents
        text = contents.ListOffsetArray(
            awkward.index.Index64(offsets),
            contents.NumpyArray(data, parameters={"__array__": "char"}),
            parameters={"__array__": "string"},
        )
        layout = self._tokenizer.encode_batch(awkward.Array(text), parallel=False).layout
        tokens = np.asarray(layout.content.data).view(np.int32)
        return Encoded(tokens, np.asarray(layout.offsets.data))


def _border_ids(tokenizer: Any) -> tuple[int, int]:
    """Return (end, padding) ids; a tokenizer without padding pads with its end token."""
    if not tokenizer.is_fast:
        raise InputError(
            f"{tokenizer.name_or_path}: a {type(tokenizer).__name__} has no tokenizer.json; save "
            "its fast form there (AutoTokenizer converts most)"
        )
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"{tokenizer.name_or_path}: tokenizer_config.json names no eos_token, which must stand "
            "between documents"
        )
    padding = tokenizer.pad_token_id
    return tokenizer.eos_token_id, tokenizer.eos_token_id if padding is None else padding


def _utf8(texts: pa.Array | pa.ChunkedArray) -> tuple[Bytes, Offsets]:
    """Return the bytes of strings and where each starts; no byte is copied for one chunk."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    large = whole.cast(pa.large_string())
    _, starts, data = large.buffers()
    offsets = np.frombuffer(starts, np.int64)[large.offset : large.offset + len(large) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return text[offsets[0] : offsets[-1]], offsets - offsets[0]


@cache
def _unassigned() -> Bytes:
    """Return, by code point, 1 where Python's Unicode tables hold no character.

    Engines carry tables of different age: tokenizers 0.23.3 has Unicode 16, gigatoken 0.10 has
    17, and on the 4,699 characters between them words end elsewhere (all code points compared;
    none else differ). Python 3.11 has 14, which both contain; 3.12 has 15.
    """
    points = range(0x110000)
    return np.array([unicodedata.category(chr(point)) == "Cn" for point in points], np.uint8)


def _bytes_to_check(mark: int | None) -> npt.NDArray[np.bool_]:
    """Return, by byte, whether ``_doubtful`` must look: the mark, and lead bytes of gaps.

    Most bytes are passed over so: ASCII, and leads whose code points are all assigned, such as
    those of Cyrillic (64 code points each) and of U+4000 to U+8FFF (4096 each).
    """
    check = np.zeros(256, np.bool_)
    check[0xC2:0xE0] = _unassigned()[0x80:0x800].reshape(-1, 64).any(axis=1)
    check[0xE0:0xF0] = _unassigned()[:0x10000].reshape(-1, 4096).any(axis=1)
    check[0xF0:0xF5] = True
    if mark is not None:
        check[mark] = True
    return check


@njit(cache=True, nogil=True)
def _doubtful(data, offsets, unassigned, check):  # type: ignore[no-untyped-def]
    """Return which documents hold the mark or an unassigned code point."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    for document in range(len(offsets) - 1):
        for i in range(offsets[document], offsets[document + 1]):
            lead = data[i]
            if not check[lead]:
                continue
            point = 0x10FFFF  # unassigned for good: what the mark leads to
            if lead >= 0xF0:
                high = (lead & 0x07) << 18 | (data[i + 1] & 0x3F) << 12
                point = high | (data[i + 2] & 0x3F) << 6 | data[i + 3] & 0x3F
            elif lead >= 0xE0:
                point = (lead & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | data[i + 2] & 0x3F
            elif lead >= 0xC0:
                point = (lead & 0x1F) << 6 | data[i + 1] & 0x3F
            if unassigned[point]:
                found[document] = True
                break
    return found


def _replace(encoded: Encoded, which: npt.NDArray[np.int64], by: Encoded) -> Encoded:
    """Return ``encoded`` with the tokens of texts ``which`` taken from ``by``, in order."""
    pieces, lengths, done = [], np.diff(encoded.offsets), 0
    lengths[which] = np.diff(by.offsets)
    for number, text in enumerate(which):
        pieces.append(encoded.tokens[encoded.offsets[done] : encoded.offsets[text]])
        pieces.append(by.tokens[by.offsets[number] : by.offsets[number + 1]])
        done = int(text) + 1
    pieces.append(encoded.tokens[encoded.offsets[done] :])
    return Encoded(np.concatenate(pieces), np.concatenate([[0], np.cumsum(lengths)]))


@cache
def load_engine(folder: str, name: str) -> TokenizerEngine:
    """Load the engine that the gate chose, once in each worker process; one core is used."""
    # Ray gives a task its core; tokenizers would start a thread for each core of the machine.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = load_tokenizer(Path(folder))
    return GigatokenEngine(tokenizer) if name == GIGATOKEN else HuggingFaceEngine(tokenizer)
