"""Signatures of shingle sets whose equal slots estimate the Jaccard similarity, and their bands.

The algorithm is fast similarity sketching (Dahlgaard, Knudsen, Thorup, "Fast Similarity Sketching",
FOCS 2017, https://arxiv.org/abs/1704.04370): every shingle is hashed once into one of P slots, and
again in further rounds only while slots are empty, so that a signature costs n + P ln P hashes and
not n * P as MinHash's does. Two sets of Jaccard similarity J share each slot with probability J;
the number of equal slots varies no more than MinHash's, J(1 - J)P.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numba import njit

from medray.corpus.dedup.words import Hashes, Offsets, mix

SIGNATURE_VERSION = 1

_EMPTY = np.iinfo(np.uint64).max
# An odd number with no pattern in its bits (SplitMix64's): each round's and band's own hashing.
_SALT = 0xBF58476D1CE4E5B9


def signatures(shingles: Hashes, offsets: Offsets, permutations: int) -> npt.NDArray[np.uint64]:
    """Return (texts, permutations) uint64: the signature of each text's shingles.

    A row of a text without a shingle is all 2^64 - 1. ``shingles`` may repeat.
    """
    return _signatures(shingles, offsets, permutations)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _signatures(shingles, offsets, permutations):  # type: ignore[no-untyped-def]
    """In round i < P, shingle s aims at slot hash_i(s) mod P, later at slot i - P, whatever s is.

    A slot keeps the least of (round << 32 | 32 bits of the hash): earlier rounds win, so a round
    is needed only where a slot is still empty.
    """
    out = np.full((len(offsets) - 1, permutations), np.uint64(_EMPTY))
    for text in range(len(offsets) - 1):
        slots, first, end = out[text], offsets[text], offsets[text + 1]
        empty, turn = permutations if end > first else 0, 0
        while empty > 0:
            salt, early = np.uint64(turn) * np.uint64(_SALT), np.uint64(turn) << np.uint64(32)
            for at in range(first, end):
                value = mix(shingles[at] ^ salt)
                slot = turn - permutations
                if slot < 0:
                    low = value & np.uint64(0xFFFFFFFF)
                    slot = np.int64((low * np.uint64(permutations)) >> np.uint64(32))
                key = early | (value >> np.uint64(32))
                if key < slots[slot]:
                    empty -= slots[slot] == np.uint64(_EMPTY)
                    slots[slot] = key
            turn += 1
    return out


def reference_signatures(
    shingles: Hashes, offsets: Offsets, permutations: int
) -> npt.NDArray[np.uint64]:
    """Return what ``signatures`` returns, in plain numpy: the definition that the kernel equals."""
    out = np.full((len(offsets) - 1, permutations), np.uint64(_EMPTY))
    for text, (first, end) in enumerate(pairwise(offsets.tolist())):
        own, turn = shingles[first:end], 0
        while len(own) and (out[text] == _EMPTY).any():
            values = mix.py_func(own ^ np.uint64(turn * _SALT % 2**64))
            slots = np.full(len(own), turn - permutations)
            if turn < permutations:
                slots = ((values & np.uint64(0xFFFFFFFF)) * np.uint64(permutations)) >> np.uint64(
                    32
                )
            keys = np.uint64(turn << 32) | (values >> np.uint64(32))
            np.minimum.at(out[text], slots.astype(np.int64), keys)
            turn += 1
    return out


def band_hashes(signature: npt.NDArray[np.uint64], bands: int, rows: int) -> Hashes:
    """Return (texts, bands) uint64: of each band's ``rows`` slots one hash, salted by the band.

    Texts that agree in a band's slots agree in its hash. Slots beyond bands * rows are not used.
    """
    return _band_hashes(signature, bands, rows)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _band_hashes(signature, bands, rows):  # type: ignore[no-untyped-def]
    out = np.empty((signature.shape[0], bands), np.uint64)
    for text in range(signature.shape[0]):
        for band in range(bands):
            value = np.uint64(band + 1) * np.uint64(_SALT)
            for slot in range(band * rows, band * rows + rows):
                value = mix(value ^ signature[text, slot])
            out[text, band] = value
    return out


def recall_at(jaccard: float, bands: int, rows: int) -> float:
    """Return how probably two texts of a Jaccard similarity share a band: 1 - (1 - J^rows)^bands.

    Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2. Sketched slots repel each other
    a little, so what is measured is not below it.
    """
    return 1.0 - (1.0 - jaccard**rows) ** bands


def choose_bands(permutations: int, jaccard: float, recall: float) -> tuple[int, int]:
    """Return (bands, rows): the most rows, so the fewest candidates, that reach ``recall``.

    Bands of one row reach the most; ValueError where even these do not reach ``recall``.
    """
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        if recall_at(jaccard, bands, rows) >= recall:
            return bands, rows
    raise ValueError(f"{permutations} permutations do not reach recall {recall} at J {jaccard}")
