"""Windows, through the real tokenizer: against cutting written plainly, token by token."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.corpus.tokens.engines import HuggingFaceEngine
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import WindowConfig, make_windows, window_outputs, window_schema
from medray.storage.shards import add_counts

TOKENIZER: Any = train_tokenizer(iter(["fever and cough, fièvre et toux, 発熱 咳"] * 3), 320)
ENGINE = HuggingFaceEngine(TOKENIZER)
END = ENGINE.end_id

SIZES = st.integers(8, 24).flatmap(
    lambda size: st.fixed_dictionaries(
        {"window_tokens": st.just(size), "overlap_tokens": st.integers(0, size - 1)}
    )
)
CONFIGS = st.builds(
    lambda layout, sizes: WindowConfig(layout=layout, **sizes),
    st.sampled_from(["overlapping", "packed"]),
    SIZES,
)
TEXTS = st.lists(st.text(max_size=60) | st.integers(0, 90).map("a1 ".__mul__), max_size=6)


def table(texts: list[str]) -> pa.Table:
    ids = pa.array([f"d{number}" for number in range(len(texts))], pa.string())
    return pa.table({"document_id": ids, "text": pa.array(texts, pa.string())})


def tokens_of(text: str) -> list[int]:
    """A document as it must stand in windows: its tokens and one end token."""
    encoded: list[int] = TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)[
        "input_ids"
    ]
    return [*encoded, END] if encoded else []


def plain_overlapping(texts: list[str], config: WindowConfig) -> list[list[int]]:
    """What medray cut before windows were a matrix, word for word."""
    size, stride = config.window_tokens, config.window_tokens - config.overlap_tokens
    windows = []
    for text in texts:
        tokens = tokens_of(text)
        if len(tokens) <= size:
            windows += [tokens] if tokens else []
        else:
            starts = [*range(0, len(tokens) - size, stride), len(tokens) - size]
            windows += [tokens[start : start + size] for start in starts]
    return windows


def plain_packed(texts: list[str], config: WindowConfig) -> list[list[int]]:
    flat = [token for text in texts for token in tokens_of(text)]
    size = config.window_tokens
    return [flat[start : start + size] for start in range(0, len(flat), size)]


def kept(rows: list[dict[str, Any]]) -> list[list[int]]:
    return [row["tokens"][: row["length"]] for row in rows]


@given(TEXTS, CONFIGS)
def test_windows_are_those_of_the_plain_cutting(texts: list[str], config: WindowConfig) -> None:
    made = make_windows(table(texts), ENGINE, config, "fr")
    assert made.schema == window_schema(config.window_tokens)
    rows = made.to_pylist()
    plain = plain_overlapping if config.layout == "overlapping" else plain_packed
    assert kept(rows) == plain(texts, config)
    for row in rows:
        assert set(row["tokens"][row["length"] :]) <= {ENGINE.padding_id}
        assert row["language"] == "fr"


@given(TEXTS, CONFIGS)
def test_each_piece_is_the_named_part_of_the_named_document(
    texts: list[str], config: WindowConfig
) -> None:
    whole = {f"d{number}": tokens_of(text) for number, text in enumerate(texts)}
    seen: dict[str, set[int]] = {name: set() for name in whole}
    for row in make_windows(table(texts), ENGINE, config, "fr").to_pylist():
        assert row["starts"][0] == 0
        assert len(row["document_ids"]) == len(row["starts"]) == len(row["positions"])
        borders = pairwise([*row["starts"], row["length"]])
        for name, (start, end), position in zip(
            row["document_ids"], borders, row["positions"], strict=True
        ):
            assert end > start
            piece = row["tokens"][start:end]
            assert piece == whole[name][position : position + len(piece)]
            seen[name] |= set(range(position, position + len(piece)))
    assert all(seen[name] == set(range(len(whole[name]))) for name in whole)


@given(TEXTS, CONFIGS)
def test_texts_come_back_out_of_their_windows(texts: list[str], config: WindowConfig) -> None:
    back: dict[str, list[int]] = {}
    for row in make_windows(table(texts), ENGINE, config, "fr").to_pylist():
        borders = pairwise([*row["starts"], row["length"]])
        for name, (start, end), position in zip(
            row["document_ids"], borders, row["positions"], strict=True
        ):
            tokens = back.setdefault(name, [])
            tokens[position:] = row["tokens"][start:end]
    for number, text in enumerate(texts):
        tokens = back.get(f"d{number}", [END])
        assert tokens[-1] == END
        assert TOKENIZER.decode(tokens[:-1]) == text


@given(TEXTS, CONFIGS, st.data())
def test_batches_do_not_show_in_the_windows(
    texts: list[str], config: WindowConfig, data: st.DataObject
) -> None:
    whole = table(texts)
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=3).map(sorted))
    batches = [whole[a:b] for a, b in pairwise([0, *cuts, len(texts)])]
    outputs = list(window_outputs(batches, ENGINE, config, "fr"))
    made = pa.concat_tables(output.tables["windows"] for output in outputs)
    assert made.to_pylist() == make_windows(whole, ENGINE, config, "fr").to_pylist()


@given(TEXTS, CONFIGS)
def test_counts_add_up(texts: list[str], config: WindowConfig) -> None:
    counts: dict[str, int] = {}
    outputs = list(window_outputs([table(texts)], ENGINE, config, "fr"))
    for output in outputs:
        add_counts(counts, output.counts)
    rows = [row for output in outputs for row in output.tables["windows"].to_pylist()]
    documents = [tokens_of(text) for text in texts]
    short = [row for row in rows if row["length"] < config.window_tokens]
    assert counts == {
        "documents": sum(1 for tokens in documents if tokens),
        "tokens": sum(map(len, documents)),
        "windows": len(rows),
        "window_tokens": sum(row["length"] for row in rows),
        "short_windows": len(short),
        "padding_tokens": sum(config.window_tokens - row["length"] for row in short),
    }
    if config.layout == "packed":
        assert counts["window_tokens"] == counts["tokens"]
        assert counts["short_windows"] <= 1
        assert not short or rows[-1] == short[0]


def test_mmedlms_windows() -> None:
    made = make_windows(table(["7" * 4999]), ENGINE, WindowConfig(), "en").to_pylist()
    assert [(row["positions"], row["length"]) for row in made] == [
        ([0], 2048),
        ([1536], 2048),
        ([2952], 2048),
    ]


def test_documents_follow_each_other_in_packed_windows() -> None:
    config = WindowConfig(layout="packed", window_tokens=8)
    made = make_windows(table(["12345", "6", "", "789012345"]), ENGINE, config, "en").to_pylist()
    assert [row["document_ids"] for row in made] == [["d0", "d1"], ["d3"], ["d3"]]
    assert [row["starts"] for row in made] == [[0, 6], [0], [0]]
    assert [row["positions"] for row in made] == [[0, 0], [0], [8]]
    assert [row["length"] for row in made] == [8, 8, 2]
    assert [row["tokens"].count(END) for row in made] == [2, 0, 1]


def test_an_end_mark_that_stands_in_a_text_is_text() -> None:
    (row,) = make_windows(table(["a</s>b"]), ENGINE, WindowConfig(), "en").to_pylist()
    assert row["tokens"][: row["length"]].count(END) == 1
    assert TOKENIZER.decode(row["tokens"][: row["length"] - 1]) == "a</s>b"


def test_a_tokenizer_without_padding_pads_with_its_end_token() -> None:
    bare = train_tokenizer(iter(["fever"]), 300)
    bare.pad_token = None
    (row,) = make_windows(table(["ab"]), HuggingFaceEngine(bare), WindowConfig(), "en").to_pylist()
    assert set(row["tokens"][row["length"] :]) == {bare.eos_token_id}


def test_parquet_keeps_the_fixed_size(tmp_path: Path) -> None:
    made = make_windows(
        table(["fever", ""]), ENGINE, WindowConfig(window_tokens=16, overlap_tokens=4), "en"
    )
    pq.write_table(made, tmp_path / "w.parquet", compression="zstd")
    assert pq.read_table(tmp_path / "w.parquet").schema == window_schema(16)


@pytest.mark.parametrize("layout", ["overlapping", "packed"])
def test_real_documents_of_all_languages_fill_windows(samples: Path, layout: str) -> None:
    config = WindowConfig(layout=layout, window_tokens=64, overlap_tokens=16)
    texts = []
    for code in ("en", "zh", "ja", "fr", "ru", "es"):
        lines = (samples / "sources" / code / "documents.jsonl").read_text(encoding="utf-8")
        texts += [json.loads(line)["text"] for line in lines.splitlines()[:5]]
    made = make_windows(table(texts), ENGINE, config, "en").to_pylist()
    plain = plain_overlapping if layout == "overlapping" else plain_packed
    assert kept(made) == plain(texts, config)


@pytest.mark.parametrize(
    ("window_tokens", "overlap_tokens"), [(8, 8), (8, 9), (7, 0), (16, -1), (0, 0)]
)
def test_windows_that_never_end_are_refused(window_tokens: int, overlap_tokens: int) -> None:
    with pytest.raises(ValidationError):
        WindowConfig(window_tokens=window_tokens, overlap_tokens=overlap_tokens)
