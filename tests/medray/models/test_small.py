from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.errors import InputError
from medray.models.folder import load_model, save_model
from medray.models.small import NewModelConfig, make_model

CONFIG = NewModelConfig(
    hidden_size=32,
    layers=2,
    attention_heads=4,
    key_value_heads=2,
    feed_forward_size=48,
    maximum_positions=64,
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(iter(["a heart beats", "心臓"]), 300)


def equal(one: Any, other: Any) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_a_model_has_the_sizes_that_were_asked_for(tokenizer: Any) -> None:
    model = make_model(CONFIG, tokenizer, seed=1)
    config = model.config
    assert config.vocab_size == len(tokenizer)
    assert (config.hidden_size, config.num_hidden_layers) == (32, 2)
    assert (config.num_attention_heads, config.num_key_value_heads) == (4, 2)
    assert (config.intermediate_size, config.max_position_embeddings) == (48, 64)
    assert config.eos_token_id == tokenizer.eos_token_id
    assert config.pad_token_id == tokenizer.pad_token_id
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    # 300 x 32 embeddings (tied), per layer 32x32 q, 2 x 32x16 k v, 32x32 o, 3 x 32x48 MLP, 2 x 32
    # norms, and the last norm.
    layer = 1024 + 2 * 512 + 1024 + 3 * 1536 + 64
    assert model.num_parameters() == len(tokenizer) * 32 + 2 * layer + 32


def test_equal_seeds_give_equal_weights(tokenizer: Any) -> None:
    first = make_model(CONFIG, tokenizer, seed=1)
    torch.rand(3)
    assert equal(make_model(CONFIG, tokenizer, seed=1), first)
    assert not equal(make_model(CONFIG, tokenizer, seed=2), first)


def test_a_new_model_guesses_evenly(tokenizer: Any) -> None:
    ids = torch.arange(64).reshape(2, 32)
    with torch.inference_mode():
        loss = make_model(CONFIG, tokenizer, seed=1)(input_ids=ids, labels=ids).loss
    assert loss.item() == pytest.approx(math.log(len(tokenizer)), abs=0.3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 100, "attention_heads": 3}, "attention_heads must divide hidden_size"),
        ({"key_value_heads": 3}, "key_value_heads must divide attention_heads"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"hiden_size": 64}, "Extra inputs are not permitted"),
    ],
)
def test_sizes_that_do_not_fit_are_told(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NewModelConfig.model_validate(fields)


def test_a_saved_model_is_loaded_the_same(tokenizer: Any, tmp_path: Path) -> None:
    model = make_model(CONFIG, tokenizer, seed=1)
    save_model(model, model.state_dict(), tokenizer, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    loaded = load_model(tmp_path)
    assert equal(loaded, model)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json there"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match="no model that can be loaded") as raised:
        load_model(tmp_path)
    assert "\n" not in str(raised.value)


def test_weights_as_pickle_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model = make_model(CONFIG, tokenizer, seed=1)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="no model that can be loaded"):
        load_model(tmp_path)


def test_an_adapter_is_merged_in(tokenizer: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    model = make_model(CONFIG, tokenizer, seed=1)
    save_model(model, model.state_dict(), tokenizer, base)
    settings = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    adapted = get_peft_model(load_model(base), settings).eval()
    save_model(adapted, adapted.state_dict(), tokenizer, adapter)
    assert "adapter_model.safetensors" in {path.name for path in adapter.iterdir()}
    ids = torch.arange(16).reshape(1, 16)
    with torch.inference_mode():
        expected = adapted(input_ids=ids).logits
        merged = load_model(base, adapter)(input_ids=ids).logits
        plain = load_model(base)(input_ids=ids).logits
    assert torch.allclose(merged, expected, atol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)
    with pytest.raises(InputError, match=r"no adapter_config\.json there"):
        load_model(base, base)
