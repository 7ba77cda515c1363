from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM

from medray.errors import InputError
from medray.training.methods import (
    Freeze,
    Full,
    Lora,
    Prefix,
    apply_method,
    decoder_layers,
    lora_targets,
)
from medray.training.objective import Objective

from .architectures import FAMILIES, SIZES, examples, make


def trained(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_method_trains_what_it_says(family: str) -> None:
    every = set(dict(make(family).named_parameters()))
    assert trained(apply_method(make(family), Full())) == every
    lora = trained(apply_method(make(family), Lora(rank=2)))
    assert lora and all("lora_" in name for name in lora)
    prefix = trained(apply_method(make(family), Prefix(length=3)))
    assert prefix == {"prompt_encoder.default.embedding.weight"}
    frozen = apply_method(make(family), Freeze(trained_layers=2))
    last = {id(p) for layer in list(decoder_layers(frozen))[1:] for p in layer.parameters()}
    assert {id(p) for p in frozen.parameters() if p.requires_grad} == last


@pytest.mark.parametrize(
    ("family", "targets"),
    [
        ("llama", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        ("glm4", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"}),
        ("bloom", {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}),
    ],
)
def test_lora_finds_its_targets_and_not_the_head(family: str, targets: set[str]) -> None:
    assert set(lora_targets(make(family))) == targets


def test_the_last_layers_are_known_by_number_not_by_name() -> None:
    """ "layers.2" as text stands in layers.20 to layers.29 too."""
    model = LlamaForCausalLM(LlamaConfig(**(SIZES | {"num_hidden_layers": 25})))
    names = trained(apply_method(model, Freeze(trained_layers=5)))
    assert {int(name.split(".")[2]) for name in names} == {20, 21, 22, 23, 24}


def test_what_a_model_cannot_do_is_told() -> None:
    with pytest.raises(InputError, match="trained_layers: 4, but the model has 3"):
        apply_method(make("llama"), Freeze(trained_layers=4))
    with pytest.raises(InputError, match=r"no linear module wqkv; there are .*q_proj"):
        apply_method(make("llama"), Lora(targets=["wqkv"]))


@pytest.mark.parametrize("adapter", [Lora(rank=2), Prefix(length=3)])
@pytest.mark.parametrize("method", [Full(), Freeze(trained_layers=1)])
def test_weights_are_trained_again_below_an_adapter(
    adapter: Lora | Prefix, method: Full | Freeze
) -> None:
    """Peft freezes them, and merging LoRA thaws none."""
    plain = make("llama")
    names = set(dict(plain.named_parameters()))
    last = {name for name in names if ".layers.2." in name}
    coated = apply_method(plain, adapter)
    if isinstance(adapter, Lora):
        coated = coated.merge_and_unload()
    else:
        coated.requires_grad_(False)
    found = {name.removeprefix("base_model.") for name in trained(apply_method(coated, method))}
    assert found == (names if isinstance(method, Full) else last)


@pytest.mark.parametrize(
    "method", [Lora(rank=2, dropout=0.0), Prefix(length=3), Prefix(length=3, projection_size=4)]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_peft_loads_an_adapter_and_gives_the_same_losses(
    family: str, method: Lora | Prefix, tmp_path: Path
) -> None:
    """What was computed on packed rows is what a reader of the folder computes by itself."""
    model = apply_method(make(family), method)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    sequences = examples()
    objective = Objective(model, False).eval()
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(make(family), str(tmp_path)).eval()
    with torch.inference_mode():
        found = objective(objective.collate(sequences, [2, 6]), each=True)
        expected = []
        for number in (2, 6):
            part = slice(sequences.offsets[number], sequences.offsets[number + 1])
            tokens = torch.from_numpy(sequences.tokens[part]).long()[None]
            labels = torch.from_numpy(sequences.labels[part]).long()
            logits = loaded(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0]
            expected.append(
                torch.nn.functional.cross_entropy(logits[1:-1], labels[2:], reduction="none")
            )
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)
    assert not math.isclose(found.mean().item(), math.log(64), abs_tol=1e-3)
