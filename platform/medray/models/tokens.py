"""Adding tokens to a model that exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def add_tokens(model: Any, tokenizer: Any, added: Sequence[str]) -> int:
    """Add special tokens to a tokenizer and rows for them to the embeddings; return how many.

    A new row is the mean of the old ones, in the vocabulary's projection too: AlpaCare's (and
    Alpaca's) start, from which a new token is as likely as tokens are on the whole.
    """
    import torch

    known = len(tokenizer)
    tokenizer.add_tokens(list(added), special_tokens=True)
    # A model may have more rows than tokens, which nobody trained: the new tokens take those first.
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
            embedding.weight[known : len(tokenizer)] = embedding.weight[:known].mean(0)
    return len(tokenizer) - known
