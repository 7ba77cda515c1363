"""Small LoRA adapters of the small model: in folders, and merged into its weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from serving.engine import BASE

if TYPE_CHECKING:
    from conftest import Small

# What every engine can take.
LORAS: dict[str, dict[str, Any]] = {
    "attention": {"r": 4, "target_modules": ["q_proj", "v_proj"]},
    "everything": {"r": 2, "lora_alpha": 3, "target_modules": "all-linear"},
    "patterns": {
        "r": 3,
        "lora_alpha": 5,
        "use_rslora": True,
        "target_modules": ["k_proj", "down_proj"],
        "rank_pattern": {"down_proj": 6},
        "alpha_pattern": {"layers.1.self_attn.k_proj": 9},
    },
}


def save_loras(small: Small, folder: Path, loras: dict[str, dict[str, Any]]) -> None:
    """Save each as a folder of its name, beside one that holds none."""
    for seed, (name, options) in enumerate(loras.items()):
        save_lora(small, folder / name, seed, **options)
    (folder / "no-adapter").mkdir()


def save_lora(small: Small, folder: Path, seed: int, **options: Any) -> None:
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32")
    get_peft_model(model, LoraConfig(init_lora_weights=False, **options)).save_pretrained(folder)


def merged_model(small: Small, folder: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32")
    return PeftModel.from_pretrained(model, folder).merge_and_unload().eval()


def merged_models(small: Small, folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """The model with each adapter merged into its weights; the base under its own name."""
    return {BASE: small.model} | {name: merged_model(small, folder / name) for name in names}
