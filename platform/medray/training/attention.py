"""Attention that ends at the borders of pieces, in rows that hold many of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from medray.errors import InputError
from medray.training.architecture import packs

NAME = "medray_pieces"

# What models hand down to their attention that changes nothing it computes.
WITHOUT_EFFECT = {"position_ids", "cache_position", "output_router_logits"}

# Per layer the keys and values that every piece sees before its own: [1, heads, length, head size].
Prefix = list[tuple[Any, Any]]


@dataclass(frozen=True)
class Pieces:
    """Where in a row its pieces lie: piece i is row[bounds[i]:bounds[i+1]].

    ``starts``: the same numbers as an int32 tensor on the row's device.
    """

    bounds: tuple[int, ...]
    starts: Any

    @property
    def longest(self) -> int:
        return max(end - first for first, end in pairwise(self.bounds))


def use_pieces(model: Any) -> bool:
    """Have a model attend within pieces; False where its architecture cannot.

    transformers lets a model's attention be replaced by name. A name that has no mask function
    gets no mask, so nothing is quadratic in the row's length. Architectures with an attention of
    their own (BLOOM), or with layers that run on over borders, are given padded batches instead.
    """
    from transformers import AttentionInterface

    if not packs(model):
        return False
    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)
    return True


@torch.compiler.disable  # pieces differ from row to row: a compiled layer calls this as it is
def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    pieces: Pieces | None = None,
    prefix: Prefix | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Return attention's output [1, row, heads, head size]; causal, within each piece.

    ``query``: [1, heads, row, head size]; ``key``, ``value`` likewise with their own heads.
    InputError where the model asks for more: a softcap, sinks, a mask of its own.
    """
    if pieces is None:
        raise RuntimeError("a model set up for packed rows was called without their pieces")
    others |= {"attention_mask": attention_mask, "is_causal=False": is_causal is False}
    if unknown := [name for name, value in others.items() if _changes(name, value)]:
        raise InputError(
            f"{type(module).__name__} cannot be trained on packed rows: its attention asks for "
            f"{', '.join(unknown)}"
        )
    own = prefix[module.layer_idx] if prefix else None
    # PyTorch's kernel for unequal pieces runs on CUDA in half precision, without dropout, on heads
    # of up to 256 that are alike: DeepSeek's values are narrower than its queries.
    alike = query.shape[-1] == value.shape[-1] <= 256
    if query.is_cuda and query.element_size() == 2 and dropout == 0.0 and alike:
        output = _by_kernel(query, key, value, pieces, own, scaling, sliding_window)
    else:
        output = _one_by_one(query, key, value, pieces, own, scaling, dropout, sliding_window)
    return output, None


def _changes(name: str, value: Any) -> bool:
    return value is not None and value is not False and name not in WITHOUT_EFFECT


def _by_kernel(
    query: Any,
    key: Any,
    value: Any,
    pieces: Pieces,
    prefix: tuple[Any, Any] | None,
    scaling: float | None,
    sliding_window: int | None,
) -> Any:
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
    starts, longest, added = pieces.starts, pieces.longest, 0
    if prefix is not None:
        added = prefix[0].shape[2]
        first = [states[0].transpose(0, 1).to(key.dtype) for states in prefix]
        sizes = [end - begin for begin, end in pairwise(pieces.bounds)]
        key, value = (
            torch.cat([part for piece in states.split(sizes) for part in (before, piece)])
            for before, states in zip(first, (key, value), strict=True)
        )
    key_starts = starts + added * torch.arange(len(starts), device=starts.device, dtype=torch.int32)
    output = varlen_attn(
        query,
        key,
        value,
        starts,
        key_starts,
        longest,
        longest + added,
        scale=scaling,
        # Causal, aligned to each piece's end: (keys before, keys after) that a token sees.
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return output[None]


def _one_by_one(
    query: Any,
    key: Any,
    value: Any,
    pieces: Pieces,
    prefix: tuple[Any, Any] | None,
    scaling: float | None,
    dropout: float,
    sliding_window: int | None,
) -> Any:
    from torch.nn.functional import scaled_dot_product_attention

    groups = query.shape[1] // key.shape[1]
    key, value = (states.repeat_interleave(groups, 1) for states in (key, value))
    if prefix is not None:
        before = [states.to(key.dtype).repeat_interleave(groups, 1) for states in prefix]
    outputs = []
    for first, end in pairwise(pieces.bounds):
        keys, values = key[:, :, first:end], value[:, :, first:end]
        if prefix is not None:
            keys = torch.cat([before[0], keys], 2)
            values = torch.cat([before[1], values], 2)
        mask = _mask(end - first, keys.shape[2], sliding_window, query.device)
        output = scaled_dot_product_attention(
            query[:, :, first:end],
            keys,
            values,
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=mask is None,
            scale=scaling,
        )
        outputs.append(output.transpose(1, 2))
    return torch.cat(outputs, 1)


def _mask(length: int, keys: int, sliding_window: int | None, device: Any) -> Any:
    """Return which keys each token sees, bool [length, keys]; None where plain causal says it."""
    if keys == length and (sliding_window is None or sliding_window >= keys):
        return None
    here = torch.arange(keys - length, keys, device=device)[:, None]
    there = torch.arange(keys, device=device)[None]
    seen = there <= here
    return seen if sliding_window is None else seen & (there > here - sliding_window)
