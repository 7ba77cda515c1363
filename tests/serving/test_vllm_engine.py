"""What is the engine vllm's own, where vLLM is installed: its processes, its cache, its logs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from engine_under_test import answer, at_once, config_of, texts
from serving.api import create_api
from serving.engine import EngineStoppedError, GenerationJob, ScoreJob
from serving.engines import load_engine
from serving.sampling import Sampling
from serving.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Small

    from serving.config import ServingConfig
    from serving.vllm_engine import VllmEngine

# Asked without importing it: its logging is set up at the first import.
HAS_VLLM = importlib.util.find_spec("vllm") is not None
pytestmark = pytest.mark.skipif(not HAS_VLLM, reason="vllm is not installed here")

GREEDY = Sampling(0)
PROMPT = list(range(20, 120))


@pytest.fixture(scope="module")
def folder(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three adapters."""
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("one", "two", "three")):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(small.folder, dtype="float32")
        options = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        get_peft_model(model, options).save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def served(small: Small, folder: Path) -> ServingConfig:
    return config_of(small.folder, adapters=str(folder), loaded_adapters=2)


@pytest.fixture(scope="module")
def engine(served: ServingConfig) -> Iterator[VllmEngine]:
    engine: Any = load_engine(served)  # engine: auto
    assert engine.name == "vllm"
    yield engine
    engine.close()


def until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_abandoned_request_leaves_nothing(engine: VllmEngine) -> None:
    async def abandon() -> None:
        stream = engine.generate(GenerationJob(PROMPT, GREEDY, 200))
        await anext(stream)
        await stream.aclose()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await engine.score([ScoreJob([*PROMPT, i]) for i in range(200)])

    at_once(abandon() for _ in range(8))
    asyncio.run(give_up())
    until(lambda: engine._llm.get_num_unfinished_requests() == 0)


def test_what_comes_from_the_cache(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    inner = engine._last

    async def counted(job: ScoreJob, *rest: Any, **options: Any) -> Any:
        output = await inner(job, *rest, **options)
        read.append(len(job.tokens) - output.num_cached_tokens)
        return output

    monkeypatch.setattr(engine, "_last", counted)
    beginning = [(7 * i) % 300 + 2 for i in range(200)]
    options = [ScoreJob([*beginning, i], 200, following=False) for i in range(5, 9)]
    asyncio.run(engine.score(options))
    # The first option reads all; each other one what is behind six pages of 32 tokens.
    assert sorted(read) == [201 - 192] * 3 + [201]
    read.clear()
    asyncio.run(engine.score([ScoreJob(beginning, 0)]))  # all of it is wanted
    assert read == [200]
    read.clear()
    # What is wanted lies in the cache, without log-probabilities: it is read again as a whole.
    asyncio.run(engine.score([ScoreJob([*beginning, 5], 100)]))
    assert read == [201 - 192, 201]


def test_adapters_that_leave_are_gone(engine: VllmEngine) -> None:
    for name in ("one", "two", "three", "one", "three"):
        texts(engine, [GenerationJob(PROMPT, GREEDY, 2, adapter=name)])
    numbers = engine._thread.start(engine._llm.list_loras()).result()
    kept = {path.name for path in engine._scratch.iterdir()}
    assert len(numbers) == 2
    assert kept == {f"adapter-{number}" for number in numbers}


def test_embeddings_are_refused_by_the_endpoint(engine: VllmEngine, served: ServingConfig) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_api(Service.of(engine, served)))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            body = {"model": served.model_name, "input": "Fever"}
            return await client.post("/v1/embeddings", json=body)

    response = asyncio.run(ask())
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported")
    assert "engine: transformers has them" in error["message"]


def test_requests_fail_when_vllms_process_dies(small: Small) -> None:
    dying: Any = load_engine(config_of(small.folder))

    async def run() -> None:
        job = GenerationJob(PROMPT, GREEDY, 256)
        tasks = [asyncio.create_task(answer(dying, job)) for _ in range(4)]
        await asyncio.sleep(0.05)
        [core] = dying._llm.engine_core.resources.engine_manager.processes
        core.kill()
        for task in tasks:
            with pytest.raises(EngineStoppedError, match="during this request"):
                await task

    try:
        asyncio.run(run())
        assert not dying.healthy()
        with pytest.raises(EngineStoppedError):
            asyncio.run(dying.score([ScoreJob(PROMPT)]))
        with pytest.raises(EngineStoppedError):
            asyncio.run(answer(dying, GenerationJob(PROMPT, GREEDY, 2)))
    finally:
        dying.close()


REPLICA = """
import logging, sys, time
from serving.config import ServingConfig
from serving.engines import load_engine
if __name__ == "__main__":
    engine = load_engine(ServingConfig.model_validate_json(sys.argv[1]))
    silent = ("vllm.logging_utils.dump_input", "vllm.v1.structured_output.backend_guidance")
    print(*(logging.getLogger(name).isEnabledFor(logging.ERROR) for name in silent), flush=True)
    time.sleep(600)
"""


def test_a_replicas_process_logs_no_requests_and_leaves_no_process_when_it_is_killed(
    small: Small, tmp_path: Path
) -> None:
    (tmp_path / "replica.py").write_text(REPLICA)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "replica.py"), config_of(small.folder).model_dump_json()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    children: list[psutil.Process] = []
    try:
        assert process.stdout.readline() == "False False\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 3
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []
    finally:
        for left in (process, *children):
            with suppress(psutil.NoSuchProcess):
                left.kill()
        process.wait()


def test_the_verb_alone_serves_by_vllm(small: Small) -> None:
    """In an environment where nothing but what serving needs is installed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    arguments = [str(small.folder), "--port", "0", "--engine", "vllm"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ours | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        command = process.stdout.readline().partition("try: ")[2]
        url = shlex.split(command)[2].removesuffix("/v1/completions")
        answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert '"object":"text_completion"' in answer.stdout
        assert 'engine="vllm"' in httpx.get(f"{url}/metrics").text
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("VLLM" in child.name() for child in children)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        _, alive = psutil.wait_procs(children, timeout=30)
        assert [child for child in alive if "VLLM" in child.name()] == []
    finally:
        process.kill()


def test_the_same_seed_and_choice_are_one_number() -> None:
    from serving.vllm_tokens import seed_of

    samplings = [
        Sampling(1.0, seed=seed, choice=choice) for seed in (0, 1, 2**64 - 1) for choice in (0, 1)
    ]
    seeds = [seed_of(sampling) for sampling in samplings]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == [seed_of(sampling) for sampling in samplings]


def test_json_has_the_white_space_of_the_default_engine() -> None:
    from serving.engine import Guide
    from serving.guides import JSON_FORM
    from serving.vllm_tokens import structured_outputs

    schema = json.loads(structured_outputs(Guide("json_schema", '{"type": "object"}')).json)
    assert schema == {"type": "object", "x-guidance": JSON_FORM}
