"""Models from elsewhere: added tokens, merged adapters, fewer bits, the hub's cache, the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.errors import InputError
from medray.models.card import ModelCard
from medray.models.folder import load_model, save_model
from medray.models.quantise import Bits, quantised
from medray.models.small import NewModelConfig, make_model
from medray.models.source import ModelConfig, Source, SourceConfig
from medray.models.tokens import add_tokens

SIZES = NewModelConfig(
    hidden_size=128, layers=2, attention_heads=4, key_value_heads=2, feed_forward_size=256
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(iter(["a heart beats", "心臓"]), 300)


@pytest.fixture
def folder(tokenizer: Any, tmp_path: Path) -> Path:
    model = make_model(SIZES, tokenizer, 1)
    save_model(model, model.state_dict(), tokenizer, tmp_path / "model")
    return tmp_path / "model"


def logits(model: Any, tokens: int = 20) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.arange(tokens)[None]).logits.float()
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_added_tokens_begin_as_the_mean_and_change_no_other(folder: Path, tied: bool) -> None:
    source = Source(str(folder))
    model, tokenizer = source.model(), source.tokenizer()
    if not tied:
        model.config.tie_word_embeddings = False
        head = torch.nn.Linear(128, len(tokenizer), bias=False)
        model.set_output_embeddings(head)
    known, before = len(tokenizer), logits(model)
    mean = model.get_output_embeddings().weight[:known].mean(0)
    assert add_tokens(model, tokenizer, ["<case>", "</case>"]) == 2
    assert model.config.vocab_size == len(tokenizer) == known + 2
    assert tokenizer.encode("<case>", add_special_tokens=False) == [known]
    for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
        assert embedding.weight.shape[0] == known + 2
    assert torch.allclose(model.get_output_embeddings().weight[known:], mean.expand(2, -1))
    assert torch.allclose(logits(model)[..., :known], before, atol=1e-5)


def test_rows_that_no_token_had_are_used_first(folder: Path) -> None:
    source = Source(str(folder))
    model, tokenizer = source.model(), source.tokenizer()
    model.resize_token_embeddings(len(tokenizer) + 5, mean_resizing=False)
    rows = model.config.vocab_size
    known = len(tokenizer)
    assert add_tokens(model, tokenizer, ["<a>", "<b>"]) == 2
    assert model.config.vocab_size == rows
    weight = model.get_input_embeddings().weight
    assert torch.allclose(weight[known : known + 2], weight[:known].mean(0).expand(2, -1))


@pytest.mark.parametrize(("bits", "share", "error"), [("int8", 0.6, 0.05), ("nf4", 0.45, 0.4)])
def test_a_quantised_folder_is_smaller_and_loads_as_it_was(
    folder: Path, tmp_path: Path, bits: Bits, share: float, error: float
) -> None:
    pytest.importorskip("bitsandbytes")
    whole = load_model(folder).bfloat16()
    whole.save_pretrained(tmp_path / "bf16")
    small = quantised(folder, bits)
    small.save_pretrained(tmp_path / "small")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.bfloat16)
    assert torch.equal(logits(loaded), logits(small))
    assert (logits(loaded) - logits(whole)).abs().max() < error

    def layer_bytes(path: Path) -> int:
        # The embeddings, which stay as they are, are a third of so small a model.
        file = path / "model.safetensors"
        return file.stat().st_size - whole.get_input_embeddings().weight.numel() * 2

    assert layer_bytes(tmp_path / "small") < share * layer_bytes(tmp_path / "bf16")
    with pytest.raises(InputError, match="its weights are quantised; name the model"):
        Source(str(tmp_path / "small")).model()
    assert [f.suffix for f in (tmp_path / "small").iterdir() if f.suffix in (".bin", ".pt")] == []


def test_a_model_comes_from_the_hubs_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out as huggingface_hub does; nothing is downloaded."""
    home = tmp_path / "hub" / "models--lab--heart"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    (home / "snapshots").mkdir()
    folder.rename(home / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source = Source("lab/heart", "main")
    expected = load_model(home / "snapshots" / commit)
    assert source.model().num_parameters() == expected.num_parameters()
    assert len(source.tokenizer()) == expected.config.vocab_size
    with pytest.raises(InputError, match="hub lab/lungs at main: cannot be loaded"):
        Source("lab/lungs", "main").model()


def test_a_model_has_one_source() -> None:
    with pytest.raises(ValidationError, match="folder and hub are both given"):
        SourceConfig(folder="x", hub="a/b")
    assert ModelConfig().named == []


def test_the_card_tells_what_a_model_was_made_from(tmp_path: Path) -> None:
    card = ModelCard(
        stage="finetune",
        recipe="demo",
        fingerprint="abc123",
        inputs={"model": "f00d", "questions.0.files": "beef"},
        config={"job": "finetune", "training": {"steps": 3}},
        base="org/base",
        library="peft",
        languages=("en", "zh"),
        results={"loss": 1.5},
    )
    card.write(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["base_model"] == "org/base"
    assert (told["language"], told["library_name"]) == (["en", "zh"], "peft")
    for part in ("`abc123`", "| questions.0.files | `beef` |", "| loss | 1.5 |", "steps: 3"):
        assert part in body
    assert "torch 2." in body
    assert json.dumps(told)
