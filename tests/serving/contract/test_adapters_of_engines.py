"""What every engine's adapters must do; run with the engine that MEDRAY_TEST_ENGINE names."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs
import pytest
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

import loras
from engine_under_test import (
    ENGINE,
    LOGPROB_ERROR,
    answers,
    config_of,
    greedy,
    loaded,
    logprobs,
    texts,
)
from loras import merged_model, merged_models, save_lora, save_loras
from object_store import s3_server
from serving.engine import BASE, Engine, GenerationJob, ScoreJob, UnknownAdapterError
from serving.sampling import Sampling

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Small

GREEDY = Sampling(0)
PROMPTS = [list(range(20 + i, 30 + 5 * i)) for i in range(6)]
LORAS = loras.LORAS | {"output": {"r": 2, "target_modules": ["o_proj", "up_proj"]}}


@pytest.fixture(scope="module")
def folder(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    save_loras(small, folder, LORAS)
    return folder


@pytest.fixture(scope="module")
def merged(small: Small, folder: Path) -> dict[str, Any]:
    return merged_models(small, folder, LORAS)


@pytest.fixture(scope="module")
def engine(small: Small, folder: Path) -> Iterator[Engine]:
    config = config_of(small.folder, adapters=str(folder), loaded_adapters=2, max_adapter_rank=6)
    with loaded(config) as engine:
        yield engine


def test_adapters_and_base_in_one_batch_answer_as_merged_models(
    engine: Engine, merged: dict[str, Any]
) -> None:
    assert engine.adapter_names() == sorted(LORAS)
    for first, second in (("attention", "everything"), ("patterns", "output")):
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
                assert new.logprob == pytest.approx(row[new.token].item(), abs=LOGPROB_ERROR)


def test_adapters_and_base_in_one_batch_score_as_merged_models(
    engine: Engine, merged: dict[str, Any]
) -> None:
    # More adapters in one call than are in memory at once.
    names = [BASE, *LORAS, BASE, "output", "attention"]
    jobs = [ScoreJob([*PROMPTS[3], 40 + i], 5, adapter=name) for i, name in enumerate(names)]
    for job, score in zip(jobs, asyncio.run(engine.score(jobs)), strict=True):
        rows = logprobs(merged[job.adapter], job.tokens)
        expected = [rows[i - 1, job.tokens[i]].item() for i in range(5, len(job.tokens))]
        assert score.logprobs == pytest.approx(expected, abs=LOGPROB_ERROR)
        assert score.following[0][1] == pytest.approx(rows[-1].max().item(), abs=LOGPROB_ERROR)


def test_what_is_cached_is_never_shared_between_adapters(
    engine: Engine, merged: dict[str, Any]
) -> None:
    prompt = list(range(20, 120))  # several whole pages
    for name in (BASE, "attention", BASE, "everything", "attention", "patterns"):
        [tokens] = texts(engine, [GenerationJob(prompt, GREEDY, 10, adapter=name)])
        assert tokens == greedy(merged[name], prompt, 10), name
        job = ScoreJob([*prompt, 7], 100, adapter=name, following=False)
        [score] = asyncio.run(engine.score([job]))
        expected = logprobs(merged[name], prompt)[-1, 7].item()
        assert score.logprobs == pytest.approx([expected], abs=LOGPROB_ERROR), name


def test_an_abandoned_request_leaves_its_adapter_to_others(
    engine: Engine, merged: dict[str, Any]
) -> None:
    async def abandon(name: str) -> None:
        stream = engine.generate(GenerationJob(PROMPTS[0], GREEDY, 200, adapter=name))
        await anext(stream)
        await stream.aclose()

    for _ in range(2):
        for name in LORAS:
            asyncio.run(abandon(name))
    jobs = [GenerationJob(PROMPTS[1], GREEDY, 12, adapter=name) for name in LORAS]
    assert texts(engine, jobs) == [greedy(merged[name], PROMPTS[1], 12) for name in LORAS]


def test_an_unknown_adapter_is_told(engine: Engine) -> None:
    for name in ("nobody", "no-adapter", "../adapters/attention", "attention/"):
        with pytest.raises(UnknownAdapterError):
            texts(engine, [GenerationJob([5], GREEDY, 1, adapter=name)])
        with pytest.raises(UnknownAdapterError):
            asyncio.run(engine.score([ScoreJob([5, 6], adapter=name)]))


def test_an_adapter_that_comes_later_is_found(
    engine: Engine, folder: Path, merged: dict[str, Any]
) -> None:
    shutil.copytree(folder / "output", folder / "late")
    try:
        [tokens] = texts(engine, [GenerationJob(PROMPTS[2], GREEDY, 12, adapter="late")])
    finally:
        shutil.rmtree(folder / "late")
    assert tokens == greedy(merged["output"], PROMPTS[2], 12)


def test_what_cannot_be_taken_is_told_and_the_engine_goes_on(
    engine: Engine, folder: Path, small: Small, merged: dict[str, Any]
) -> None:
    bad = ["pickle", "dora", "other-model", *(["too-wide", "head"] if ENGINE == "vllm" else [])]
    shutil.copytree(folder / "output", folder / "pickle")
    weights = folder / "pickle" / "adapter_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    shutil.copytree(folder / "output", folder / "dora")
    about = folder / "dora" / "adapter_config.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"use_dora": True}))
    save_lora(small, folder / "too-wide", 9, r=9, target_modules=["q_proj"])
    save_lora(small, folder / "head", 9, r=2, target_modules=["lm_head"])
    other = AutoModelForCausalLM.from_config(
        small.model.config.__class__(vocab_size=50, hidden_size=32, num_hidden_layers=1)
    )
    adapted = get_peft_model(other, LoraConfig(target_modules=["q_proj"]))
    adapted.save_pretrained(folder / "other-model")
    reasons = {"pickle": "safetensors only", "dora": "use_dora", "other-model": "maps"}
    reasons["too-wide"] = "rank 9; there is room for 8: say a larger max_adapter_rank"
    reasons["head"] = "a LoRA of lm_head is not taken by the engine vllm"
    try:
        for name in bad:
            with pytest.raises(UnknownAdapterError, match=reasons[name]):
                texts(engine, [GenerationJob(PROMPTS[0], GREEDY, 1, adapter=name)])
    finally:
        for name in {*bad, "too-wide", "head"}:
            shutil.rmtree(folder / name)
    [tokens] = texts(engine, [GenerationJob(PROMPTS[0], GREEDY, 8, adapter="attention")])
    assert tokens == greedy(merged["attention"], PROMPTS[0], 8)


def test_adapters_lie_in_an_object_store_beside_one_that_is_merged(
    small: Small, folder: Path
) -> None:
    with s3_server() as (uri, _):
        filesystem, path = pafs.FileSystem.from_uri(f"{uri}/adapters")
        pafs.copy_files(str(folder / "output"), f"{path}/output", destination_filesystem=filesystem)
        config = config_of(small.folder, adapters=f"{uri}/adapters", adapter=folder / "attention")
        with loaded(config) as engine:
            assert engine.adapter_names() == ["output"]
            names = (BASE, "output")
            jobs = [GenerationJob(PROMPTS[3], GREEDY, 12, adapter=name) for name in names]
            of_base, of_output = texts(engine, jobs)
    base = merged_model(small, folder / "attention")
    assert of_base == greedy(base, PROMPTS[3], 12)
    both = PeftModel.from_pretrained(base, folder / "output").merge_and_unload().eval()
    assert of_output == greedy(both, PROMPTS[3], 12)
