"""Attention whose shape is decided for each pass: a layout says which token sees which."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from serving.packing import Row, Unit, units
from serving.prefix import Prefix

NAME = "medray_serving"

# What one more call of attention costs, in multiply-adds of its matrix products: 10 us at 20 G/s on
# one core; 20 us of launches at 20 T/s on a GPU.
CALL_OPERATIONS = {"cpu": 2e5, "cuda": 4e8}

# Arguments by which some architectures change the scores; no layout knows them.
UNKNOWN = ("softcap", "s_aux", "position_bias")


class Layout(Protocol):
    """Which token sees which in one pass, and how to compute it."""

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """Return attention's output [1, tokens, heads, head size].

        ``query``: [1, heads, tokens, head size]; ``key``, ``value`` likewise with their own heads.
        ``window``: a token sees no further back than this many, itself included.
        """


def use_layouts(model: PreTrainedModel) -> bool:
    """Have a model ask the ``layout`` of each pass; False where its architecture cannot.

    transformers lets a model's attention be replaced by name, and gives a name without a mask
    function no mask. Architectures with an attention of their own (BLOOM) do not ask for the name.
    """
    if not (model._supports_sdpa and model._supports_attention_backend):
        return False
    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)
    return True


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    layout: Layout | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Let the pass's layout compute attention: the function that models call by ``NAME``."""
    if layout is None:
        raise RuntimeError("a model set up for layouts was called without one")
    if any(others.get(name) is not None for name in UNKNOWN):
        raise ValueError(f"{type(module).__name__}: scores changed by one of {UNKNOWN}")
    return layout.attend(module.layer_idx, query, key, value, scaling, sliding_window), None


def additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return 0 where ``seen`` and minus infinity elsewhere: once a pass, not once a layer."""
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~seen, -torch.inf)


def grouped_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    seen: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """Return [heads, queries, head size] of one sequence.

    ``query``: [heads, queries, head size]; ``key``, ``value``: [own heads, keys, head size]. Heads
    that share keys see them as a view, not as copies. ``seen``: added to the scores, [queries,
    keys]; None: plain causal.
    """
    own, groups = len(key), len(query) // len(key)
    output = scaled_dot_product_attention(
        query.view(own, groups, *query.shape[1:]),
        key[:, None].expand(-1, groups, -1, -1),
        value[:, None].expand(-1, groups, -1, -1),
        attn_mask=seen,
        is_causal=seen is None,
        scale=scaling,
    )
    return output.reshape(len(query), query.shape[1], -1)


class TreeLayout:
    """The layout of packed sequences that stand as a tree in one row (``serving.packing``).

    Every sequence stands behind ``prefix``, where there is one.
    """

    def __init__(
        self,
        row: Row,
        device: torch.device,
        dtype: torch.dtype,
        hidden_size: int,
        prefix: Prefix | None = None,
    ) -> None:
        # A pair costs its share of two products: scores, and the weighted sum of values.
        pairs = CALL_OPERATIONS.get(device.type, CALL_OPERATIONS["cuda"]) / (2 * hidden_size)
        self._dtype = dtype
        self._prefix = prefix
        self._units = units(row, pairs)
        self._positions = torch.from_numpy(row.positions).to(device)
        self._keys = [_keys(unit, device) for unit in self._units]
        # Which of its keys each token sees, by unit and window; made once a pass.
        self._seen: dict[tuple[int, int | None], torch.Tensor | None] = {}

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
        window: int | None,
    ) -> torch.Tensor:
        output = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
        for number, (unit, where) in enumerate(zip(self._units, self._keys, strict=True)):
            keys, values = _take(key, where), _take(value, where)
            if self._prefix is not None:
                keys, values = self._prefix.before(layer, keys, values)
            if (number, window) not in self._seen:
                self._seen[number, window] = self._mask(number, window)
            part = grouped_attention(
                query[0, :, unit.first : unit.end],
                keys,
                values,
                self._seen[number, window],
                scaling,
            )
            output[unit.first : unit.end] = part.transpose(0, 1)
        return output[None]

    def _mask(self, number: int, window: int | None) -> torch.Tensor | None:
        """Return what a unit's tokens see, the prefix first; None: plain causal."""
        unit = self._units[number]
        here = self._positions[unit.first : unit.end]
        far = window is not None and int(here.max()) >= window
        if unit.seen is None and not far and self._prefix is None:
            return None
        distance = here[:, None] - _take_one(self._positions, self._keys[number])
        seen = distance >= 0 if unit.seen is None else torch.from_numpy(unit.seen).to(here.device)
        if window is not None:
            seen = seen & (distance < window)
        if self._prefix is not None:
            before = self._prefix.seen(here + self._prefix.tokens, window)
            seen = torch.cat([before, seen], 1)
        return additive(seen, self._dtype)


def _keys(unit: Unit, device: torch.device) -> slice | torch.Tensor:
    """Return where a unit's keys lie in the row: a slice where they are neighbours."""
    start = unit.first - len(unit.outside)
    if not len(unit.outside) or unit.outside[0] == start:
        return slice(start, unit.end)
    own = torch.arange(unit.first, unit.end)
    return torch.cat([torch.from_numpy(unit.outside), own]).to(device)


def _take(states: torch.Tensor, where: slice | torch.Tensor) -> torch.Tensor:
    """Return [heads, keys, head size] of [1, heads, tokens, head size]."""
    return states[0, :, where] if isinstance(where, slice) else states[0].index_select(1, where)


def _take_one(values: torch.Tensor, where: slice | torch.Tensor) -> torch.Tensor:
    return values[where] if isinstance(where, slice) else values.index_select(0, where)
