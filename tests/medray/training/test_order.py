from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.training.order import BLOCK, Order
from medray.training.sequences import Example, Sequences

SEEDS = st.integers(0, 2**31)


@given(st.integers(1, 60), SEEDS, st.integers(0, 3))
def test_every_sequence_is_seen_once_an_epoch(count: int, seed: int, epoch: int) -> None:
    seen = Order.uniform(count, seed).between(epoch * count, (epoch + 1) * count)
    assert sorted(seen) == list(range(count))


def test_epochs_and_seeds_have_their_own_order() -> None:
    orders = {
        tuple(Order.uniform(50, seed).between(epoch * 50, epoch * 50 + 50))
        for epoch in range(3)
        for seed in range(3)
    }
    assert len(orders) == 9


def of_entries(counts: dict[str, int]) -> Sequences:
    """Return examples that change languages within each entry."""
    names = [name for name, count in counts.items() for _ in range(count)]
    return Sequences.of(
        Example([number], [number], ("en", "fr")[number % 2], "", name)
        for number, name in enumerate(names)
    )


def of_languages(counts: dict[str, int]) -> Sequences:
    codes = [code for code, count in counts.items() for _ in range(count)]
    return Sequences.of(Example([number], [number], code) for number, code in enumerate(codes))


LANGUAGE_COUNTS = st.dictionaries(
    st.sampled_from(["en", "fr", "ja"]), st.integers(1, 40), min_size=1
)


@given(LANGUAGE_COUNTS, st.data())
def test_a_mixture_has_its_shares_in_every_block_and_leaves_no_sequence_out(
    counts: dict[str, int], data: st.DataObject
) -> None:
    # The same, whether languages or entries are weighed.
    names = {code: f"{code} set" for code in counts} if data.draw(st.booleans()) else {}
    if names:
        counts = {names[code]: count for code, count in counts.items()}
    sequences = of_entries(counts) if names else of_languages(counts)
    weights = {code: data.draw(st.floats(0.01, 100), label=code) for code in counts}
    order = Order.mixture(sequences, weights, data.draw(SEEDS))
    block = data.draw(st.integers(0, 3))
    seen = order.between(block * BLOCK, (block + 1) * BLOCK)
    codes = [
        sequences.entry_names[sequences.entries[i]]
        if names
        else sequences.language_names[sequences.languages[i]]
        for i in seen
    ]
    for code, weight in weights.items():
        assert abs(codes.count(code) - weight / sum(weights.values()) * BLOCK) <= len(weights)
        times = Counter(i for i, c in zip(seen, codes, strict=True) if c == code)
        missed = counts[code] - len(times)
        # Each epoch of a language has each of its sequences once.
        assert max(times.values()) - (min(times.values()) if not missed else 0) <= 2


def test_a_language_of_weight_zero_is_not_seen() -> None:
    order = Order.mixture(of_languages({"en": 3, "fr": 3}), {"en": 1.0, "fr": 0.0}, 0)
    assert set(order.between(0, 50)) == {0, 1, 2}


def test_general_and_medical_data_of_one_language_come_up_by_weight() -> None:
    sequences = of_entries({"general": 10, "medical": 990})
    order = Order.mixture(sequences, {"general": 1.0, "medical": 1.0}, 0)
    seen = order.between(0, BLOCK)
    assert sum(number < 10 for number in seen) == BLOCK // 2


def test_what_has_no_sequence_is_told() -> None:
    with pytest.raises(InputError, match="mixture: ja has no sequence"):
        Order.mixture(of_languages({"en": 3}), {"en": 1.0, "ja": 1.0}, 0)
    with pytest.raises(InputError, match="mixture: medical has no sequence"):
        Order.mixture(of_entries({"general": 3}), {"general": 1.0, "medical": 1.0}, 0)
    # Held out whole: the name is known, a sequence is not there.
    empty = replace(of_languages({"en": 3}), language_names=("en", "fr"))
    with pytest.raises(InputError, match="mixture: fr has no sequence"):
        Order.mixture(empty, {"fr": 1.0}, 0)
