from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from serving.engine import EngineStoppedError, GenerationJob, NewToken, ScoreJob
from serving.sampling import Sampling
from serving.transformers_engine import TransformersEngine, load_model

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Small

    from serving.config import ServingConfig

GREEDY = Sampling(0)
PROMPTS = [list(range(20 + i, 25 + 6 * i)) for i in range(8)]


@pytest.fixture(scope="module")
def engine(small: Small, config: ServingConfig) -> Iterator[TransformersEngine]:
    engine = TransformersEngine.load(config)
    yield engine
    engine.close()


async def all_of(
    engine: TransformersEngine, prompt: list[int], sampling: Sampling, max_tokens: int
) -> list[int]:
    job = GenerationJob(prompt, sampling, max_tokens)
    return [new.token async for tokens in engine.generate(job) for new in tokens]


def together(engine: TransformersEngine, requests: list[Any]) -> list[list[int]]:
    async def gather() -> list[list[int]]:
        return await asyncio.gather(*[all_of(engine, *request) for request in requests])

    return asyncio.run(gather())


def test_greedy_in_one_batch_equals_generate_one_by_one(
    engine: TransformersEngine, small: Small
) -> None:
    answers = together(engine, [(prompt, GREEDY, 40) for prompt in PROMPTS])
    assert answers == [small.greedy(prompt, 40) for prompt in PROMPTS]


def test_generation_ends_with_the_end_token(small: Small) -> None:
    free = small.greedy(PROMPTS[0], 10)
    end = free[4]
    model = AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32")
    model.generation_config.eos_token_id = [end]
    engine = TransformersEngine(model, num_blocks=4, max_batch_tokens=64)
    try:
        [answer] = together(engine, [(PROMPTS[0], GREEDY, 10)])
    finally:
        engine.close()
    assert answer == free[: free.index(end) + 1]
    assert answer[-1] in engine.end_tokens


def test_a_sampled_request_does_not_depend_on_its_neighbours(engine: TransformersEngine) -> None:
    sampled = (PROMPTS[2], Sampling(1.0, 0.9, seed=3), 30)
    others = [(prompt, Sampling(0.7, 1.0, seed=9), 30) for prompt in PROMPTS]
    alone = together(engine, [sampled])
    assert together(engine, [(PROMPTS[2], Sampling(1e-40, seed=3), 5)]) == together(
        engine, [(PROMPTS[2], GREEDY, 5)]
    )
    crowded = together(engine, [*others, sampled, (PROMPTS[0], GREEDY, 30)])
    assert crowded[-2] == alone[0]
    assert crowded[-1] == together(engine, [(PROMPTS[0], GREEDY, 30)])[0]
    assert together(engine, [(PROMPTS[2], Sampling(1.0, 0.9, seed=4), 30)]) != alone


def test_a_crowded_cache_changes_no_answer(engine: TransformersEngine, small: Small) -> None:
    # 12 requests of up to 276 tokens take 24 blocks; the cache has 8.
    prompt = PROMPTS[3]
    requests: list[Any] = [(prompt, GREEDY, 250)] * 6
    requests += [(prompt, Sampling(1.0, seed=5), 250)] * 6
    answers = together(engine, requests)
    assert answers[:6] == [small.greedy(prompt, 250)] * 6
    assert answers[6:] == [answers[6]] * 6


def test_an_abandoned_request_is_cancelled(engine: TransformersEngine) -> None:
    async def abandon() -> list[int]:
        stream = engine.generate(GenerationJob(PROMPTS[0], GREEDY, 250))
        first = await anext(stream)
        await stream.aclose()
        return [new.token for new in first]

    assert len(asyncio.run(abandon())) == 1
    assert len(together(engine, [(PROMPTS[1], GREEDY, 5)])[0]) == 5
    assert not len(engine._batches.deliveries)
    assert not engine._batches.batch_processor.scheduler.active_requests


