"""What of a model is trained: all of it, low-rank updates, a prefix, or its last layers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from medray.errors import InputError
from medray.recipe import Config


class Full(Config):
    """Every weight."""

    kind: Literal["full"] = "full"

    def __str__(self) -> str:
        return "all weights"


class Lora(Config):
    """Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685).

    MMedLM trains rank 16, dropout 0.05 (its alpha is undefined), BenTsao rank 8, alpha 16.
    """

    kind: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0, description="the update is scaled by alpha / rank")
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: list[str] | None = Field(
        default=None,
        min_length=1,
        description="names of linear modules; none: every linear one of the decoder's layers",
    )

    def __str__(self) -> str:
        return f"LoRA of rank {self.rank}"


class Prefix(Config):
    """P-Tuning v2 (Liu et al. 2021, arXiv 2110.07602): trained keys and values in every layer.

    Length 128, without a projection, is what ChatGLM-6B's script trains.
    """

    kind: Literal["prefix"] = "prefix"
    length: int = Field(default=128, ge=1, description="virtual tokens before every piece")
    projection_size: int = Field(
        default=0, ge=0, description="width of an MLP that makes the prefix; 0: no MLP"
    )

    def __str__(self) -> str:
        return f"P-Tuning v2 with {self.length} virtual tokens"


class Freeze(Config):
    """Only the last layers. MedGLM.H trains the last 5 of 28."""

    kind: Literal["freeze"] = "freeze"
    trained_layers: int = Field(default=5, ge=1, description="so many decoder layers at the end")

    def __str__(self) -> str:
        return f"the last {self.trained_layers} layers"


Method = Annotated[Full | Lora | Prefix | Freeze, Field(discriminator="kind")]


def apply_method(model: Any, method: Full | Lora | Prefix | Freeze) -> Any:
    """Return the model so that only what the method trains wants gradients.

    LoRA and a prefix come back in peft's coat. InputError where the model has not what it takes.
    """
    if isinstance(method, Full):
        # peft froze the weights below an adapter, which merging it does not undo.
        base = model.get_base_model() if hasattr(model, "peft_config") else model
        base.requires_grad_(True)
        return model
    if isinstance(method, Freeze):
        return _freeze(model, method.trained_layers)
    return _with_lora(model, method) if isinstance(method, Lora) else _with_prefix(model, method)


def decoder_layers(model: Any) -> Any:
    """Return the model's decoder layers, a ModuleList in order.

    Known by their number, not by a name: "layers.2" as text would find layers.20 as well.
    """
    import torch

    count = model.config.get_text_config().num_hidden_layers
    found = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    ]
    if len(found) != 1:
        raise InputError(f"{type(model).__name__}: found {len(found)} lists of {count} layers")
    return found[0]


def prefix_length(model: Any) -> int:
    """Return how many virtual tokens stand before every piece, trained here or before."""
    if not hasattr(model, "peft_config") or not model.active_peft_config.is_prompt_learning:
        return 0
    return int(model.active_peft_config.num_virtual_tokens)


def _freeze(model: Any, trained_layers: int) -> Any:
    layers = decoder_layers(model)
    if trained_layers > len(layers):
        raise InputError(
            f"method.trained_layers: {trained_layers}, but the model has {len(layers)}"
        )
    model.requires_grad_(False)
    for layer in layers[len(layers) - trained_layers :]:
        layer.requires_grad_(True)
    return model


def lora_targets(model: Any) -> list[str]:
    """Return the names of the linear modules in the decoder's layers: the head has none."""
    import torch

    names = {
        name.rpartition(".")[2]
        for layer in decoder_layers(model)
        for name, module in layer.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    if not names:
        raise InputError(f"{type(model).__name__}: no linear module in its layers for LoRA")
    return sorted(names)


def _with_lora(model: Any, method: Lora) -> Any:
    from peft import LoraConfig, get_peft_model

    known = lora_targets(model)
    targets = known if method.targets is None else method.targets
    for name in targets:
        if name not in known:
            raise InputError(
                f"method.targets: no linear module {name}; there are {', '.join(known)}"
            )
    settings = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)


def _with_prefix(model: Any, method: Prefix) -> Any:
    from peft import PrefixTuningConfig, get_peft_model

    config = model.config.get_text_config()
    heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    settings = PrefixTuningConfig(
        num_virtual_tokens=method.length,
        # peft parts these among the heads of keys and values itself.
        num_attention_heads=heads,
        token_dim=heads * head_size,
        num_layers=config.num_hidden_layers,
        prefix_projection=method.projection_size > 0,
        encoder_hidden_size=method.projection_size or None,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)
