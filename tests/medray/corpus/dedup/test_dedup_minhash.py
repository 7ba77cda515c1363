"""Signatures: the kernel against its definition, the estimate against the truth, the S-curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.dedup.minhash import (
    band_hashes,
    choose_bands,
    recall_at,
    reference_signatures,
    signatures,
)

SETS = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=40), max_size=6)


def flat(sets: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, sets)]).astype(np.int64)
    return np.array([value for one in sets for value in one], np.uint64), offsets


def pairs_of_similarity(jaccard: float, size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``count`` pairs of random sets of ``size`` shingles: rows 2i and 2i + 1."""
    random = np.random.default_rng(7)
    common = round(2 * size * jaccard / (1 + jaccard))
    union = random.integers(0, 2**64, (count, 2 * size - common), dtype=np.uint64)
    both = np.stack((union[:, :size], union[:, size - common :]), axis=1)
    return both.reshape(-1), np.arange(0, 2 * count * size + 1, size, dtype=np.int64)


@given(SETS, st.sampled_from([1, 7, 128]))
def test_the_kernel_has_the_bits_of_the_definition(sets: list[list[int]], slots: int) -> None:
    shingles, offsets = flat(sets)
    expected = reference_signatures(shingles, offsets, slots)
    assert (signatures(shingles, offsets, slots) == expected).all()


@given(SETS)
def test_order_and_repeats_of_shingles_do_not_count(sets: list[list[int]]) -> None:
    once = [sorted(set(one)) for one in sets]
    twice = [one[::-1] + one for one in once]
    assert (signatures(*flat(once), 128) == signatures(*flat(twice), 128)).all()


@pytest.mark.parametrize("size", [5, 60, 1000])
@pytest.mark.parametrize("jaccard", [0.3, 0.7, 0.8])
def test_equal_slots_estimate_the_similarity_as_well_as_minhash(size: int, jaccard: float) -> None:
    count, slots = 800, 128
    made = signatures(*pairs_of_similarity(jaccard, size, count), slots)
    estimates = (made[::2] == made[1::2]).mean(axis=1)
    common = round(2 * size * jaccard / (1 + jaccard))
    truth = common / (2 * size - common)
    spread = np.sqrt(truth * (1 - truth) / slots)  # MinHash's standard error
    assert abs(estimates.mean() - truth) < 4 * spread / np.sqrt(count)
    assert np.sqrt(((estimates - truth) ** 2).mean()) < 1.1 * spread


def test_a_text_without_shingles_has_an_empty_signature() -> None:
    made = signatures(*flat([[], [3]]), 16)
    assert (made[0] == 2**64 - 1).all()
    assert (made[1] != 2**64 - 1).all()


def test_the_default_bands_reach_their_recall() -> None:
    assert choose_bands(128, 0.8, 0.99) == (21, 6)
    assert recall_at(0.8, 21, 6) == pytest.approx(0.9983, abs=1e-4)
    assert recall_at(0.7, 21, 6) == pytest.approx(0.9278, abs=1e-4)
    assert recall_at(0.3, 21, 6) < 0.02
    assert choose_bands(128, 0.8, 0.95) == (18, 7)
    with pytest.raises(ValueError, match="do not reach"):
        choose_bands(2, 0.1, 0.9)


@pytest.mark.parametrize("jaccard", [0.5, 0.7, 0.8])
def test_pairs_share_a_band_as_often_as_the_curve_says(jaccard: float) -> None:
    count = 1500
    made = signatures(*pairs_of_similarity(jaccard, 200, count), 128)
    bands = band_hashes(made, 21, 6)
    found = (bands[::2] == bands[1::2]).any(axis=1).mean()
    expected = recall_at(jaccard, 21, 6)
    assert found > expected - 4 * np.sqrt(expected * (1 - expected) / count) - 1e-3
    assert found < expected + 0.05


def test_bands_do_not_meet_other_bands() -> None:
    same = np.zeros((1, 12), np.uint64)
    assert len(np.unique(band_hashes(same, 3, 4))) == 3
