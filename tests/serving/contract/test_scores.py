"""What every engine's log-likelihoods must be, of the engine that MEDRAY_TEST_ENGINE names."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from engine_under_test import answer, check_score, loaded
from serving.engine import Engine, GenerationJob, Score, ScoreJob
from serving.sampling import Sampling

if TYPE_CHECKING:
    from conftest import Small

    from serving.config import ServingConfig

QUESTION = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
OTHER = [5, 6, 7, 90, 91, 92]
# Over several pages of a cache, and over more tokens than one pass has.
LONG = [(7 * i) % 300 + 2 for i in range(200)]
JOBS = [
    *(ScoreJob([*QUESTION, *option], len(QUESTION), 1) for option in ([20, 21], [22], [20, 23])),
    *(ScoreJob([*OTHER, option], len(OTHER), 2, following=False) for option in (30, 31, 32, 33)),
    ScoreJob(QUESTION, 0, 3),
    ScoreJob([*range(100, 140)], 12, 2),
    ScoreJob([17], 0, 1),
    ScoreJob([18], 0, 1, following=False),
    ScoreJob([17], 0, 1),
    ScoreJob([17, 18], 1, 1, following=False),
    ScoreJob(OTHER, len(OTHER), 4),
    *(ScoreJob([*LONG, option], len(LONG), 1, following=False) for option in (30, 31)),
    *(ScoreJob([*LONG, *range(40, 40 + size)], len(LONG), 2) for size in (3, 60, 60)),
    ScoreJob(LONG, 0, 5),
    ScoreJob(LONG, 31, 1),
    ScoreJob(LONG, 97, 1, following=False),
]


@pytest.fixture(scope="module")
def engine(config: ServingConfig) -> Iterator[Engine]:
    with loaded(config) as engine:
        yield engine


def check_all(scores: Sequence[Score], jobs: Sequence[ScoreJob], small: Small) -> None:
    for score, job in zip(scores, jobs, strict=True):
        check_score(score, job, small.logprobs(list(job.tokens)))


def test_scores_equal_a_direct_forward(engine: Engine, small: Small) -> None:
    check_all(asyncio.run(engine.score(JOBS)), JOBS, small)
    # Once more: what the first call left in a cache changes nothing.
    again = JOBS[::-1]
    check_all(asyncio.run(engine.score(again)), again, small)
    for job in JOBS:
        check_all(asyncio.run(engine.score([job])), [job], small)


def test_no_job_is_no_score(engine: Engine) -> None:
    assert asyncio.run(engine.score([])) == []


def test_random_jobs_that_share_beginnings_equal_a_direct_forward(
    engine: Engine, small: Small
) -> None:
    chance = random.Random(3)
    jobs = []
    for _ in range(60):
        tokens = LONG[: chance.randrange(150)]
        tokens = tokens + [chance.randrange(2, 300) for _ in range(chance.randrange(1, 50))]
        first, top = chance.randrange(len(tokens) + 1), chance.randrange(1, 6)
        following = first == len(tokens) or chance.random() < 0.5
        jobs.append(ScoreJob(tokens, first, top, following=following))

    async def in_three_calls() -> list[Score]:
        parts = await asyncio.gather(*(engine.score(jobs[i : i + 20]) for i in range(0, 60, 20)))
        return [score for part in parts for score in part]

    check_all(asyncio.run(in_three_calls()), jobs, small)


def test_scoring_runs_beside_generation(engine: Engine, small: Small) -> None:
    prompts = [list(range(20 + i, 25 + 6 * i)) for i in range(8)]

    async def run() -> tuple[Any, Any]:
        return await asyncio.gather(
            asyncio.gather(
                *(answer(engine, GenerationJob(prompt, Sampling(0), 40)) for prompt in prompts)
            ),
            asyncio.gather(*(engine.score([ScoreJob(prompt)]) for prompt in prompts * 4)),
        )

    generated, scored = asyncio.run(run())
    tokens = [[new.token for new in news] for news in generated]
    assert tokens == [small.greedy(prompt, 40) for prompt in prompts]
    check_all([score for [score] in scored], [ScoreJob(prompt) for prompt in prompts * 4], small)
