"""Whether an architecture's mathematics stay right in a row of many pieces."""

from __future__ import annotations

import inspect
from typing import Any

from medray.training.methods import decoder_layers

# Attention to all that came before, to the nearest of it, or to what is in the same stretch of
# the sequence (Llama 4). Convolutions and states are none.
KINDS = {"full_attention", "sliding_attention", "chunked_attention"}


def packs(model: Any) -> bool:
    """Return whether all that passes between tokens is an attention that can be told of pieces.

    ``model``: of transformers, without peft's coat. False in doubt: a padded batch is always
    right, only slower.
    """
    # Neither flag is enough: hybrids set both for those of their layers that do attend.
    # Softcaps (Gemma 2) and sinks (gpt-oss) go without the first.
    if not getattr(model, "_supports_sdpa", False) or not getattr(
        model, "_supports_attention_backend", False
    ):
        return False
    config = model.config.get_text_config()
    if not attends_only(model) or "chunked_attention" in kinds_of(config):
        return False
    windowed = has_window(config)
    return all(_layer_packs(layer, windowed) for layer in decoder_layers(model))


def attends_only(model: Any) -> bool:
    """Return whether attention is all that carries anything from one token to another."""
    kinds = kinds_of(model.config.get_text_config())
    return not getattr(model, "_is_stateful", False) and kinds <= KINDS


def kinds_of(config: Any) -> set[str]:
    """Return how a text model's layers mix tokens, by transformers' names."""
    return set(getattr(config, "layer_types", None) or ["full_attention"])


def has_window(config: Any) -> bool:
    """Return whether some layers may see the nearest tokens only."""
    kinds = getattr(config, "layer_types", None)
    return getattr(config, "sliding_window", None) is not None and (
        kinds is None or "sliding_attention" in kinds
    )


def _layer_packs(layer: Any, windowed: bool) -> bool:
    # transformers marks its attentions so; what else a layer holds works token by token.
    attentions = [module for module in layer.modules() if hasattr(module, "is_causal")]
    if len(attentions) != 1 or not attentions[0].is_causal:
        return False
    # A layer may swallow what it is given for its attention (Nemotron): it must name it twice.
    if _source(layer).count("**kwargs") < 2:
        return False
    # A window that stands in the mask alone (Phi-MoE, Qwen2-MoE) would be lost with the mask.
    return not windowed or "sliding_window" in _source(attentions[0])


def _source(module: Any) -> str:
    """Return the text of a module's forward pass; empty where there is none to read."""
    try:
        return inspect.getsource(type(module).forward)
    except (OSError, TypeError):
        return ""
