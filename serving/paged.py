"""Attention of a continuous batch over its paged cache, request by request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch.nn.functional import scaled_dot_product_attention
from transformers.generation.continuous_batching.cache import PagedAttentionCache
from transformers.generation.continuous_batching.cache_allocators import SLIDING_ATTENTION

from serving.attention import additive, grouped_attention
from serving.prefix import Prefix

Index = NDArray[numpy.int64]

# Requests whose lengths differ by no more than this make up one padded batch of single tokens.
LONGER_FACTOR, LONGER_TOKENS = 1.25, 64


@dataclass(frozen=True)
class Span:
    """``new`` tokens of a request that follow ``past`` ones, which are in the cache."""

    request_id: str
    past: int
    new: int


@dataclass(frozen=True)
class _Singles:
    """Requests with one token each: ``rows`` of the batch, ``keys`` of what is read, padded."""

    rows: slice
    keys: slice
    seen: torch.Tensor | None  # additive [requests, 1, 1, longest]


@dataclass(frozen=True)
class _Several:
    """One request's several tokens; ``keys`` None: it sees those of the batch's own rows."""

    rows: slice
    keys: slice | None
    seen: torch.Tensor | None  # additive [tokens, keys]; None: plain causal


@dataclass(frozen=True)
class _Reading:
    """What layers of one kind (full or sliding attention) read from and write to the cache."""

    read: torch.Tensor
    write: torch.Tensor
    parts: list[_Singles | _Several]


def order(spans: Sequence[Span]) -> list[int]:
    """Return the order in which ``PagedLayout`` takes spans: single tokens first, by length."""
    return sorted(range(len(spans)), key=lambda i: (spans[i].new > 1, spans[i].past))


class PagedLayout:
    """The layout of one continuous batch; ``spans`` in the order of ``order``.

    transformers' own attention without FlashAttention compares every token with every request's
    keys: the square of the number of requests. Here a request sees its own alone.
    """

    def __init__(
        self,
        cache: PagedAttentionCache,
        spans: Sequence[Span],
        dtype: torch.dtype,
        prefix: Prefix | None = None,
    ) -> None:
        self._cache = cache
        self._prefix = prefix
        self._readings = {
            allocator.index: _plan(allocator, spans, cache.device, dtype, prefix)
            for allocator in cache.cache_allocators.values()
        }

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """Write the new keys to the cache, and attend; the cache's layers know their window."""
        allocator = self._cache.layer_to_allocator[layer]
        reading = self._readings[allocator.index]
        keys, values = allocator.update(
            key[0].transpose(0, 1), value[0].transpose(0, 1), layer, reading.read, reading.write
        )
        output = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
        for part in reading.parts:
            own = query[0, :, part.rows]
            if isinstance(part, _Singles):
                output[part.rows] = _single_tokens(
                    own,
                    *self._behind_prefix(layer, *_of_each(own, keys[part.keys], values[part.keys])),
                    part.seen,
                    scaling,
                )
            else:
                seen_keys = (
                    (key[0, :, part.rows], value[0, :, part.rows])
                    if part.keys is None
                    else (keys[part.keys].transpose(0, 1), values[part.keys].transpose(0, 1))
                )
                seen_keys = self._behind_prefix(layer, *seen_keys)
                result = grouped_attention(own, *seen_keys, part.seen, scaling)
                output[part.rows] = result.transpose(0, 1)
        return output[None]

    def _behind_prefix(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self._prefix is None:
            return keys, values
        return self._prefix.before(layer, keys, values)


def _of_each(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [requests, own heads, longest, head size] of [requests * longest, own heads, ...]."""
    requests = query.shape[1]
    return (
        keys.view(requests, -1, *keys.shape[1:]).transpose(1, 2),
        values.view(requests, -1, *values.shape[1:]).transpose(1, 2),
    )


def _single_tokens(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    seen: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """Return [requests, heads, head size]; ``query``: [heads, requests, head size].

    ``keys``, ``values``: [requests, own heads, longest, head size]. Heads that share keys stand
    where a sequence's tokens would.
    """
    heads, requests, _ = query.shape
    own = keys.shape[1]
    output = scaled_dot_product_attention(
        query.transpose(0, 1).reshape(requests, own, heads // own, -1),
        keys,
        values,
        attn_mask=seen,
        scale=scaling,
    )
    return output.reshape(requests, heads, -1)


def _plan(
    allocator: Any,
    spans: Sequence[Span],
    device: torch.device,
    dtype: torch.dtype,
    prefix: Prefix | None,
) -> _Reading:
    # Layers with a window read before they write: what is new stands in what they read as a
    # placeholder, which is filled in the order of the batch. So they read all or nothing.
    sliding = allocator.layer_type == SLIDING_ATTENTION
    window = allocator.sliding_window if sliding else None
    reads_all = sliding and any(span.past for span in spans)
    read: list[Index] = []
    write: list[Index] = []
    parts: list[_Singles | _Several] = []
    row = done = 0
    for group in _groups(spans):
        if group[0].new == 1:
            index = _single_reads(allocator, group)
            lengths = torch.tensor([allocator.get_seqlen_k(span.past, 1) for span in group])
            seen = torch.arange(index.shape[1]) < lengths[:, None]
            seen = _seen(seen, torch.tensor([span.past for span in group]), window, prefix)
            mask = None if bool(seen.all()) else additive(seen[:, None, None], dtype).to(device)
            rows = slice(row, row + len(group))
            parts.append(_Singles(rows, slice(done, done + index.size), mask))
            if sliding:
                write += [_writes(allocator, span) for span in group]
            else:  # the last place that each reads
                write.append(index[numpy.arange(len(group)), [span.past for span in group]])
        else:
            [span] = group
            rows = slice(row, row + span.new)
            index = numpy.empty(0, numpy.int64)
            keys = None
            if span.past or reads_all:
                index = _reads(allocator, span)
                keys = slice(done, done + len(index))
            length = len(index) or span.new
            mask = None
            if prefix or length > span.new or (window is not None and window < length):
                seen = _causal(span.new, length, window)
                seen = _seen(seen, span.past + torch.arange(span.new), window, prefix)
                mask = additive(seen, dtype).to(device)
            parts.append(_Several(rows, keys, mask))
            write.append(_writes(allocator, span))
        row, done = rows.stop, done + index.size
        read.append(index.ravel())
    return _Reading(_to(read, device), _to(write, device), parts)


def _groups(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield single tokens of similar length together, and every other span alone."""
    group: list[Span] = []
    for span in spans:
        similar = group and span.past <= LONGER_FACTOR * group[0].past + LONGER_TOKENS
        if group and (span.new > 1 or not similar):
            yield group
            group = []
        if span.new > 1:
            yield [span]
        else:
            group.append(span)
    if group:
        yield group


def _single_reads(allocator: Any, spans: Sequence[Span]) -> Index:
    """Return where the keys of each span lie: [spans, longest], padded with places of zeros."""
    longest = max(allocator.get_seqlen_k(span.past, 1) for span in spans)
    if allocator.layer_type == SLIDING_ATTENTION:
        index = numpy.full((len(spans), longest), allocator.read_trash_index)
        for row, span in zip(index, spans, strict=True):
            places = allocator.get_read_indices(span.request_id, span.past, 1)
            row[: len(places)] = places
        return index
    page = allocator.tokens_per_page
    blocks = numpy.zeros((len(spans), -(-longest // page)), numpy.int64)  # block 0 is zeros
    for row, span in zip(blocks, spans, strict=True):
        own = allocator.block_table[span.request_id]
        row[: len(own)] = own
    starts = blocks * allocator.block_physical_stride
    whole: Index = (starts[:, :, None] + numpy.arange(page)).reshape(len(spans), -1)
    return whole[:, :longest]


def _reads(allocator: Any, span: Span) -> Index:
    return numpy.array(allocator.get_read_indices(span.request_id, span.past, span.new))


def _writes(allocator: Any, span: Span) -> Index:
    return numpy.array(allocator.get_write_indices(span.request_id, span.past, span.new))


def _causal(tokens: int, keys: int, window: int | None) -> torch.Tensor:
    """Return which keys each of the last ``tokens`` of them sees: bool [tokens, keys]."""
    distance = torch.arange(keys - tokens, keys)[:, None] - torch.arange(keys)
    seen = distance >= 0
    return seen if window is None else seen & (distance < window)


def _seen(
    seen: torch.Tensor, past: torch.Tensor, window: int | None, prefix: Prefix | None
) -> torch.Tensor:
    """Return ``seen`` with what tokens behind ``past`` others see of the prefix before it."""
    if prefix is None:
        return seen
    return torch.cat([prefix.seen(past + prefix.tokens, window), seen], 1)


def _to(parts: Sequence[Index], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(numpy.concatenate(parts)).to(device)
