"""Pairs of texts in six languages that are alike to any degree, from equal to strangers."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from medray.languages import LANGUAGES

CORPUS = Path(__file__).parents[1] / "jobs" / "samples" / "corpus"
LONGEST_WORDS = 40
SIGNS = (".", ",", "!", " ", "。", "、", "¿", "-", "'", "…", "\n")


def random_pairs(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return (prediction, reference, language) rows, the languages in turn.

    A reference is a piece of a sample document; its prediction the same piece with words left out,
    doubled, moved, replaced, or with signs between; in one of ten another piece; some are empty.
    """
    draw = random.Random(seed)
    words = {code: _words(code) for code in LANGUAGES}
    rows = []
    for number in range(count):
        code = list(LANGUAGES)[number % len(LANGUAGES)]
        blank = " " if LANGUAGES[code].spaced else ""
        reference = _piece(words[code], draw)
        source = _piece(words[code], draw) if draw.random() < 0.1 else reference
        prediction = _changed(source, words[code], draw)
        rows.append((blank.join(prediction), blank.join(reference), code))
    return rows


def _words(code: str) -> list[str]:
    documents = pq.read_table(CORPUS / code, columns=["text"])["text"].to_pylist()
    text = "\n".join(islice(documents, 10))[:40_000]
    return text.split() if LANGUAGES[code].spaced else list(text)


def _piece(words: list[str], draw: random.Random) -> list[str]:
    length = draw.randrange(LONGEST_WORDS)
    first = draw.randrange(len(words) - LONGEST_WORDS)
    return words[first : first + length]


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
