"""Generation by the serving engine against ``model.generate``, left-padded: the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from measure import compare
from small_engine import SmallEngine, Tokens, small_engine, together

from serving.engine import GenerationJob
from serving.sampling import Sampling

NEW_TOKENS = 64
CONCURRENCY = (1, 8, 32)


def left_padded(
    model: Any, prompts: Sequence[Tokens], new_tokens: int = NEW_TOKENS
) -> list[list[int]]:
    """Greedy ``model.generate`` of all prompts at once, padded on the left."""
    longest = max(len(prompt) for prompt in prompts)
    padding = [longest - len(prompt) for prompt in prompts]
    tokens = [[0] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)]
    mask = [[0] * pad + [1] * (longest - pad) for pad in padding]
    output = model.generate(
        torch.tensor(tokens),
        attention_mask=torch.tensor(mask),
        max_new_tokens=new_tokens,
        do_sample=False,
        pad_token_id=0,
    )
    answers: list[list[int]] = output[:, longest:].tolist()
    return answers


def one_by_one(model: Any, prompts: Sequence[Tokens]) -> list[list[int]]:
    """Greedy ``model.generate`` of each prompt alone."""
    return [left_padded(model, [prompt])[0] for prompt in prompts]


def by_engine(
    small: SmallEngine, prompts: Sequence[Tokens], top: int | None = None
) -> list[list[int]]:
    """All prompts as concurrent greedy requests to the engine."""

    async def answer(prompt: Tokens) -> list[int]:
        job = GenerationJob(prompt, Sampling(temperature=0), NEW_TOKENS, top=top)
        return [new.token async for tokens in small.engine.generate(job) for new in tokens]

    return together(answer(prompt) for prompt in prompts)


def main() -> None:
    print("bench_serving: prompts of 16 to 76 tokens, greedy")
    with small_engine() as small:
        for concurrency in CONCURRENCY:
            prompts = [
                small.texts[row % len(small.texts)][row : row + 16 + (4 * row) % 61]
                for row in range(concurrency)
            ]
            pairs = zip(by_engine(small, prompts), one_by_one(small.model, prompts), strict=True)
            compare(
                f"{concurrency} prompts x {NEW_TOKENS} tokens; answers of the engine equal to "
                f"one by one: {sum(mine == other for mine, other in pairs)} of {concurrency}",
                {
                    "medray engine": partial(by_engine, small, prompts),
                    "the same, with log-probabilities": partial(by_engine, small, prompts, 1),
                    "model.generate, left-padded": partial(left_padded, small.model, prompts),
                },
                concurrency * NEW_TOKENS,
                "tokens",
                rounds=5,
            )


if __name__ == "__main__":
    main()
