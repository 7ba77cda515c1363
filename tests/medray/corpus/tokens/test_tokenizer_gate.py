"""Engines against the reference, and the gate that decides between them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from medray.corpus.tokens import engines
from medray.corpus.tokens.cuts import RunCutter
from medray.corpus.tokens.engines import (
    GigatokenEngine,
    HuggingFaceEngine,
    TokenizerEngine,
    load_engine,
)
from medray.corpus.tokens.gate import NASTY_TEXTS, choose_engine, first_difference
from medray.corpus.tokens.tokenizer import SPLIT, train_tokenizer
from medray.errors import InputError
from medray.languages import LANGUAGES

needs_gigatoken = pytest.mark.skipif(
    find_spec("gigatoken") is None, reason="gigatoken is not installed (medray[fast])"
)


def documents(samples: Path, code: str, count: int) -> list[str]:
    lines = (samples / "sources" / code / "documents.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["text"] for line in lines.splitlines()[:count]]


@pytest.fixture(scope="module")
def tokenizer(samples: Path) -> Any:
    texts = [text for code in LANGUAGES for text in documents(samples, code, 12)]
    return train_tokenizer(iter(texts), 4000)


@pytest.fixture(scope="module")
def reference(tokenizer: Any) -> TokenizerEngine:
    return HuggingFaceEngine(tokenizer)


@pytest.fixture(scope="module")
def fast(tokenizer: Any) -> TokenizerEngine:
    pytest.importorskip("gigatoken", reason="gigatoken is not installed (medray[fast])")
    return GigatokenEngine(tokenizer)


def test_the_reference_gives_the_tokenizers_own_tokens(
    tokenizer: Any, reference: TokenizerEngine
) -> None:
    texts = ["fever 38.5", "", "a</s>b", "発熱"]
    wanted = tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    found = reference.encode(pa.array(texts))
    assert found.tokens.dtype == np.int32
    assert [list(found.tokens[a:b]) for a, b in pairwise(found.offsets)] == wanted
    assert (reference.end_id, reference.padding_id) == (1, 2)


# Blocks that meet in a medical text of the six languages, and what lies beside them.
LETTERS = st.sampled_from(
    "abзж éЙ的患者医生中药のかんをとタカー々〆、。，「」（・ "
    "\n\t1５.-'’“”ⅫИ\u0306\u3099𠮷😀\u200d\x01"
)


@needs_gigatoken
@settings(max_examples=300)
@example(["\x01患者は医生\x01"])
@example(["患者" * 50])
@given(st.lists(st.text(LETTERS, max_size=40) | st.text(max_size=20), max_size=5))
def test_gigatoken_gives_the_reference_tokens(
    reference: TokenizerEngine, fast: TokenizerEngine, texts: list[str]
) -> None:
    assert first_difference(reference, fast, texts) is None


@needs_gigatoken
@pytest.mark.parametrize("code", LANGUAGES)
def test_gigatoken_gives_the_reference_tokens_on_documents(
    reference: TokenizerEngine, fast: TokenizerEngine, samples: Path, code: str
) -> None:
    texts = documents(samples, code, 60)
    assert first_difference(reference, fast, texts) is None
    # A slice starts inside its buffers.
    for column in (pa.array(texts), pa.chunked_array([texts, texts], pa.large_string())):
        mine, other = reference.encode(column.slice(7, 50)), fast.encode(column.slice(7, 50))
        assert np.array_equal(mine.tokens, other.tokens)
        assert np.array_equal(mine.offsets, other.offsets)


@needs_gigatoken
@pytest.mark.parametrize("code", LANGUAGES)
def test_gigatoken_gives_the_reference_tokens_on_the_real_corpus(
    reference: TokenizerEngine, fast: TokenizerEngine, real_data: Path, code: str
) -> None:
    file = sorted((real_data / "corpus" / code).glob("*.parquet"))[0]
    texts = pq.read_table(file, columns=["text"])["text"].to_pylist()[::20]
    assert first_difference(reference, fast, texts) is None


@needs_gigatoken
@pytest.mark.parametrize("vocabulary_size", [300, 420, 800])
@pytest.mark.parametrize("code", ["zh", "ja"])
def test_runs_are_cut_only_where_no_token_reaches_across(
    samples: Path, code: str, vocabulary_size: int
) -> None:
    """Small vocabularies are full of tokens that end inside a character."""
    texts = documents(samples, code, 30)
    tokenizer = train_tokenizer(iter(texts), vocabulary_size)
    shuffled = ["".join(Random(seed).sample(text, len(text))) for seed, text in enumerate(texts)]
    compared = [*texts, *shuffled]
    assert (
        first_difference(HuggingFaceEngine(tokenizer), GigatokenEngine(tokenizer), compared) is None
    )


def test_runs_are_cut(tokenizer: Any) -> None:
    parsed = json.loads(tokenizer.backend_tokenizer.to_str())
    cutter = RunCutter.of(parsed)
    assert cutter is not None
    text = "患者の発熱は、三十八度だった。fever was 38".encode()
    data, offsets = np.frombuffer(text * 2, np.uint8), np.array([0, len(text), 2 * len(text)])
    marked, starts = cutter.cut(data, offsets)
    first = bytes(marked[: starts[1]])
    assert bytes(marked[starts[1] :]) == first
    assert first.replace(bytes([cutter.mark]), b"") == text
    assert 4 <= first.count(cutter.mark) <= 14


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"type": "Unigram"}},
        {"model": {"type": "BPE", "ignore_merges": True}},
        {"model": {"type": "BPE", "end_of_word_suffix": "</w>"}},
        {"normalizer": {"type": "NFKC"}},
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}},
        {"added_tokens": [{"content": "患者", "single_word": True}]},
        {"added_tokens": [{"content": "".join(map(chr, range(28))), "single_word": False}]},
    ],
)
def test_runs_stay_whole_where_more_than_merges_makes_tokens(
    tokenizer: Any, changed: dict[str, Any]
) -> None:
    parsed = json.loads(tokenizer.backend_tokenizer.to_str())
    for key, value in changed.items():
        parsed[key] = parsed[key] | value if key == "model" else value
    assert RunCutter.of(parsed) is None


@pytest.mark.parametrize("name", ["huggingface", pytest.param("gigatoken", marks=needs_gigatoken)])
def test_no_text_at_all_gives_no_token(tokenizer: Any, name: str) -> None:
    engine = GigatokenEngine(tokenizer) if name == "gigatoken" else HuggingFaceEngine(tokenizer)
    for nothing in (pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        found = engine.encode(nothing)
        assert (found.tokens.tolist(), found.offsets.tolist()) == ([], [0])


@needs_gigatoken
def test_a_renewed_engine_gives_the_same_tokens(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Any, reference: TokenizerEngine
) -> None:
    monkeypatch.setattr(engines, "RENEW_BYTES", 10)
    engine = GigatokenEngine(tokenizer)
    for _ in range(3):
        assert first_difference(reference, engine, ["患者の発熱は38度", "fever"]) is None


def border_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that shows each end of a word: blanks and letters join the bytes beside them."""
    letters = dict(zip(pre_tokenizers.ByteLevel.alphabet(), range(256), strict=True))
    of_byte = {
        bytes([b]): chr(b) for b in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
    }
    others = [b for b in range(256) if bytes([b]) not in of_byte]
    of_byte |= {bytes([b]): chr(0x100 + number) for number, b in enumerate(others)}
    leads = [of_byte[bytes([b])] for b in range(0xC2, 0xF5)]
    tails = [of_byte[bytes([b])] for b in range(0x80, 0xC0)]
    beside = [of_byte[b] for b in (b"a", b" ", b".", b"1", b"\n")]
    merges = [(x, lead) for x in (*beside, *tails) for lead in leads]
    merges += [(tail, x) for tail in tails for x in beside]
    vocabulary = letters | {a + b: 256 + number for number, (a, b) in enumerate(merges)}
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>")


