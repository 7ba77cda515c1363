from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medray.training.batches import IGNORED, Sequences, collate, sample_at, worker_samples

SEEDS = st.integers(0, 2**31)


@given(st.integers(1, 60), SEEDS, st.integers(0, 3))
def test_every_sequence_is_seen_once_an_epoch(count: int, seed: int, epoch: int) -> None:
    positions = range(epoch * count, (epoch + 1) * count)
    assert sorted(sample_at(position, count, seed) for position in positions) == list(range(count))


def test_epochs_and_seeds_have_their_own_order() -> None:
    orders = {
        tuple(sample_at(epoch * 50 + i, 50, seed) for i in range(50))
        for epoch in range(3)
        for seed in range(3)
    }
    assert len(orders) == 9


# Divisors of 24, so that the global batch parts evenly for each.
@given(st.integers(0, 20), st.integers(1, 100), SEEDS, st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]))
def test_workers_slices_are_the_global_batch(
    step: int, count: int, seed: int, world_size: int
) -> None:
    slices = [worker_samples(step, 24, rank, world_size, count, seed) for rank in range(world_size)]
    assert {len(chosen) for chosen in slices} == {24 // world_size}
    whole = worker_samples(step, 24, 0, 1, count, seed)
    assert [sample for chosen in slices for sample in chosen] == whole


@given(st.integers(1, 40), SEEDS)
def test_steps_follow_each_other_without_a_gap(count: int, seed: int) -> None:
    seen = [s for step in range(10) for s in worker_samples(step, 4, 0, 1, count, seed)]
    assert seen == [sample_at(position, count, seed) for position in range(40)]


PAIRS = st.lists(
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999) | st.just(IGNORED)), min_size=1),
    min_size=1,
    max_size=6,
).map(lambda rows: [([t for t, _ in row], [label for _, label in row]) for row in rows])


@given(PAIRS, st.data())
def test_a_batch_holds_its_sequences_and_padding_that_nobody_sees(
    pairs: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    sequences = Sequences.of(pairs)
    assert len(sequences) == len(pairs)
    chosen = data.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=4))
    batch = collate(sequences, chosen, padding=7)
    longest = max(len(pairs[i][0]) for i in chosen)
    assert {tuple(tensor.shape) for tensor in batch.values()} == {(len(chosen), longest)}
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
    for row, number in enumerate(chosen):
        tokens, labels = pairs[number]
        rest = longest - len(tokens)
        assert batch["input_ids"][row].tolist() == tokens + [7] * rest
        assert batch["labels"][row].tolist() == labels + [IGNORED] * rest
        assert batch["attention_mask"][row].tolist() == [1] * len(tokens) + [0] * rest


def test_no_sequences_at_all() -> None:
    assert len(Sequences.of([])) == 0


def test_padding_does_not_change_the_loss() -> None:
    from medray.corpus.tokenizer import train_tokenizer
    from medray.models.small import NewModelConfig, make_model

    tokenizer = train_tokenizer(iter(["heart"]), 300)
    config = NewModelConfig(
        hidden_size=16, layers=1, feed_forward_size=16, attention_heads=2, key_value_heads=2
    )
    model = make_model(config, tokenizer, 0).eval()
    short, long = [5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15]
    sequences = Sequences.of([(short, short), (long, long)])
    with torch.inference_mode():
        alone = [model(**collate(sequences, [i], 2)).loss.item() for i in (0, 1)]
        together = model(**collate(sequences, [0, 1], 2)).loss.item()
    # 3 and 6 predicted tokens: the loss is a mean over tokens.
    assert together == pytest.approx((3 * alone[0] + 6 * alone[1]) / 9, rel=1e-4)
