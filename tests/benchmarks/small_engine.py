"""A small random Llama twice: in the serving engine, and bare, to be used directly; one core.

So small a model shows the work around the matrix products as much as the products.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from texts import sample_texts

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.models.small import NewModelConfig, make_model
from serving.transformers_engine import TransformersEngine

VOCABULARY_SIZE = 4096
Tokens = Sequence[int]


@dataclass(frozen=True)
class SmallEngine:
    """The engine, a bare model with equal weights, and sample texts of 100 and more tokens."""

    engine: TransformersEngine
    model: Any
    tokenizer: Any
    texts: list[list[int]]


@contextmanager
def small_engine() -> Iterator[SmallEngine]:
    """Start the engine on 64 cache blocks; close it in the end."""
    torch.set_num_threads(1)
    texts = sample_texts("en", 0.05)
    tokenizer = train_tokenizer(iter(texts), VOCABULARY_SIZE)
    # Two models, for continuous batching switches the attention of the one that it is given.
    bare, served = (make_model(NewModelConfig(), tokenizer, seed=0).eval() for _ in range(2))
    for model in (bare, served):
        model.generation_config.eos_token_id = None  # so that every answer has all its tokens
    print(f"random Llama, {bare.num_parameters() / 1e6:.1f} M parameters, fp32, one thread")
    tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    engine = TransformersEngine(served, num_blocks=64, max_batch_tokens=256)
    try:
        yield SmallEngine(engine, bare, tokenizer, [row for row in tokens if len(row) >= 100])
    finally:
        engine.close()


def together(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Await concurrent calls of an engine in an event loop of their own."""

    async def gather() -> list[Any]:
        return await asyncio.gather(*calls)

    return asyncio.run(gather())