@needs_gigatoken
def test_characters_younger_than_an_engines_tables_do_not_show() -> None:
    """The two engines carry different Unicode versions; 1 in 40 of all code points is tried."""
    tokenizer = border_tokenizer()
    reference, fast = HuggingFaceEngine(tokenizer), GigatokenEngine(tokenizer)
    young = [0x88F, 0x1ACF, 0x1AE0, 0xA7D2, 0x10EC5, 0x16EA0, 0x18D80, 0x1E6C0, 0x323B0, 0x33479]
    points = [*young, *(p for p in range(1, 0x110000, 41) if not 0xD800 <= p < 0xE000)]
    texts = ["a{0}a {0}.{0}1{0}{0}\n{0}".format(chr(point)) for point in points]
    assert first_difference(reference, fast, texts) is None


@needs_gigatoken
def test_the_gate_admits_gigatoken_on_equal_tokens(tokenizer: Any, samples: Path) -> None:
    texts = {code: documents(samples, code, 10) for code in LANGUAGES}
    found = choose_engine(tokenizer, texts)
    assert found.engine == "gigatoken"
    assert found.refused is None
    assert found.compared == dict.fromkeys(LANGUAGES, 10) | {"nasty": len(NASTY_TEXTS)}
    assert found.as_results()["engine_version"]


@needs_gigatoken
def test_the_gate_refuses_an_engine_that_differs_and_shows_no_text(tokenizer: Any) -> None:
    """Hugging Face takes such an added token between blanks only; gigatoken 0.10 anywhere."""
    changed = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    changed.add_tokens([AddedToken("患者", single_word=True)])
    told = PreTrainedTokenizerFast(tokenizer_object=changed, eos_token="</s>")
    found = choose_engine(told, {"en": ["fever"], "zh": ["secret", "我患者的"]})
    assert found.engine == "huggingface"
    assert found.refused is not None
    assert found.refused.startswith("gigatoken differs: zh: text 1, token ")
    assert "患" not in found.refused
    assert found.compared == {"en": 1, "zh": 2}


@needs_gigatoken
def test_a_difference_names_its_place(tokenizer: Any, reference: TokenizerEngine) -> None:
    other = train_tokenizer(iter(["fever"]), 300)
    told = first_difference(reference, GigatokenEngine(other), ["", "1", "12 患者"])
    assert told is not None
    assert told.startswith("text ")
    assert "患" not in told


@needs_gigatoken
def test_a_tokenizer_that_gigatoken_does_not_know_stays_with_hugging_face() -> None:
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "fever": 1, "</s>": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    found = choose_engine(PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>"), {})
    assert found.engine == "huggingface"
    assert found.refused is not None
    assert "does not take this tokenizer" in found.refused
    assert "\n" not in found.refused


def test_a_tokenizer_without_an_end_token_is_told() -> None:
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    with pytest.raises(InputError, match="names no eos_token"):
        HuggingFaceEngine(PreTrainedTokenizerFast(tokenizer_object=made))


@pytest.mark.parametrize("name", ["huggingface", pytest.param("gigatoken", marks=needs_gigatoken)])
def test_a_worker_loads_the_chosen_engine(
    tokenizer: Any, reference: TokenizerEngine, tmp_path: Path, name: str
) -> None:
    tokenizer.save_pretrained(tmp_path)
    engine = load_engine(str(tmp_path), name)
    assert engine.name == name
    assert engine.end_id == reference.end_id
    assert first_difference(reference, engine, list(NASTY_TEXTS)) is None
