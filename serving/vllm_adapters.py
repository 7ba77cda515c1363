"""LoRA folders in the one form that vLLM reads as peft means it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from serving.lora import WEIGHTS, Adapter, read_adapter

INDEX = "model.safetensors.index.json"
# vLLM keeps room for adapters of one of these ranks.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class FolderModel:
    """A model as far as an adapter has to fit it: modules without weights, parameters on demand.

    Raises ``OSError`` and ``ValueError`` where transformers cannot build the model of the folder.
    """

    dtype = torch.float32  # in which an adapter is scaled
    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            self._modules = AutoModelForCausalLM.from_config(config)
        self._files = _files_of_tensors(folder)
        head = self._modules.get_output_embeddings()
        named = list(self._modules.named_modules())
        self.head = next(name for name, module in named if module is head)
        # The names, within their parents, of the modules that an adapter may change.
        self.targets = sorted(
            {
                name.rpartition(".")[2]
                for name, module in named
                if isinstance(module, nn.Linear) and name != self.head
            }
        )

    def get_submodule(self, name: str) -> nn.Module:
        """``AttributeError`` for a module that the model does not have."""
        module: nn.Module = self._modules.get_submodule(name)
        return module

    def get_parameter(self, name: str) -> torch.Tensor:
        """Read a parameter of the folder; ``AttributeError`` for one that has no file there."""
        own = self._modules.get_parameter(name)
        every = self._modules.named_parameters(remove_duplicate=False)
        tied = [other for other, weight in every if weight is own]
        saved = next((other for other in (name, *tied) if other in self._files), None)
        if saved is None:
            raise AttributeError(f"no file holds {name}")
        with safe_open(self._files[saved], framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(saved)
        return tensor


def _files_of_tensors(folder: Path) -> dict[str, Path]:
    index = folder / INDEX
    if index.is_file():
        parts = json.loads(index.read_text("utf-8"))["weight_map"]
        return {name: folder / part for name, part in parts.items()}
    whole = folder / "model.safetensors"
    with safe_open(whole, framework="pt") as file:
        return dict.fromkeys(file.keys(), whole)


class PlainLoras:
    """Writes adapters anew, each module's scale already in its weights.

    vLLM reads one rank and one alpha for all modules, so rank and alpha patterns would be computed
    wrongly, in silence. ``most_rank``: of one module; vLLM has no room for more. ``targets``: the
    modules that vLLM is to keep room for. The head is none of them: vLLM 0.29 takes the adapters
    of the rows that it samples for those of the rows that it scores.
    """

    def __init__(self, model: Path, where: Path, most_rank: int) -> None:
        self._model = FolderModel(model)
        self.targets = self._model.targets
        self._where = where
        self._most_rank = most_rank
        self._numbers = itertools.count(1)

    def write(self, folder: Path) -> tuple[int, Path]:
        """Return the number of an adapter, each writing another, and its folder in the plain form.

        Raises as ``read_adapter`` does, and ``ValueError`` for too large a rank and for one of
        the head.
        """
        model: Any = self._model
        adapter = read_adapter(folder, model)
        if self._model.head in adapter.pairs:
            raise ValueError(
                f"{folder}: a LoRA of {self._model.head} is not taken by the engine vllm; the "
                "engine transformers takes it"
            )
        rank = max(len(a) for a, _ in adapter.pairs.values())
        if rank > self._most_rank:
            raise ValueError(
                f"{folder}: a LoRA of rank {rank}; there is room for {self._most_rank}: "
                "say a larger max_adapter_rank"
            )
        number = next(self._numbers)
        plain = self._where / f"adapter-{number}"
        plain.mkdir()
        save_file(_tensors(adapter), plain / WEIGHTS)
        about = {
            "peft_type": "LORA",
            "r": rank,
            "lora_alpha": rank,
            "target_modules": sorted({name.rpartition(".")[2] for name in adapter.pairs}),
            "bias": "none",
        }
        (plain / "adapter_config.json").write_text(json.dumps(about), "utf-8")
        return number, plain


def _tensors(adapter: Adapter) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, (a, b) in adapter.pairs.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a.contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = b.contiguous()
    return tensors


def rank_with_room(rank: int) -> int:
    """Return the smallest rank that vLLM knows and that holds adapters of ``rank``."""
    return next(known for known in RANKS if known >= rank)
