"""Making a small Llama from sizes, with random weights from a seed."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from medray.recipe import Config


class NewModelConfig(Config):
    """Sizes of a Llama that is made from nothing."""

    hidden_size: int = Field(default=256, ge=16, description="width of the residual stream")
    layers: int = Field(default=4, ge=1)
    attention_heads: int = Field(default=4, ge=1)
    key_value_heads: int = Field(default=4, ge=1)
    feed_forward_size: int = Field(default=768, ge=16, description="width inside the MLP")
    maximum_positions: int = Field(default=4096, ge=16, description="longest sequence, tokens")

    @model_validator(mode="after")
    def _heads_divide(self) -> NewModelConfig:
        if self.hidden_size % self.attention_heads:
            raise ValueError("attention_heads must divide hidden_size")
        if self.attention_heads % self.key_value_heads:
            raise ValueError("key_value_heads must divide attention_heads")
        return self


def make_model(config: NewModelConfig, tokenizer: Any, seed: int) -> Any:
    """Return a ``LlamaForCausalLM`` in fp32; equal seeds give equal weights on every worker."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.attention_heads,
            num_key_value_heads=config.key_value_heads,
            intermediate_size=config.feed_forward_size,
            max_position_embeddings=config.maximum_positions,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
