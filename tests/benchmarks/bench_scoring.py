"""Log-probabilities by the serving engine against direct forward passes, one sequence each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from measure import compare
from small_engine import SmallEngine, Tokens, small_engine, together

from serving.engine import ScoreJob

QUESTIONS = 16
OPTIONS = range(1, 5)
TOP = 1  # alternatives a token; an exam by option likelihood asks for one


@torch.inference_mode()
def score_directly(model: Any, sequences: Sequence[Tokens]) -> list[Any]:
    """One forward pass a sequence: every token's log-probability and the best alternatives."""
    scores = []
    for sequence in sequences:
        tokens = torch.tensor([sequence])
        logprobs = model(tokens, use_cache=False).logits[0].log_softmax(-1)
        best = logprobs.topk(TOP)
        chosen = logprobs[:-1].gather(1, tokens[0, 1:, None])[:, 0]
        scores.append((chosen.tolist(), best.indices.tolist(), best.values.tolist()))
    return scores


def score_by_engine(small: SmallEngine, calls: Sequence[Sequence[Tokens]]) -> list[Any]:
    """One concurrent call of the engine for each list of sequences; it pads and batches each."""
    return together(small.engine.score([ScoreJob(row, top=TOP) for row in rows]) for rows in calls)


def main() -> None:
    print("bench_scoring: questions of 40 to 100 tokens, each with options of 3 to 12 tokens")
    with small_engine() as small:
        questions = [
            [
                [*small.texts[row][: 40 + 4 * row], *small.texts[-option][: 3 * option]]
                for option in OPTIONS
            ]
            for row in range(QUESTIONS)
        ]
        sequences = [sequence for options in questions for sequence in options]
        tokens = sum(map(len, sequences))
        # The first is how medray's benchmark job asks.
        for title, calls in (("a call for each question", questions), ("one call", [sequences])):
            padded = sum(len(rows) * max(map(len, rows)) for rows in calls)
            compare(
                f"{QUESTIONS} questions x {len(OPTIONS)} options, {title}; "
                f"padding makes {padded / tokens:.2f} tokens of each",
                {
                    "medray engine, score": partial(score_by_engine, small, calls),
                    "forward passes, one by one": partial(score_directly, small.model, sequences),
                },
                tokens,
                "tokens",
            )


if __name__ == "__main__":
    main()
