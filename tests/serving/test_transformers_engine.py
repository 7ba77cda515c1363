from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from serving.engine import GenerationJob
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


def test_an_abandoned_request_leaves_nothing(engine: TransformersEngine) -> None:
    async def abandon() -> list[int]:
        stream = engine.generate(GenerationJob(PROMPTS[0], GREEDY, 250))
        first = await anext(stream)
        await stream.aclose()
        return [new.token for new in first]

    assert len(asyncio.run(abandon())) == 1
    assert len(together(engine, [(PROMPTS[1], GREEDY, 5)])[0]) == 5
    assert not len(engine._batches.deliveries)
    assert not engine._batches.batch_processor.scheduler.active_requests


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
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(FileNotFoundError, match="safetensors only"):
        load_model(config.model_copy(update={"adapter": tmp_path}))
