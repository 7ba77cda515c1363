"""transformers' continuous batching, with attention, adapters and delivery of our own."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedModel
from transformers.generation.continuous_batching.continuous_api import (
    ContinuousBatchingManager,
    ContinuousBatchProcessor,
    OutputRouter,
)
from transformers.generation.continuous_batching.input_outputs import ContinuousBatchingIOs
from transformers.generation.continuous_batching.requests import TMP_TOKEN_ID

from serving.attention import NAME
from serving.config import CACHE_BLOCK_TOKENS
from serving.drawing import token_drawing
from serving.lora import Adapter, LoraModel, Rows, group_rows
from serving.paged import PagedLayout, Span, order
from serving.prefix import Prefix

# Tokens of one page of the cache: a prompt's beginning is shared in whole pages.
PAGE_TOKENS = 32

# Token ids are told apart by adapter when pages are shared, in 32 bits.
LARGEST_ID = 2**31 - 1

Listener = Callable[[Any], None]


class Deliveries(OutputRouter):
    """Hands outputs to the event loops that wait for them: one wake-up a loop and batch.

    transformers' own handlers would leak: they are not removed on cancellation.
    """

    def __init__(self) -> None:
        super().__init__()
        self._listeners: dict[str, tuple[asyncio.AbstractEventLoop, Listener]] = {}
        self._ended = False
        self._changed = threading.Lock()

    def listen(self, request_id: str, listener: Listener) -> None:
        """Call ``listener`` in the running event loop with each output; with None at the end."""
        with self._changed:
            self._listeners[request_id] = (asyncio.get_running_loop(), listener)
            if self._ended:
                listener(None)

    def forget(self, request_id: str) -> None:
        with self._changed:
            self._listeners.pop(request_id, None)

    def __len__(self) -> int:
        return len(self._listeners)

    def deliver(self, output: Any) -> None:
        self.deliver_batch([output])

    def deliver_batch(self, outputs: Sequence[Any]) -> None:
        calls = defaultdict(list)
        with self._changed:
            for output in outputs:
                if output.request_id in self._listeners:
                    loop, listener = self._listeners[output.request_id]
                    calls[loop].append((listener, output))
        for loop, pairs in calls.items():
            _call_all(loop, pairs)

    def end(self) -> None:
        """Tell all who listen, and who will, that no output comes any more."""
        with self._changed:
            self._ended = True
            listeners = list(self._listeners.values())
        for loop, listener in listeners:
            _call_all(loop, [(listener, None)])


def _call_all(loop: asyncio.AbstractEventLoop, pairs: Sequence[tuple[Listener, Any]]) -> None:
    def call() -> None:
        for listener, output in pairs:
            listener(output)

    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


class PackedInputs(ContinuousBatchingIOs):
    """A batch's inputs as lists laid end to end, and the layout of its attention.

    In place of tensors of the largest size that are cleared before each batch, and of a mask.
    """

    def __init__(self, prefix: Prefix | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._prefix = prefix
        self._first_position = 0 if prefix is None else prefix.tokens

    def prepare_batch_tensors(
        self, requests_in_batch: list[Any], logits_processors: Any, **_: Any
    ) -> None:
        spans = [
            Span(future.state.request_id, future.state.position_offset, future.query_length)
            for future in requests_in_batch
        ]
        in_order = order(spans)
        spans = [spans[index] for index in in_order]
        self.requests_in_batch = [requests_in_batch[index] for index in in_order]
        self.num_request_in_batch = len(spans)
        tokens: list[int] = []
        positions: list[int] = []
        kept: list[int] = []
        for span, future in zip(spans, self.requests_in_batch, strict=True):
            state = future.state
            tokens += state.tokens_to_process
            first = self._first_position + span.past
            positions += range(first, first + span.new)
            state.position_offset += span.new
            if future.has_new_token:
                kept.append(len(tokens) - 1)
                state.tokens_to_process = [TMP_TOKEN_ID]
        logits_processors.prepare_tensor_args(
            requests_in_batch=self.requests_in_batch,
            arg_storage=self._bulk_input_tensor[self.static_inputs :],
        )
        self._arguments = {
            "input_ids": torch.tensor([tokens], device=self.device),
            "position_ids": torch.tensor([positions], device=self.device),
            "logits_indices": torch.tensor(kept, dtype=torch.long, device=self.device),
            "logits_processor_args": self._bulk_input_tensor[self.static_inputs :, : len(kept)],
            "layout": PagedLayout(self.cache, spans, self.model_dtype, self._prefix),
            "use_cache": False,
        }

    def get_model_kwargs(self, use_padding: bool = False) -> Any:
        return dict(self._arguments)


class Batches(ContinuousBatchingManager):
    """The generation loop of one model, in a thread of its own.

    Each request carries a ``serving.drawing.Task``. A request's id is ``<adapter's
    number>-<anything>``: requests share the pages of a common beginning only where these agree.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        lora: LoraModel,
        *,
        end_tokens: Sequence[int],
        num_blocks: int,
        max_batch_tokens: int,
        prefix: Prefix | None = None,
    ) -> None:
        super().__init__(
            model,
            GenerationConfig(do_sample=False, eos_token_id=sorted(end_tokens) or -1),
            ContinuousBatchingConfig(
                page_size=PAGE_TOKENS,
                num_blocks=num_blocks * CACHE_BLOCK_TOKENS // PAGE_TOKENS,
                max_batch_tokens=max_batch_tokens,
                allow_block_sharing=True,
                use_async_batching=False,
                use_cuda_graph=False,
                auto_switch_to_flash=False,  # one attention for generation and scoring
            ),
        )
        self._lora = lora
        self._prefix = prefix
        self._vocabulary_size: int = model.config.get_text_config().vocab_size
        self.logit_processor = token_drawing()
        self.deliveries = self.output_router = Deliveries()

    def switch_to_cb_friendly_attn(self, model: Any, auto_switch_to_flash: bool = True) -> None:
        if model.config._attn_implementation != NAME:
            super().switch_to_cb_friendly_attn(model, auto_switch_to_flash)

    def _run_generation_loop(self) -> None:
        try:
            super()._run_generation_loop()
        finally:
            self.deliveries.end()

    def _create_batch_processor(self) -> ContinuousBatchProcessor:
        processor = super()._create_batch_processor()
        if self.model.config._attn_implementation == NAME:
            inputs = PackedInputs(
                self._prefix,
                cache=processor.cache,
                config=processor.config,
                continuous_batching_config=processor.cb_config,
                device=processor.model_device,
                model_dtype=processor.model_dtype,
                logit_processor=processor.logit_processor,
            )
            inputs.compute_stream = processor.inputs_and_outputs.compute_stream
            processor.inputs_and_outputs = processor.model_runner.inputs_and_outputs = inputs
        self._share_by_adapter(processor.cache)
        return processor

    def _generation_step(self) -> None:
        with self._lora.using(self._adapter_rows(self.batch_processor)):
            super()._generation_step()

    def _adapter_rows(self, processor: Any) -> Rows | None:
        requests = processor.inputs_and_outputs.requests_in_batch
        adapters: list[Adapter | None] = [
            future.state.logit_processor_kwargs["task"].adapter for future in requests
        ]
        if not any(adapters):
            return None
        of_tokens = [
            adapter
            for adapter, future in zip(adapters, requests, strict=True)
            for _ in range(future.query_length)
        ]
        tokens = group_rows(of_tokens, self.model.device)
        if not processor.model_runner.supports_logits_to_keep(self.model):
            return Rows(tokens, tokens)
        kept = [
            adapter
            for adapter, future in zip(adapters, requests, strict=True)
            if future.has_new_token
        ]
        return Rows(tokens, group_rows(kept, self.model.device))

    def _share_by_adapter(self, cache: Any) -> None:
        """Make the cache find pages by tokens and adapter: other adapters, other keys."""

        def marked(request_id: str, tokens: Sequence[int]) -> list[int] | None:
            shift = int(request_id.partition("-")[0]) * self._vocabulary_size
            if shift + self._vocabulary_size > LARGEST_ID:  # the 14,000th adapter of 150,000 tokens
                return None
            return [token + shift for token in tokens] if shift else list(tokens)

        def search(request_id: str, prompt_ids: Sequence[int]) -> int:
            tokens = marked(request_id, prompt_ids)
            return 0 if tokens is None else found(request_id, tokens)

        def mark_with(mark: Any) -> Any:
            def mark_complete(request_id: str, token_ids: Sequence[int], blocks: int) -> None:
                tokens = marked(request_id, token_ids)
                if tokens is not None:
                    mark(request_id, tokens, blocks)

            return mark_complete

        found = cache.search_prefix_match
        cache.search_prefix_match = search
        for allocator in cache.cache_allocators.values():
            allocator.mark_complete_blocks = mark_with(allocator.mark_complete_blocks)
