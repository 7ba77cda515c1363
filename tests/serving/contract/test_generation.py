"""What every engine's generation must do; run with the engine that MEDRAY_TEST_ENGINE names."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from transformers import GenerationConfig

from engine_under_test import (
    ENGINE,
    LOGPROB_ERROR,
    answer,
    answers,
    at_once,
    config_of,
    loaded,
    texts,
)
from serving.engine import Engine, EngineStoppedError, GenerationJob, ScoreJob, UnsupportedError
from serving.sampling import Sampling

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Small

    from serving.config import ServingConfig

GREEDY = Sampling(0)
PROMPTS = [list(range(20 + i, 25 + 6 * i)) for i in range(8)]


@pytest.fixture(scope="module")
def engine(config: ServingConfig) -> Iterator[Engine]:
    with loaded(config) as engine:
        yield engine


def test_what_an_engine_says_of_its_model(engine: Engine, small: Small) -> None:
    assert engine.context_tokens == 512
    assert engine.vocabulary_size == len(small.tokenizer)
    assert engine.end_tokens == {small.tokenizer.eos_token_id}
    assert engine.adapter_names() == []
    assert engine.healthy()


def test_greedy_in_one_batch_equals_generate_one_by_one(engine: Engine, small: Small) -> None:
    found = texts(engine, [GenerationJob(prompt, GREEDY, 40) for prompt in PROMPTS])
    assert found == [small.greedy(prompt, 40) for prompt in PROMPTS]


def test_tokens_come_one_after_the_other(engine: Engine) -> None:
    async def pieces() -> list[int]:
        stream = engine.generate(GenerationJob(PROMPTS[0], GREEDY, 60))
        return [len(tokens) async for tokens in stream]

    sizes = asyncio.run(pieces())
    assert sizes[0] == 1
    assert len(sizes) > 20
    assert 0 not in sizes


def test_generation_ends_with_the_end_tokens(small: Small, tmp_path: Path) -> None:
    free = small.greedy(PROMPTS[0], 10)
    ends = [free[4], 399]
    shutil.copytree(small.folder, tmp_path / "model")
    GenerationConfig(eos_token_id=ends).save_pretrained(tmp_path / "model")
    with loaded(config_of(tmp_path / "model")) as engine:
        assert engine.end_tokens == set(ends)
        [found] = texts(engine, [GenerationJob(PROMPTS[0], GREEDY, 10)])
    assert found == free[: free.index(ends[0]) + 1]


def test_a_sampled_request_does_not_depend_on_its_neighbours(engine: Engine) -> None:
    def sampled(**fields: int) -> GenerationJob:
        return GenerationJob(PROMPTS[2], Sampling(1.0, 0.9, **({"seed": 3} | fields)), 30)

    greedy = GenerationJob(PROMPTS[2], GREEDY, 5)
    as_good_as_greedy = GenerationJob(PROMPTS[2], Sampling(1e-40, seed=3), 5)
    assert texts(engine, [as_good_as_greedy]) == texts(engine, [greedy])
    [alone] = texts(engine, [sampled()])
    others = [GenerationJob(prompt, Sampling(0.7, 1.0, seed=9), 30) for prompt in PROMPTS]
    *_, crowded, beside = texts(engine, [*others, sampled(), greedy])
    assert crowded == alone
    assert [beside] == texts(engine, [greedy])
    for fields in ({"seed": 4}, {"choice": 1}, {"seed": 2**64 - 1}):
        assert texts(engine, [sampled(**fields)]) != [alone]


def test_little_mass_is_greedy(engine: Engine) -> None:
    narrow = [GenerationJob(PROMPTS[1], Sampling(1.0, 1e-6, seed=i), 20) for i in range(3)]
    greedy, *found = texts(engine, [GenerationJob(PROMPTS[1], GREEDY, 20), *narrow])
    assert found == [greedy] * 3


def test_draws_follow_the_models_probabilities(engine: Engine, small: Small) -> None:
    """The shares of 400 first tokens, beside the probabilities at temperature 1.5."""
    prompt, temperature, many = PROMPTS[4], 1.5, 400
    jobs = [GenerationJob(prompt, Sampling(temperature, seed=i), 1) for i in range(many)]
    drawn = [tokens[0] for tokens in texts(engine, jobs)]
    scaled = (small.logprobs(prompt)[-1] / temperature).softmax(-1)
    for token in scaled.topk(5).indices.tolist():
        share = float(scaled[token])
        deviation = (share * (1 - share) / many) ** 0.5
        assert drawn.count(token) / many == pytest.approx(share, abs=4 * deviation)


def test_a_crowded_cache_changes_no_answer(engine: Engine, small: Small) -> None:
    # 12 requests of up to 276 tokens take 24 blocks; the cache has 8.
    prompt = PROMPTS[3]
    jobs = [GenerationJob(prompt, GREEDY, 250)] * 6
    jobs += [GenerationJob(prompt, Sampling(1.0, seed=5), 250)] * 6
    found = texts(engine, jobs)
    assert found[:6] == [small.greedy(prompt, 250)] * 6
    assert found[6:] == [found[6]] * 6


def test_an_abandoned_request_leaves_the_engine_well(engine: Engine, small: Small) -> None:
    async def abandon() -> int:
        stream = engine.generate(GenerationJob(PROMPTS[0], GREEDY, 250))
        first = await anext(stream)
        await stream.aclose()
        return len(first)

    assert at_once(abandon() for _ in range(8)) == [1] * 8
    assert texts(engine, [GenerationJob(PROMPTS[1], GREEDY, 5)]) == [small.greedy(PROMPTS[1], 5)]


def test_200_mixed_prompts_beside_sampling_requests_equal_generate(
    engine: Engine, small: Small
) -> None:
    chance = random.Random(5)
    prompts = [
        [chance.randrange(2, 300) for _ in range(chance.randrange(1, 90))] for _ in range(200)
    ]
    # A third begin alike, over pages of the cache.
    prompts = [
        PROMPTS[7] * 2 + prompt if i % 3 == 0 else prompt for i, prompt in enumerate(prompts)
    ]
    sizes = [chance.randrange(1, 30) for _ in prompts]

    async def run() -> list[list[int]]:
        room = asyncio.Semaphore(16)

        async def one(index: int) -> list[int]:
            async with room:
                if index % 4 == 1:
                    drawn = Sampling(1.0, 0.9, seed=index)
                    await answer(engine, GenerationJob(prompts[index], drawn, 8))
                job = GenerationJob(prompts[index], GREEDY, sizes[index])
                return [new.token for new in await answer(engine, job)]

        return await asyncio.gather(*map(one, range(len(prompts))))

    found = asyncio.run(run())
    assert found == [small.greedy(*pair) for pair in zip(prompts, sizes, strict=True)]


@pytest.mark.parametrize("top", [0, 3])
def test_log_probabilities_of_new_tokens_are_the_models_own(
    engine: Engine, small: Small, top: int
) -> None:
    samplings = [GREEDY, Sampling(0.7, 0.8, seed=1), Sampling(1.5, seed=2), GREEDY]
    jobs = [
        GenerationJob(prompt, sampling, 30, top=top)
        for prompt, sampling in zip(PROMPTS, samplings, strict=False)
    ]
    for job, found in zip(jobs, answers(engine, jobs), strict=True):
        whole = [*job.prompt, *(new.token for new in found)]
        for new, row in zip(found, small.logprobs(whole)[len(job.prompt) - 1 :], strict=False):
            assert new.logprob == pytest.approx(row[new.token].item(), abs=LOGPROB_ERROR)
            best = row.topk(top)
            assert [token for token, _ in new.alternatives or []] == best.indices.tolist()
            values = [value for _, value in new.alternatives or []]
            assert values == pytest.approx(best.values.tolist(), abs=LOGPROB_ERROR)


def test_log_probabilities_survive_a_crowded_cache(engine: Engine) -> None:
    job = GenerationJob(PROMPTS[3], Sampling(1.0, seed=5), 250, top=1)
    found = answers(engine, [job] * 12)
    tokens = [[new.token for new in news] for news in found]
    assert tokens == [tokens[0]] * 12
    expected = [new.logprob for new in found[0]]
    for news in found:
        assert [new.logprob for new in news] == pytest.approx(expected, abs=LOGPROB_ERROR)


def test_the_largest_request_is_served(engine: Engine, small: Small) -> None:
    prompt = [(7 * i) % 300 + 2 for i in range(384)]
    most = engine.context_tokens - len(prompt) + 1  # the last one needs no position
    [found] = texts(engine, [GenerationJob(prompt, GREEDY, most)])
    assert found == small.greedy(prompt, most)
    whole = [*prompt, *found[: engine.context_tokens - len(prompt)]]
    [score] = asyncio.run(engine.score([ScoreJob(whole, 500)]))
    expected = small.logprobs(whole)
    own = [expected[i - 1, whole[i]].item() for i in range(500, len(whole))]
    assert score.logprobs == pytest.approx(own, abs=LOGPROB_ERROR)
    assert score.following[0][1] == pytest.approx(expected[-1].max().item(), abs=LOGPROB_ERROR)


def test_embeddings_are_the_models_or_refused(engine: Engine, small: Small) -> None:
    if ENGINE == "vllm":
        with pytest.raises(UnsupportedError, match="engine: transformers has them"):
            asyncio.run(engine.embed(PROMPTS))
        return
    for prompt, embedding in zip(PROMPTS, asyncio.run(engine.embed(PROMPTS)), strict=True):
        assert embedding == pytest.approx(small.mean_state(prompt), abs=LOGPROB_ERROR)


def test_a_closed_engine_says_so(config: ServingConfig) -> None:
    with loaded(config) as engine:

        async def close_during_a_request() -> None:
            job = GenerationJob(PROMPTS[0], GREEDY, 250)
            task = asyncio.create_task(answer(engine, job))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(engine.close)
            await task

        with pytest.raises(EngineStoppedError, match="during this request"):
            asyncio.run(close_during_a_request())
        assert not engine.healthy()
        with pytest.raises(EngineStoppedError):
            answers(engine, [GenerationJob(PROMPTS[0], GREEDY, 5)])
        with pytest.raises(EngineStoppedError):
            asyncio.run(engine.score([ScoreJob(PROMPTS[0])]))
