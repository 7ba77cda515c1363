"""Documents are held out whole: no window of one lies on both sides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medray.training.sequences import Sequences, hold_out

# A window is a list of pieces: (document, tokens).
WINDOWS = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=4), max_size=12
)


def of_windows(windows: list[list[tuple[int, int]]]) -> Sequences:
    """Return windows whose every token is the number of its document."""
    sizes = [size for window in windows for _, size in window]
    documents = [document for window in windows for document, _ in window]
    ends = np.cumsum(sizes).astype(np.int64)
    tokens = np.repeat(documents, sizes).astype(np.int32)
    lengths = [sum(size for _, size in window) for window in windows]
    names = [[str(document) for document, _ in window] for window in windows]
    return Sequences(
        tokens,
        tokens,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([[0], ends])[:-1].astype(np.int64)[: len(sizes)],
        np.arange(len(windows), dtype=np.int32) % 2,
        ("en", "fr"),
        pa.chunked_array([pa.array(names, pa.list_(pa.string()))]),
    )


def whole(sequences: Sequences) -> Counter[int]:
    return Counter(sequences.tokens.tolist())


@given(WINDOWS, st.floats(0, 0.9), st.integers(0, 99))
def test_every_token_is_on_the_side_of_its_document(
    windows: list[list[tuple[int, int]]], share: float, seed: int
) -> None:
    sequences = of_windows(windows)
    trained, held = hold_out(sequences, share, seed)
    assert whole(trained) + whole(held) == whole(sequences)
    assert not set(whole(trained)) & set(whole(held))
    for part in (trained, held):
        assert len(part) == 0 or part.labels is part.tokens
        for number in range(len(part)):
            first, end = part.offsets[number], part.offsets[number + 1]
            pieces = part.tokens[first:end]
            # Each piece has its document's name, and begins where it says.
            lengths = part.piece_lengths(number)
            assert lengths.sum() == end - first
            ids = part.names[number].as_py()
            begins = np.concatenate([[0], lengths.cumsum()[:-1]])
            assert [str(pieces[begin]) for begin in begins] == ids
    assert all(len(held.piece_lengths(number)) == 1 for number in range(len(held)))


@given(WINDOWS, st.integers(0, 99))
def test_a_larger_share_holds_out_the_same_and_more(
    windows: list[list[tuple[int, int]]], seed: int
) -> None:
    sequences = of_windows(windows)
    few, many = (set(whole(hold_out(sequences, share, seed)[1])) for share in (0.2, 0.6))
    assert few <= many


def test_each_sequence_keeps_its_entry() -> None:
    sequences = replace(
        of_windows([[(document, 2)] for document in range(40)]),
        entries=np.arange(40, dtype=np.int32) % 4,
        entry_names=("0", "1", "2", "3"),
    )
    for part in hold_out(sequences, 0.5, 3):
        assert len(part)
        kept = [part.entry_names[number] for number in part.entries]
        assert kept == [str(int(part.names[i].as_py()[0]) % 4) for i in range(len(part))]


def test_the_share_is_met_and_nothing_is_held_out_unasked() -> None:
    sequences = of_windows([[(document, 3)] for document in range(2000)])
    trained, held = hold_out(sequences, 0.25, 7)
    assert 0.22 < len(held) / 2000 < 0.28
    assert len(trained) + len(held) == 2000
    assert hold_out(sequences, 0.0, 7)[0] is sequences
    assert len(hold_out(sequences, 0.0, 7)[1]) == 0
