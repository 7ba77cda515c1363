"""Pairs of documents planted with a known similarity, and the core of deduplication in-process."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from medray.corpus.dedup.buckets import near_pairs, unique_pairs
from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.selection import select_near
from medray.corpus.dedup.shingles import jaccard_of_pairs, shingle_sets
from medray.corpus.dedup.signature_pass import sign
from medray.languages import LANGUAGES

LETTERS = {
    "en": "abcdefghijklmnoprstuvw",
    "fr": "abcdeéèfghijlmnopqrstuv",
    "es": "abcdefghijlmnñopqrstuvé",
    "ru": "абвгдежзиклмнопрстуфхцчшя",
    "zh": "".join(chr(code) for code in range(0x4E00, 0x5200)),
    "ja": "".join(chr(code) for code in [*range(0x3041, 0x3097), *range(0x4E00, 0x5100)]),
}


def words_of(language: str, count: int, chance: random.Random) -> list[str]:
    """Return random words of a language's letters; in zh and ja characters."""
    letters = LETTERS[language]
    length = 6 if LANGUAGES[language].spaced else 1
    return ["".join(chance.choices(letters, k=length)) for _ in range(count)]


def text_of(words: Sequence[str]) -> str:
    return " ".join(words)  # blanks end no word of zh and ja that is not at its end anyway


def jaccard(a: Sequence[str], b: Sequence[str], size: int) -> float:
    """Return the similarity of two texts' sets of ``size`` words in a row, with Python's sets."""
    left, right = (
        {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} for words in (a, b)
    )
    return len(left & right) / len(left | right)


def edited(words: Sequence[str], size: int, similarity: float, chance: random.Random) -> list[str]:
    """Return a copy of at least ``similarity``: words apart from each other are replaced.

    Each replaced word changes ``size`` shingles: k of them leave J = (n - size k) / (n + size k).
    """
    shingles = len(words) - size + 1
    count = int(shingles * (1 - similarity) / (size * (1 + similarity)))
    copy, step = list(words), len(words) // max(count, 1)
    for number in range(count):
        copy[number * step + size] = f"new{chance.random()}".replace(".", "")
    return copy


def deduplicated(
    texts: Sequence[str], language: str, config: DeduplicateConfig
) -> dict[int, tuple[int, float]]:
    """Return {removed: (retained, jaccard)} of near duplicates, by the texts' numbers."""
    names = [str(number) for number in range(len(texts))]
    table = pa.table({"document_id": names, "text": list(texts), "source": names})
    signed = sign(table, language, config)
    lengths = np.array([len(bands) for bands in signed["bands"].to_pylist()])
    hashes = signed["bands"].combine_chunks().flatten().to_numpy()
    documents = np.repeat(np.arange(len(texts)), lengths)
    first, second = unique_pairs(*near_pairs(hashes, documents, config.representatives))
    sets = shingle_sets(pa.array(texts), language, config.shingle_size(language))
    similarity = jaccard_of_pairs(*sets, first, second)
    verified = similarity >= config.jaccard
    chosen = select_near(first[verified], second[verified], similarity[verified])
    removed, retained, values = (column.tolist() for column in chosen)
    return dict(zip(removed, zip(retained, values, strict=True), strict=True))
