"""LoRA beside the weights: each token of a batch through the adapter of its request, or none."""

from __future__ import annotations

import itertools
import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch
from peft import LoraConfig, PeftConfig
from peft.utils.other import get_pattern_key
from safetensors.torch import load_file
from transformers import PreTrainedModel

WEIGHTS = "adapter_model.safetensors"
# Options of peft's LoRA that change what is computed, beside the two matrices of each module.
REFUSED = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
)
# Initialisations that take a part out of the base's own weights.
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


@dataclass(frozen=True, eq=False)
class Adapter:
    """One LoRA in memory: per module A [rank, inputs] and B [outputs, rank], B already scaled.

    ``number``: counts from 1, each reading anew, so that what was computed is never taken for
    another's.
    """

    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]
    number: int = field(default_factory=itertools.count(1).__next__)


@dataclass(frozen=True)
class Rows:
    """Which rows of a pass go through which adapter: a slice, or int64 indices of rows."""

    tokens: list[tuple[Adapter, slice | torch.Tensor]]
    # The same of those rows alone that reach the projection to the vocabulary.
    projected: list[tuple[Adapter, slice | torch.Tensor]] = field(default_factory=list)


def read_adapter(folder: Path, model: PreTrainedModel) -> Adapter:
    """Read a peft LoRA from a folder, in the model's type and on its device.

    ``FileNotFoundError`` without adapter_config.json and adapter_model.safetensors; ``ValueError``
    for a kind of adapter other than LoRA, and for modules that the model does not have.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():  # peft would fall back to a pickle
        raise FileNotFoundError(f"no {weights}: an adapter is taken as safetensors only")
    if not (folder / "adapter_config.json").is_file():
        raise FileNotFoundError(f"no {folder / 'adapter_config.json'}")
    config = PeftConfig.from_pretrained(str(folder))
    _check(config, folder)
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(weights).items():
        match = TENSOR.fullmatch(name)
        if match is not None:
            sides.setdefault(match["module"], {})[match["side"]] = tensor
        elif not _is_of_base(name, tensor, model):
            raise ValueError(f"{folder}: {name} is not a LoRA of a linear module")
    pairs = {}
    for module, tensors in sides.items():
        if tensors.keys() != {"A", "B"}:
            raise ValueError(f"{folder}: {module} has only one of lora_A and lora_B")
        _check_fits(module, tensors["A"], tensors["B"], model, folder)
        scaled = tensors["B"].float() * _scale(config, module, len(tensors["A"]))
        place = {"dtype": model.dtype, "device": model.device}
        pairs[module] = (tensors["A"].to(**place), scaled.to(**place))
    return Adapter(pairs)


def _is_of_base(name: str, tensor: torch.Tensor, model: PreTrainedModel) -> bool:
    """Say whether a tensor is a copy of the base's own: peft saves an adapted head's with it."""
    name = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
    try:
        own = model.get_parameter(name)
    except AttributeError:
        return False
    same = own.shape == tensor.shape and torch.equal(tensor.to(own.device, own.dtype), own)
    return bool(same)


def _check(config: Any, folder: Path) -> None:
    if not isinstance(config, LoraConfig) or config.peft_type.value != "LORA":
        raise ValueError(f"{folder}: a {config.peft_type.value} adapter; only LORA is taken")
    used = [name for name in REFUSED if getattr(config, name, None)]
    if config.bias != "none":
        used.append("bias")
    if str(config.init_lora_weights).startswith(CHANGES_BASE):
        used.append("init_lora_weights")
    if used:
        raise ValueError(f"{folder}: a LoRA with {', '.join(used)} is not taken")


def _check_fits(
    name: str, a: torch.Tensor, b: torch.Tensor, model: PreTrainedModel, folder: Path
) -> None:
    try:
        module: Any = model.get_submodule(name)
    except AttributeError:
        raise ValueError(f"{folder}: the model has no module {name}") from None
    # Of transformers' Conv1D the weight stands the other way round; quantised ones have no shape.
    sizes = (getattr(module, "in_features", None), getattr(module, "out_features", None))
    if None in sizes and getattr(module, "weight", None) is not None:
        sizes = tuple(module.weight.shape)
    if sizes != (a.shape[1], b.shape[0]):
        raise ValueError(f"{folder}: {name} maps {sizes}, its LoRA {(a.shape[1], b.shape[0])}")


def _scale(config: LoraConfig, module: str, rank: int) -> float:
    patterns = config.alpha_pattern or {}
    alpha = patterns.get(get_pattern_key(patterns.keys(), module), config.lora_alpha)
    return float(alpha / (math.sqrt(rank) if config.use_rslora else rank))


class LoraModel:
    """Adds adapters to a model's linear modules, for the passes of the threads that ask for it.

    A module gets its hook when the first adapter that changes it comes; without adapters nothing
    is added to a pass.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._head = model.get_output_embeddings()
        self._hooked: set[str] = set()
        self._pass = threading.local()

    def take(self, folder: Path) -> Adapter:
        """Read an adapter, see ``read_adapter``, and add it; one thread at a time."""
        adapter = read_adapter(folder, self.model)
        self.add(adapter)
        return adapter

    def add(self, adapter: Adapter) -> None:
        """Prepare the modules that an adapter changes; one thread at a time."""
        for name in adapter.pairs.keys() - self._hooked:
            module = self.model.get_submodule(name)
            module.register_forward_hook(self._hook(name, module is self._head))
            self._hooked.add(name)

    @contextmanager
    def using(self, rows: Rows | None) -> Iterator[None]:
        """Within it, passes of this thread go through ``rows``; None: through no adapter."""
        self._pass.rows = rows
        try:
            yield
        finally:
            self._pass.rows = None

    def _hook(self, name: str, is_head: bool) -> Any:
        def add_adapters(_: Any, inputs: Any, output: torch.Tensor) -> None:
            rows: Rows | None = getattr(self._pass, "rows", None)
            if rows is not None:
                for adapter, where in rows.projected if is_head else rows.tokens:
                    if name in adapter.pairs:
                        _add(output, inputs[0], where, *adapter.pairs[name])

        return add_adapters


def _add(
    output: torch.Tensor,
    inputs: torch.Tensor,
    where: slice | torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
) -> None:
    """Add B A x, in place, to those rows of a linear module's output."""
    given, result = inputs.view(-1, inputs.shape[-1]), output.view(-1, output.shape[-1])
    added = ((given[where].to(a.dtype) @ a.T) @ b.T).to(result.dtype)
    if isinstance(where, slice):
        result[where] += added
    else:
        result.index_add_(0, where, added)


def group_rows(
    adapters: Sequence[Adapter | None], device: torch.device
) -> list[tuple[Adapter, slice | torch.Tensor]]:
    """Return for each adapter its rows, of the adapters of all rows in order (None: the base)."""
    numbers = {id(adapter): adapter for adapter in adapters if adapter is not None}
    of_row = numpy.fromiter(map(id, adapters), numpy.int64, len(adapters))
    groups: list[tuple[Adapter, slice | torch.Tensor]] = []
    for number, adapter in numbers.items():
        where = numpy.flatnonzero(of_row == number)
        if where[-1] - where[0] + 1 == len(where):
            groups.append((adapter, slice(int(where[0]), int(where[-1]) + 1)))
        else:
            groups.append((adapter, torch.from_numpy(where).to(device)))
    return groups
