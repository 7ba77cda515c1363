from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.tokens.engines import HuggingFaceEngine
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import WindowConfig, make_windows
from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.training.batches import (
    IGNORED,
    Sequences,
    collate,
    read_windows,
    sample_at,
    window_matrix,
    worker_samples,
)

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


def write_windows(path: Path, windows: list[list[int]], size: int) -> Location:
    """Write windows with padding 9 that no reader may take for a token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    padded = [window + [9] * (size - len(window)) for window in windows]
    lengths = pa.array([len(window) for window in windows], pa.int32())
    columns = {"tokens": pa.array(padded, pa.list_(pa.int32(), size)), "length": lengths}
    pq.write_table(pa.table(columns), path)
    return Location.of(path)


WINDOWS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=8), max_size=6)


@given(st.lists(WINDOWS, max_size=3))
def test_windows_are_read_without_their_padding(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("windows")
    written = [write_windows(folder / f"{n}.parquet", file, 8) for n, file in enumerate(files)]
    found = read_windows(written)
    windows = [window for file in files for window in file]
    assert len(found) == len(windows)
    for number, window in enumerate(windows):
        part = slice(found.offsets[number], found.offsets[number + 1])
        assert found.tokens[part].tolist() == window
        assert found.labels[part].tolist() == window


def test_a_torn_file_of_windows_is_told(tmp_path: Path) -> None:
    file = write_windows(tmp_path / "a.parquet", [[1, 2]], 8)
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file"):
        read_windows([file])


def test_windows_become_a_matrix_without_a_copy() -> None:
    values = pa.array(np.arange(24, dtype=np.int32))
    matrix = window_matrix(pa.FixedSizeListArray.from_arrays(values, 8))
    assert matrix.tolist() == np.arange(24).reshape(3, 8).tolist()
    assert matrix.ctypes.data == values.buffers()[1].address
    part = window_matrix(pa.FixedSizeListArray.from_arrays(values, 8).slice(1, 1))
    assert part.tolist() == [list(range(8, 16))]


def test_training_sees_what_it_saw_when_windows_were_lists(samples: Path, tmp_path: Path) -> None:
    """The samples' windows, cut and read as before there was a matrix, and as now."""
    texts = []
    for code in LANGUAGES:
        lines = (samples / "sources" / code / "documents.jsonl").read_text(encoding="utf-8")
        texts += [json.loads(line)["text"] for line in lines.splitlines()[:20]]
    tokenizer = train_tokenizer(iter(texts), 600)
    before, size, stride = [], 1024, 768
    for tokens in tokenizer(texts, add_special_tokens=False)["input_ids"]:
        tokens.append(tokenizer.eos_token_id)
        starts = [*range(0, len(tokens) - size, stride), len(tokens) - size]
        if len(tokens) <= size:
            starts = [0]
        pieces = [tokens[start : start + size] for start in starts]
        before += [(piece, piece) for piece in pieces]
    old = Sequences.of(before)
    documents = pa.table({"document_id": [str(n) for n in range(len(texts))], "text": texts})
    config = WindowConfig(window_tokens=size, overlap_tokens=size - stride)
    made = make_windows(documents, HuggingFaceEngine(tokenizer), config, "en")
    pq.write_table(made, tmp_path / "w.parquet", compression="zstd")
    new = read_windows([Location.of(tmp_path / "w.parquet")])
    short = np.diff(old.offsets) < size
    assert 0 < short.sum() < len(old)
    for name in ("tokens", "labels", "offsets"):
        assert np.array_equal(getattr(new, name), getattr(old, name))
