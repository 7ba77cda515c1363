from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from serving.engine import EngineStoppedError, GenerationJob, ScoreJob
from serving.sampling import Sampling
from serving.transformers_engine import TransformersEngine, load_model, score_batch

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
    assert not engine._listeners
    assert not engine._manager.batch_processor.scheduler.active_requests


def test_scores_equal_a_direct_forward(
    engine: TransformersEngine, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So little room that eight sequences need several batches.
    monkeypatch.setattr("serving.transformers_engine.SCORE_LOGITS_BYTES", 4 * 400 * 100)
    sequences = [*PROMPTS, [7]]
    scores = asyncio.run(engine.score([ScoreJob(tokens, top=5) for tokens in sequences]))
    for tokens, score in zip(sequences, scores, strict=True):
        expected = small.logprobs(tokens)
        assert score.logprobs[0] is None
        assert score.alternatives[0] is None
        for place in range(1, len(tokens)):
            row = expected[place - 1]
            assert score.logprobs[place] == pytest.approx(row[tokens[place]].item(), abs=1e-4)
            assert [token for token, _ in score.alternatives[place]] == row.topk(5).indices.tolist()
        values = [value for _, value in score.following]
        assert values == pytest.approx(expected[-1].topk(5).values.tolist(), abs=1e-4)


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
    [score] = score_batch(merged, [tokens], 1)
    assert score.following[0][1] == pytest.approx(expected[-1].max().item(), abs=1e-4)
    assert not torch.allclose(expected, small.logprobs(tokens), atol=1e-2)


def test_pickled_weights_are_refused(small: Small, config: ServingConfig, tmp_path: Path) -> None:
    small.model.config.save_pretrained(tmp_path)
    torch.save(small.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_model(config.model_copy(update={"model": tmp_path}))
    (tmp_path / "adapter_model.bin").touch()
    with pytest.raises(FileNotFoundError, match="safetensors only"):
        load_model(config.model_copy(update={"adapter": tmp_path}))
