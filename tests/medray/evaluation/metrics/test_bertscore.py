"""BERTScore by a small random BERT: its values mean nothing, but they are the package's own."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import bert_score
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel, BertTokenizer, LlamaConfig, LlamaModel

from medray.errors import InputError
from medray.evaluation.metrics.bertscore import LAYERS, BertScorer

PREDICTIONS = ["the heart beats", "a b c d e f", "kidney failure, acute", "x", "the heart beats"]
REFERENCES = ["the heart is beating", "f e d c b a", "acute renal failure", "yz", "the heart beats"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, ","]
PIECES += [f"##{letter}" for letter in string.ascii_lowercase]
LENGTH = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of three layers and made-up weights, which reads 32 tokens."""
    path = tmp_path_factory.mktemp("bert")
    (path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    BertTokenizer(str(path / "vocab.txt"), model_max_length=LENGTH).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def scorer(folder: Path) -> BertScorer:
    return BertScorer.load(folder, layer=2, batch_size=2)


@pytest.fixture(scope="module")
def package(folder: Path) -> Any:
    return bert_score.BERTScorer(model_type=str(folder), num_layers=2, device="cpu", nthreads=0)


def test_values_are_the_packages(scorer: BertScorer, package: Any) -> None:
    found = scorer.scores(PREDICTIONS, REFERENCES)
    expected = package.score(PREDICTIONS, REFERENCES)
    for values, tensor in zip((found.precision, found.recall, found.f1), expected, strict=True):
        assert values == pytest.approx(tensor.tolist(), abs=1e-5)
    assert len({round(value, 3) for value in found.f1}) == 5
    assert found.cut_items == 0


def test_values_with_idf_are_the_packages(scorer: BertScorer, folder: Path) -> None:
    package = bert_score.BERTScorer(
        model_type=str(folder), num_layers=2, device="cpu", nthreads=0, idf=True,
        idf_sents=REFERENCES,
    )  # fmt: skip
    found = scorer.scores(PREDICTIONS, REFERENCES, idf=True)
    expected = package.score(PREDICTIONS, REFERENCES)
    for values, tensor in zip((found.precision, found.recall, found.f1), expected, strict=True):
        assert values == pytest.approx(tensor.tolist(), abs=1e-5)
    assert found.f1 != scorer.scores(PREDICTIONS, REFERENCES).f1


def test_the_module_gives_the_means(scorer: BertScorer, folder: Path) -> None:
    from medray.evaluation.metrics.modules import BertScore

    found = scorer.scores(PREDICTIONS, REFERENCES)
    module = BertScore(keep_in_memory=True)
    module.add_batch(predictions=PREDICTIONS, references=REFERENCES)
    means = module.compute(folder=str(folder), layer=2)
    assert means["f1"] == pytest.approx(sum(found.f1) / 5)
    assert means["recall"] == pytest.approx(sum(found.recall) / 5)


def test_the_layer_matters(folder: Path, scorer: BertScorer) -> None:
    third = BertScorer.load(folder, layer=3).scores(PREDICTIONS, REFERENCES)
    assert third.f1[:4] != pytest.approx(scorer.scores(PREDICTIONS, REFERENCES).f1[:4], abs=1e-3)


def test_longer_texts_are_cut_and_counted(scorer: BertScorer) -> None:
    found = scorer.scores(["a b c " * 20, "a"], ["a b c " * 30, "a"])
    assert found.f1 == pytest.approx([1, 1], abs=1e-5)
    assert found.cut_items == 1


def test_a_tokenizer_that_tells_no_length_is_cut_at_the_models(folder: Path) -> None:
    scorer = BertScorer.load(folder, layer=1)
    scorer.tokenizer.model_max_length = int(1e30)
    assert scorer.longest == LENGTH
    assert scorer.scores(["a " * 99], ["b " * 99]).cut_items == 1


TEXTS = st.text(string.ascii_lowercase[:4] + " ,é心", max_size=12)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_values_are_shares_whatever_the_batch(
    scorer: BertScorer, pairs: list[tuple[str, str]]
) -> None:
    found = scorer.scores([a for a, _ in pairs], [b for _, b in pairs])
    turned = scorer.scores([b for _, b in pairs][::-1], [a for a, _ in pairs][::-1])
    assert turned.precision[::-1] == pytest.approx(found.recall, abs=1e-5)
    assert turned.f1[::-1] == pytest.approx(found.f1, abs=1e-5)
    for values in (found.precision, found.recall, found.f1):
        assert all(0 <= value <= 1 for value in values)
    for (a, b), value in zip(pairs, found.f1, strict=True):
        if not a.strip() or not b.strip():
            assert value == 0
        elif a == b:
            assert value == pytest.approx(1, abs=1e-5)


def test_the_folders_name_tells_the_layer(folder: Path, tmp_path: Path) -> None:
    known = tmp_path / "models--google--roberta-large" / "snapshots" / "abc"
    known.mkdir(parents=True)
    for file in folder.iterdir():
        (known / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="no layer 17 for BERTScore; it has 1 to 3"):
        BertScorer.load(known)
    assert LAYERS["bert-base-multilingual-cased"] == 9
    with pytest.raises(InputError, match="knows no layer for a model of this name; give one of 1"):
        BertScorer.load(folder)


def test_a_model_must_be_at_hand(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model folder is given"):
        BertScorer.load(None)
    with pytest.raises(InputError, match="no such folder"):
        BertScorer.load(tmp_path / "bert-base-multilingual-cased")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        BertScorer.load(tmp_path / "empty", layer=1)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(tmp_path)
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="llama is no encoder such as BERT"):
        BertScorer.load(tmp_path, layer=1)
