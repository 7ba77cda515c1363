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


def _of(family: str, kind: str = "Config", **changed: Any) -> Callable[[], Any]:
    config = getattr(transformers, f"{family}{kind}")
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

# Each with whether it can be given packed rows. Windows are of 4 tokens, experts are 4.
EXPERTS = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
ALTERNATING = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
OTHERS: dict[str, tuple[Callable[[], Any], bool]] = {
    "mixtral": (_of("Mixtral", **EXPERTS, sliding_window=4), True),
    "qwen3_moe": (_of("Qwen3Moe", **EXPERTS, head_dim=8), True),
    "qwen2_moe": (_of("Qwen2Moe", **EXPERTS), True),
    "gemma3": (_of("Gemma3", "TextConfig", head_dim=8, sliding_window=4, **ALTERNATING), True),
    "gpt2": (
        lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=VOCABULARY, n_positions=128, n_embd=32, n_layer=3, n_head=4
            )
        ),
        True,
    ),
    "all attention lfm2": (_of("Lfm2", layer_types=["full_attention"] * 3), True),
    # Convolutions and states run over the whole row.
    "lfm2": (_of("Lfm2", layer_types=["conv", "full_attention", "conv"]), False),
    "granitemoehybrid": (
        _of(
            "GraniteMoeHybrid",
            num_local_experts=4,
            num_experts_per_tok=2,
            shared_intermediate_size=16,
            mamba_n_heads=4,
            mamba_d_head=16,
            mamba_d_state=8,
            layer_types=["linear_attention", "full_attention", "linear_attention"],
        ),
        False,
    ),
    # The chunks, or the window, stand in the mask alone.
    "llama4": (
        _of(
            "Llama4",
            "TextConfig",
            num_local_experts=4,
            intermediate_size_mlp=48,
            head_dim=8,
            attention_chunk_size=4,
            layer_types=["chunked_attention", "full_attention", "chunked_attention"],
        ),
        False,
    ),
    "phimoe": (_of("Phimoe", **EXPERTS, sliding_window=4), False),
    "windowed qwen2_moe": (
        _of(
            "Qwen2Moe",
            **EXPERTS,
            use_sliding_window=True,
            sliding_window=4,
            **ALTERNATING,
        ),
        False,
    ),
    # Softcaps and sinks.
    "gemma2": (_of("Gemma2", head_dim=8, sliding_window=4, **ALTERNATING), False),
    "gpt_oss": (_of("GptOss", **EXPERTS, head_dim=8, sliding_window=4, **ALTERNATING), False),
    # Its layers do not pass on what its attention should be told.
    "nemotron": (_of("Nemotron"), False),
    # Sees what follows.
    "bert": (
        lambda: transformers.BertLMHeadModel(
            transformers.BertConfig(
                vocab_size=VOCABULARY,
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=3,
                num_attention_heads=4,
            )
        ),
        False,
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
    return (FAMILIES[family] if family in FAMILIES else OTHERS[family][0])()


def examples(seed: int = 5, lengths: tuple[int, ...] = (5, 9, 12, 7, 16, 3, 11, 8)) -> Sequences:
    """Return examples whose first two tokens are a prompt without labels."""
    draw = np.random.default_rng(seed)
    made = []
    for number, length in enumerate(lengths):
        tokens = draw.integers(3, VOCABULARY, length).tolist()
        labels = [IGNORED] * 2 + tokens[2:]
        made.append(Example(tokens, labels, "en" if number % 2 else "zh", f"example {number}"))
    return Sequences.of(made)
