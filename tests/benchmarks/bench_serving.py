"""Generation by the serving engine against ``model.generate``: one by one, and left-padded."""

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
PROMPTS = 16


def left_padded(model: Any, prompts: Sequence[Tokens]) -> list[list[int]]:
    """Greedy ``model.generate`` of all prompts at once, padded on the left."""
    longest = max(len(prompt) for prompt in prompts)
    padding = [longest - len(prompt) for prompt in prompts]
    tokens = [[0] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)]
    mask = [[0] * pad + [1] * (longest - pad) for pad in padding]
    output = model.generate(
        torch.tensor(tokens),
        attention_mask=torch.tensor(mask),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    answers: list[list[int]] = output[:, longest:].tolist()
    return answers


def one_by_one(model: Any, prompts: Sequence[Tokens]) -> list[list[int]]:
    """Greedy ``model.generate`` of each prompt alone."""
    return [left_padded(model, [prompt])[0] for prompt in prompts]


def by_engine(small: SmallEngine, prompts: Sequence[Tokens]) -> list[list[int]]:
    """All prompts as concurrent greedy requests to the engine."""

    async def answer(prompt: Tokens) -> list[int]:
        job = GenerationJob(prompt, Sampling(temperature=0), NEW_TOKENS)
        return [new.token async for tokens in small.engine.generate(job) for new in tokens]

    return together(answer(prompt) for prompt in prompts)


def main() -> None:
    print("bench_serving: prompts of 16 to 76 tokens, greedy")
    with small_engine() as small:
        prompts = [small.texts[row][: 16 + 4 * row] for row in range(PROMPTS)]
        pairs = zip(by_engine(small, prompts), one_by_one(small.model, prompts), strict=True)
        compare(
            f"{PROMPTS} prompts x {NEW_TOKENS} tokens; answers of the engine equal to "
            f"one by one: {sum(mine == other for mine, other in pairs)} of {PROMPTS}",
            {
                "medray engine, continuous batching": partial(by_engine, small, prompts),
                "model.generate, one by one": partial(one_by_one, small.model, prompts),
                "model.generate, left-padded": partial(left_padded, small.model, prompts),
            },
            PROMPTS * NEW_TOKENS,
            "tokens",
            rounds=3,
        )


if __name__ == "__main__":
    main()
