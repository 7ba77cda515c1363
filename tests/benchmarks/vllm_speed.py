"""Greedy generation by vLLM at several numbers of concurrent requests; run in .venv-vllm.

.venv-vllm/bin/python tests/benchmarks/vllm_speed.py --model FOLDER --prompts FILE.json

One JSON line for each concurrency: {"concurrency", "tokens_per_s", "first_token_s"}, medians of the
rounds. ``first_token_s`` is the mean over a round's requests, which all come at once. Every request
gets all its tokens, whatever the model's end tokens are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

from serving.config import CACHE_BLOCK_TOKENS, ServingConfig
from serving.engines import load_engine

Tokens = Sequence[int]
# Yields how many new tokens have come, each time that some have.
Generate = Callable[[Tokens], AsyncGenerator[int]]


def by_vllm(engine: Any, new_tokens: int) -> Generate:
    """vLLM's own asynchronous engine, without ours around it."""
    from vllm.inputs.engine import tokens_input
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    parameters = SamplingParams(
        temperature=0.0,
        max_tokens=new_tokens,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )

    async def generate(prompt: Tokens) -> AsyncGenerator[int]:
        name = f"{time.monotonic_ns()}"
        async for output in engine._llm.generate(tokens_input(list(prompt)), parameters, name):
            yield len(output.outputs[0].token_ids)

    return generate


def by_medray(engine: Any, new_tokens: int) -> Generate:
    """The engine that an endpoint runs. It knows end tokens: the folder should have none."""
    from serving.engine import GenerationJob
    from serving.sampling import Sampling

    async def generate(prompt: Tokens) -> AsyncGenerator[int]:
        async for tokens in engine.generate(GenerationJob(prompt, Sampling(0), new_tokens)):
            yield len(tokens)

    return generate


async def one_round(generate: Generate, prompts: Sequence[Tokens]) -> tuple[int, float, float]:
    """Return tokens, seconds in all, and the mean of the seconds to each request's first token."""
    began = time.perf_counter()

    async def ask(prompt: Tokens) -> tuple[int, float]:
        many, first_s = 0, 0.0
        async for came in generate(prompt):
            first_s = first_s or time.perf_counter() - began
            many += came
        return many, first_s

    answers = await asyncio.gather(*map(ask, prompts))
    took_s = time.perf_counter() - began
    return sum(many for many, _ in answers), took_s, statistics.mean(s for _, s in answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--prompts", type=Path, required=True, help="JSON: lists of token ids")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="counted ones, after one more")
    parser.add_argument("--cpus", type=float, default=1.0, help="threads")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--medray", action="store_true", help="through medray's engine on vLLM")
    options = parser.parse_args()
    prompts: list[Tokens] = json.loads(options.prompts.read_text("utf-8"))
    most = max(options.concurrency) * (max(map(len, prompts)) + options.new_tokens)
    config = ServingConfig(
        model=options.model.absolute(),
        engine="vllm",
        dtype=options.dtype,
        num_cpus=options.cpus,
        max_prompt_tokens=max(map(len, prompts)),
        max_output_tokens=options.new_tokens,
        num_blocks=most // CACHE_BLOCK_TOKENS + 8,
    )
    engine: Any = load_engine(config)
    try:
        generate = (by_medray if options.medray else by_vllm)(engine, options.new_tokens)
        for concurrency in options.concurrency:
            asked = [prompts[row % len(prompts)] for row in range(concurrency)]
            rounds = []
            for _ in range(options.rounds + 1):
                if options.medray:
                    found = asyncio.run(one_round(generate, asked))
                else:  # it lives in the loop of its thread
                    found = engine._thread.start(one_round(generate, asked)).result()
                assert found[0] == concurrency * options.new_tokens
                rounds.append(found)
            line = {
                "concurrency": concurrency,
                "tokens_per_s": statistics.median(many / took for many, took, _ in rounds[1:]),
                "first_token_s": statistics.median(first for _, _, first in rounds[1:]),
            }
            print(json.dumps(line), flush=True)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
