from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.tokens.engines import HuggingFaceEngine
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import WindowConfig, make_windows, window_schema
from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.training.sequences import IGNORED, Example, Sequences, read_windows, window_matrix

EXAMPLES = st.lists(
    st.builds(
        lambda row, language, name: Example(
            [t for t, _ in row], [label for _, label in row], language, name
        ),
        st.lists(
            st.tuples(st.integers(0, 999), st.integers(0, 999) | st.just(IGNORED)), min_size=1
        ),
        st.sampled_from(["en", "zh", "ja"]),
        st.text("abc", min_size=1),
    ),
    max_size=6,
)


@given(EXAMPLES)
def test_examples_lie_flat_and_are_found_again(examples: list[Example]) -> None:
    sequences = Sequences.of(examples)
    assert len(sequences) == len(examples)
    assert sequences.lengths.tolist() == [len(example.tokens) for example in examples]
    assert sequences.pieces.tolist() == sequences.offsets[:-1].tolist()
    for number, example in enumerate(examples):
        part = slice(sequences.offsets[number], sequences.offsets[number + 1])
        assert sequences.tokens[part].tolist() == example.tokens
        assert sequences.labels[part].tolist() == example.labels
        assert sequences.language_names[sequences.languages[number]] == example.language
        assert sequences.ids_of([number]) == [example.name]


Window = tuple[list[int], list[int], str]


def write_windows(path: Path, windows: list[Window], size: int) -> Location:
    """Write windows (tokens, starts of documents, language), with padding 9 for nobody to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "tokens": [tokens + [9] * (size - len(tokens)) for tokens, _, _ in windows],
        "length": [len(tokens) for tokens, _, _ in windows],
        "document_ids": [[f"{path.stem} {n} {s}" for s in w[1]] for n, w in enumerate(windows)],
        "starts": [starts for _, starts, _ in windows],
        "positions": [[0 for _ in starts] for _, starts, _ in windows],
        "language": [language for _, _, language in windows],
    }
    pq.write_table(pa.table(columns, schema=window_schema(size)), path)
    return Location.of(path)


@st.composite
def some_windows(draw: st.DrawFn) -> Window:
    tokens = draw(st.lists(st.integers(0, 9), min_size=1, max_size=8))
    starts = draw(st.sets(st.integers(1, len(tokens) - 1))) if len(tokens) > 1 else set()
    return tokens, [0, *sorted(starts)], draw(st.sampled_from(["en", "fr"]))


@given(st.lists(st.lists(some_windows(), max_size=6), max_size=3))
def test_windows_are_read_without_their_padding(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[Window]]
) -> None:
    folder = tmp_path_factory.mktemp("windows")
    written = [write_windows(folder / f"{n}.parquet", file, 8) for n, file in enumerate(files)]
    found = read_windows(written)
    windows = [(n, m, *window) for n, file in enumerate(files) for m, window in enumerate(file)]
    assert len(found) == len(windows)
    pieces: list[int] = []
    for number, (file, row, tokens, starts, language) in enumerate(windows):
        first, end = found.offsets[number], found.offsets[number + 1]
        assert found.tokens[first:end].tolist() == tokens
        assert found.language_names[found.languages[number]] == language
        assert found.ids_of([number]) == [f"{file} {row} {start}" for start in starts]
        pieces += [int(first) + start for start in starts]
    assert found.labels is found.tokens
    assert found.pieces.tolist() == pieces


def test_a_torn_file_of_windows_is_told(tmp_path: Path) -> None:
    file = write_windows(tmp_path / "a.parquet", [([1, 2], [0], "en")], 8)
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
        before += [Example(piece, piece) for piece in pieces]
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


@given(st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=8), st.randoms())
def test_pieces_are_numbered_through_all_sequences(documents: list[list[int]], draw: Any) -> None:
    lengths = [length for window in documents for length in window]
    tokens = np.arange(sum(lengths), dtype=np.int32)
    offsets = np.cumsum([0, *map(sum, documents)])
    starts = np.cumsum([0, *lengths])[:-1].astype(np.int64)
    sequences = Sequences(tokens, tokens, offsets, starts, np.zeros(len(documents), np.int32))
    chosen = draw.sample(range(len(documents)), draw.randint(1, len(documents)))
    bounds = sequences.piece_bounds(sequences.pieces_of(chosen))
    assert np.diff(bounds)[:, 0].tolist() == [n for i in chosen for n in documents[i]]
    found = [token for first, end in bounds for token in range(first, end)]
    assert found == [t for i in chosen for t in range(offsets[i], offsets[i + 1])]
