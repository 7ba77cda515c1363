"""Small random models of the families that training must take, and examples for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers

from medray.training.methods import Freeze, Full, Lora, Method, Prefix
from medray.training.sequences import IGNORED, Example, Sequences

VOCABULARY = 64
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def _of(family: str, **changed: Any) -> Callable[[], Any]:
    config = getattr(transformers, f"{family}Config")
    return lambda: getattr(transformers, f"{family}ForCausalLM")(config(**(SIZES | changed)))


FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": _of("Llama", tie_word_embeddings=True),
    "qwen2": _of("Qwen2"),
    "qwen3": _of("Qwen3", head_dim=16),
    "mistral": _of("Mistral", sliding_window=6),
    "glm": _of("Glm", head_dim=8),
    "glm4": _of("Glm4", head_dim=8),
    "bloom": lambda: transformers.BloomForCausalLM(
        transformers.BloomConfig(
            vocab_size=VOCABULARY, hidden_size=32, n_layer=3, n_head=4, pad_token_id=0
        )
    ),
}

METHODS: dict[str, Method] = {
    "full": Full(),
    "lora": Lora(rank=4, dropout=0.0),
    "prefix": Prefix(length=5),
    "projected prefix": Prefix(length=5, projection_size=8),
    "freeze": Freeze(trained_layers=1),
}


def make(family: str, seed: int = 0) -> Any:
    """Return a model of a family, in fp32, with the weights of a seed."""
    torch.manual_seed(seed)
    return FAMILIES[family]()


def examples(seed: int = 5, lengths: tuple[int, ...] = (5, 9, 12, 7, 16, 3, 11, 8)) -> Sequences:
    """Return examples whose first two tokens are a prompt without labels."""
    draw = np.random.default_rng(seed)
    made = []
    for number, length in enumerate(lengths):
        tokens = draw.integers(3, VOCABULARY, length).tolist()
        labels = [IGNORED] * 2 + tokens[2:]
        made.append(Example(tokens, labels, "en" if number % 2 else "zh", f"example {number}"))
    return Sequences.of(made)
