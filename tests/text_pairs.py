"""Pairs of texts in six languages that are alike to any degree, from equal to strangers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from medray.languages import LANGUAGES

CORPUS = Path(__file__).parents[1] / "jobs" / "samples" / "corpus"
SIGNS = (".", ",", "!", " ", "。", "、", "¿", "-", "'", "…", "\n")


def random_pairs(
    count: int,
    seed: int = 0,
    codes: Sequence[str] = tuple(LANGUAGES),
    words: tuple[int, int] = (0, 40),
    characters: tuple[int, int] = (0, 40),
) -> list[tuple[str, str, str]]:
    """Return (prediction, reference, language) rows, the languages in turn.

    A reference is a piece of a sample document, so many words of it (from, to), or characters in
    zh and ja; its prediction the same piece with some of them left out, doubled, moved, replaced,
    or with signs between; in one of ten another piece; some are empty.
    """
    draw = random.Random(seed)
    parts = {code: _parts(code) for code in LANGUAGES}
    rows = []
    for number in range(count):
        code = codes[number % len(codes)]
        blank, lengths = (" ", words) if LANGUAGES[code].spaced else ("", characters)
        reference = _piece(parts[code], lengths, draw)
        source = _piece(parts[code], lengths, draw) if draw.random() < 0.1 else reference
        prediction = _changed(source, parts[code], draw)
        rows.append((blank.join(prediction), blank.join(reference), code))
    return rows


def _parts(code: str) -> list[str]:
    documents = pq.read_table(CORPUS / code, columns=["text"])["text"].to_pylist()
    text = "\n".join(islice(documents, 10))[:40_000]
    return text.split() if LANGUAGES[code].spaced else list(text)


def _piece(parts: list[str], lengths: tuple[int, int], draw: random.Random) -> list[str]:
    length = draw.randrange(*lengths)
    first = draw.randrange(len(parts) - lengths[1])
    return parts[first : first + length]


def _changed(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    rate = draw.choice([0.0, 0.05, 0.3, 0.7])
    out: list[str] = []
    for word in words:
        if draw.random() >= rate:
            out.append(word)
            continue
        change = draw.randrange(6)
        if change == 0:
            out += [word, word]
        elif change == 1:
            out.insert(draw.randrange(len(out) + 1), word)
        elif change == 2:
            out.append(draw.choice(others))
        elif change == 3:
            out.append(word + draw.choice(SIGNS))
        elif change == 4:
            out.append(word.upper())
    return out
