"""A P-Tuning v2 prefix: keys and values that stand before every sequence, in every layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Prefix:
    """``keys[i]``, ``values[i]``: of layer i, [own heads, tokens, head size].

    It takes the first ``tokens`` positions; what is asked about begins behind it.
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]

    @property
    def tokens(self) -> int:
        return int(self.keys[0].shape[1])

    def before(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a layer's keys and values with its own in front.

        [..., own heads, keys, head size] each, of one sequence or of several.
        """
        many = keys.shape[:-3]
        return (
            torch.cat([self.keys[layer].expand(*many, -1, -1, -1), keys], -2),
            torch.cat([self.values[layer].expand(*many, -1, -1, -1), values], -2),
        )

    def seen(self, positions: torch.Tensor, window: int | None) -> torch.Tensor:
        """Return which of it tokens at ``positions`` see, the prefix counted: bool [tokens, P]."""
        distance = positions[:, None] - torch.arange(self.tokens, device=positions.device)
        return distance >= 0 if window is None else distance < window


@torch.inference_mode()
def read_prefix(folder: Path, model: PreTrainedModel) -> Prefix:
    """Read a prefix of peft in the model's type and on its device.

    ``FileNotFoundError`` where it is not in safetensors, ``ValueError`` where it is of another
    model.
    """
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():  # peft would fall back to a pickle
        raise FileNotFoundError(f"no {weights}: a prefix is taken as safetensors only")
    try:
        cache = PeftModel.from_pretrained(model, folder).get_prompt(1)
    except RuntimeError as error:
        raise ValueError(f"{folder}: a prefix of another model") from error
    layers = [
        (layer.keys[0].to(model.device, model.dtype), layer.values[0].to(model.device, model.dtype))
        for layer in cache.layers
    ]
    config = model.config.get_text_config()
    heads = config.num_key_value_heads or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if len(layers) != config.num_hidden_layers or layers[0][0].shape[::2] != (heads, size):
        raise ValueError(f"{folder}: a prefix of another model")
    return Prefix([key for key, _ in layers], [value for _, value in layers])
