from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

import loras
from engine_under_test import answers, at_once, greedy, logprobs
from loras import merged_models, save_loras
from serving.adapters import AdapterStore
from serving.engine import BASE, GenerationJob, ScoreJob, UnknownAdapterError
from serving.lora import LoraModel
from serving.sampling import Sampling
from serving.transformers_engine import TransformersEngine

if TYPE_CHECKING:
    from conftest import Small

GREEDY = Sampling(0)
PROMPTS = [list(range(20 + i, 30 + 5 * i)) for i in range(6)]
# vLLM does not take one of the head.
LORAS = loras.LORAS | {"head": {"r": 2, "target_modules": ["lm_head", "o_proj"]}}


@pytest.fixture(scope="module")
def folder(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    save_loras(small, folder, LORAS)
    return folder


@pytest.fixture(scope="module")
def merged(small: Small, folder: Path) -> dict[str, Any]:
    return merged_models(small, folder, LORAS)


@pytest.fixture(scope="module")
def engine(small: Small, folder: Path) -> Iterator[TransformersEngine]:
    model = AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32").eval()
    engine = TransformersEngine(
        model, num_blocks=16, max_batch_tokens=96, adapters=str(folder), loaded_adapters=2
    )
    yield engine
    engine.close()


def test_adapters_and_base_in_one_batch_answer_as_merged_models(
    engine: TransformersEngine, merged: dict[str, Any]
) -> None:
    assert engine.adapter_names() == sorted(LORAS)
    for first, second in (("attention", "everything"), ("patterns", "head")):
        names = [BASE, first, second, first, BASE, second]
        jobs = [
            GenerationJob(prompt, GREEDY, 20, adapter=name, top=3)
            for prompt, name in zip(PROMPTS, names, strict=True)
        ]
        for job, news in zip(jobs, answers(engine, jobs), strict=True):
            tokens = [new.token for new in news]
            assert tokens == greedy(merged[job.adapter], job.prompt, 20), job.adapter
            rows = logprobs(merged[job.adapter], [*job.prompt, *tokens])[len(job.prompt) - 1 : -1]
            for new, row in zip(news, rows, strict=True):
                assert new.logprob == pytest.approx(row[new.token].item(), abs=1e-4)


def test_adapters_and_base_in_one_batch_score_as_merged_models(
    engine: TransformersEngine, merged: dict[str, Any]
) -> None:
    names = [BASE, *LORAS, BASE, "head", "attention"]
    tokens = PROMPTS[3]
    jobs = [ScoreJob([*tokens, 40 + i], 5, adapter=name) for i, name in enumerate(names)]
    scores = asyncio.run(engine.score(jobs))
    embeddings = at_once(engine.embed([tokens], name) for name in names)
    for job, score, [embedding] in zip(jobs, scores, embeddings, strict=True):
        with torch.inference_mode():
            output = merged[job.adapter](torch.tensor([job.tokens])).logits[0].log_softmax(-1)
            states = merged[job.adapter].base_model(torch.tensor([tokens])).last_hidden_state[0]
        expected = [output[i - 1, job.tokens[i]].item() for i in range(5, len(job.tokens))]
        assert score.logprobs == pytest.approx(expected, abs=1e-4)
        assert score.following[0][1] == pytest.approx(output[-1].max().item(), abs=1e-4)
        assert embedding == pytest.approx(states.mean(0).tolist(), abs=1e-4)


@pytest.fixture
def store(small: Small, folder: Path) -> Iterator[AdapterStore]:
    model = AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32")
    store = AdapterStore(LoraModel(model).take, str(folder), 2)
    yield store
    store.close()


def test_the_least_recently_used_leaves_but_none_in_use(store: AdapterStore) -> None:
    async def use(name: str) -> Any:
        async with store.use(name) as adapter:
            return adapter

    async def play() -> None:
        first = await use("attention")
        async with store.use("head"):
            assert await use("attention") is first
            await use("patterns")  # in the place of "attention": "head" is older, but in use
            assert list(store._loaded) == ["head", "patterns"]
        again = await use("attention")
        assert again is not first and again.number != first.number
        assert list(store._loaded) == ["patterns", "attention"]

    asyncio.run(play())


def test_requests_wait_in_order_for_room(store: AdapterStore) -> None:
    async def play() -> None:
        order: list[str] = []
        release = asyncio.Event()

        async def hold(name: str) -> None:
            async with store.use(name):
                order.append(name)
                await release.wait()

        tasks = [asyncio.create_task(hold(name)) for name in ("attention", "head")]
        while len(order) < 2:
            await asyncio.sleep(0.01)
        third, fourth, given_up = (
            asyncio.create_task(hold(name)) for name in ("patterns", "head", "everything")
        )
        await asyncio.sleep(0.05)
        assert len(order) == 2  # the fourth waits behind the third, though its adapter is there
        given_up.cancel()
        release.set()
        await asyncio.gather(*tasks, third, fourth)
        assert sorted(order[2:]) == ["head", "patterns"]
        assert not store._waiting
        assert all(not loaded.users for loaded in store._loaded.values())

    asyncio.run(play())


def test_adapters_that_come_later_are_found(
    store: AdapterStore, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "head", folder / "late")
    try:

        async def use() -> None:
            async with store.use("late") as adapter:
                assert adapter is not None

        asyncio.run(use())
        assert "late" in store.names()
    finally:
        shutil.rmtree(folder / "late")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("peft_type", "IA3"),
        ("use_dora", True),
        ("bias", "all"),
        ("init_lora_weights", "pissa_niter_4"),
        ("modules_to_save", ["lm_head"]),
    ],
)
def test_other_kinds_of_adapters_are_refused(
    small: Small, folder: Path, tmp_path: Path, option: str, value: Any
) -> None:
    shutil.copytree(folder / "attention", tmp_path / "bad")
    file = tmp_path / "bad" / "adapter_config.json"
    options = json.loads(file.read_text())
    if option == "peft_type":
        options = {"peft_type": value, "target_modules": ["q_proj"], "feedforward_modules": []}
    file.write_text(json.dumps(options | {option: value}))
    store = AdapterStore(LoraModel(small.model).take, str(tmp_path), 2)

    async def use() -> None:
        async with store.use("bad"):
            pass

    with pytest.raises(UnknownAdapterError, match="only LORA" if option == "peft_type" else option):
        asyncio.run(use())
    assert not store._loaded
    store.close()


def test_pickles_and_adapters_of_other_models_are_refused(
    small: Small, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "attention", tmp_path / "pickle")
    (tmp_path / "pickle" / "adapter_model.safetensors").rename(
        tmp_path / "pickle" / "adapter_model.bin"
    )
    other = small.model.config.__class__(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    adapted = get_peft_model(
        AutoModelForCausalLM.from_config(other), LoraConfig(target_modules=["q_proj"])
    )
    adapted.save_pretrained(tmp_path / "other")
    store = AdapterStore(LoraModel(small.model).take, str(tmp_path), 2)

    async def use(name: str) -> None:
        async with store.use(name):
            pass

    with pytest.raises(UnknownAdapterError, match="safetensors only"):
        asyncio.run(use("pickle"))
    with pytest.raises(UnknownAdapterError, match="maps"):
        asyncio.run(use("other"))
    store.close()