def test_200_mixed_prompts_beside_sampling_requests_equal_generate(
    engine: TransformersEngine, small: Small
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
                    await all_of(engine, prompts[index], Sampling(1.0, 0.9, seed=index), 8)
                return await all_of(engine, prompts[index], GREEDY, sizes[index])

        return await asyncio.gather(*map(one, range(len(prompts))))

    answers = asyncio.run(run())
    assert answers == [small.greedy(*pair) for pair in zip(prompts, sizes, strict=True)]


def test_a_shared_beginning_is_computed_once(engine: TransformersEngine) -> None:
    beginning = [(7 * i) % 300 + 2 for i in range(200)]
    together(engine, [(beginning, GREEDY, 2)])
    computed: list[int] = []
    inputs = engine._batches.batch_processor.inputs_and_outputs
    inner = inputs.get_model_kwargs

    def counted(use_padding: bool = False) -> Any:
        arguments = inner(use_padding)
        computed.append(arguments["input_ids"].shape[1])
        return arguments

    inputs.get_model_kwargs = counted
    try:
        together(engine, [([*beginning, 5, 6], GREEDY, 1)])
    finally:
        del inputs.get_model_kwargs
    assert computed == [202 - 192]  # six pages of 32 tokens were there


@pytest.mark.parametrize("top", [0, 3])
def test_log_probabilities_of_new_tokens_equal_scores(engine: TransformersEngine, top: int) -> None:
    samplings = [GREEDY, Sampling(0.7, 0.8, seed=1), Sampling(1.5, seed=2), GREEDY]
    jobs = [
        GenerationJob(prompt, sampling, 30, top=top)
        for prompt, sampling in zip(PROMPTS, samplings, strict=False)
    ]

    async def run() -> tuple[Any, Any]:
        async def one(job: GenerationJob) -> list[NewToken]:
            return [new async for tokens in engine.generate(job) for new in tokens]

        generated = await asyncio.gather(*map(one, jobs))
        scored = [
            ScoreJob([*job.prompt, *(new.token for new in answer)], len(job.prompt), max(top, 1))
            for job, answer in zip(jobs, generated, strict=True)
        ]
        return generated, await engine.score(scored)

    for answer, score in zip(*asyncio.run(run()), strict=True):
        assert [new.logprob for new in answer] == pytest.approx(score.logprobs, abs=1e-4)
        for new, alternatives in zip(answer, score.alternatives, strict=True):
            assert [token for token, _ in new.alternatives] == [
                token for token, _ in alternatives[:top]
            ]
            values = [value for _, value in new.alternatives]
            assert values == pytest.approx([value for _, value in alternatives[:top]], abs=1e-4)


def test_log_probabilities_survive_a_crowded_cache(engine: TransformersEngine) -> None:
    job = GenerationJob(PROMPTS[3], Sampling(1.0, seed=5), 250, top=1)

    async def one() -> list[NewToken]:
        return [new async for tokens in engine.generate(job) for new in tokens]

    async def crowd() -> list[list[NewToken]]:
        return await asyncio.gather(*(one() for _ in range(12)))

    answers = asyncio.run(crowd())
    tokens = [[new.token for new in answer] for answer in answers]
    assert tokens == [tokens[0]] * 12
    for answer in answers:
        expected = [new.logprob for new in answers[0]]
        assert [new.logprob for new in answer] == pytest.approx(expected, abs=1e-4)


def test_scoring_and_embedding_run_beside_generation(
    engine: TransformersEngine, small: Small
) -> None:
    async def run() -> tuple[Any, Any, Any]:
        return await asyncio.gather(
            asyncio.gather(*(all_of(engine, prompt, GREEDY, 40) for prompt in PROMPTS)),
            asyncio.gather(*(engine.score([ScoreJob(prompt)]) for prompt in PROMPTS * 4)),
            engine.embed(PROMPTS),
        )

    generated, scored, embedded = asyncio.run(run())
    assert generated == [small.greedy(prompt, 40) for prompt in PROMPTS]
    for prompt, [score] in zip(PROMPTS * 4, scored, strict=True):
        expected = small.logprobs(prompt)[:-1].gather(1, torch.tensor(prompt)[1:, None])[:, 0]
        assert score.logprobs[1:] == pytest.approx(expected.tolist(), abs=1e-4)
    for prompt, embedding in zip(PROMPTS, embedded, strict=True):
        with torch.inference_mode():
            states = small.model.model(torch.tensor([prompt])).last_hidden_state[0]
        assert embedding == pytest.approx(states.mean(0).tolist(), abs=1e-4)


@pytest.mark.parametrize("name", ["MistralConfig", "Qwen3Config", "Gemma3TextConfig"])
def test_models_with_a_window_generate_as_alone(name: str) -> None:
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
        "sliding_window": 9,
        "initializer_range": 0.3,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    served, bare = (
        AutoModelForCausalLM.from_config(
            getattr(transformers, name)(**sizes), attn_implementation="sdpa"
        ).eval()
        for _ in range(2)
    )
    bare.load_state_dict(served.state_dict())
    engine = TransformersEngine(served, num_blocks=8, max_batch_tokens=40)
    try:
        answers = together(engine, [(prompt, GREEDY, 25) for prompt in PROMPTS])
    finally:
        engine.close()
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        tokens = torch.tensor([prompt])
        output = bare.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=25, do_sample=False
        )
        assert answer == output[0, len(prompt) :].tolist()


def test_a_closed_engine_says_so(small: Small, config: ServingConfig) -> None:
    engine = TransformersEngine.load(config)

    async def close_during_a_request() -> None:
        task = asyncio.create_task(all_of(engine, PROMPTS[0], GREEDY, 250))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(engine.close)
        await task

    with pytest.raises(EngineStoppedError, match="during this request"):
        asyncio.run(close_during_a_request())
    assert not engine.healthy()
    with pytest.raises(EngineStoppedError):
        together(engine, [(PROMPTS[0], GREEDY, 5)])


def test_an_adapter_is_merged(small: Small, config: ServingConfig, tmp_path: Path) -> None:
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32"),
        LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    adapted.save_pretrained(tmp_path / "adapter")
    merged = load_model(config.model_copy(update={"adapter": tmp_path / "adapter"}))
    tokens = PROMPTS[4]
    with torch.inference_mode():
        expected = adapted(torch.tensor([tokens])).logits[0].log_softmax(-1)
    with torch.inference_mode():
        logprobs = merged(torch.tensor([tokens])).logits[0].log_softmax(-1)
    assert torch.allclose(logprobs, expected, atol=1e-4)
    assert not torch.allclose(expected, small.logprobs(tokens), atol=1e-2)


def test_pickled_weights_are_refused(small: Small, config: ServingConfig, tmp_path: Path) -> None:
    small.model.config.save_pretrained(tmp_path)
    torch.save(small.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_model(config.model_copy(update={"model": tmp_path}))
    (tmp_path / "adapter_model.bin").touch()
    with pytest.raises(FileNotFoundError, match="safetensors only"):
        load_model(config.model_copy(update={"adapter": tmp_path}))
