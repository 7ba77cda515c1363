"""Endpoints by HTTP: tokens a second and time to the first text, at 1, 8 and 32 clients.

medray and its peers serve the same folder of a random Llama, each alone on the machine, in turn;
the clients are one more process. The ceiling is `model.generate` on the same prompts at once,
left-padded, without HTTP. vLLM's rows are there where `make test-vllm` has built its environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import torch
from bench_serving import left_padded
from servers import running
from texts import sample_texts

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.models.small import NewModelConfig, make_model
from medray.runtime import free_port

CLIENTS = (1, 8, 32)
NEW_TOKENS = 64
VOCABULARY_SIZE = 4096
NAME = "model"
CEILING = "generate, left-padded (ceiling)"
SIZES = {
    "small": NewModelConfig(),
    "medium": NewModelConfig(
        hidden_size=768, layers=12, attention_heads=12, key_value_heads=4, feed_forward_size=2048
    ),
}
HAPROXY_VARIABLES = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
VLLM = Path(__file__).parents[2] / ".venv-vllm" / "bin"
VLLM_VARIABLES = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def servers(folder: Path, port: int) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the command and the variables of each server."""
    bin_folder = Path(sys.executable).parent
    listen = ["--port", str(port)]
    medray = [sys.executable, "-m", "jobs.cli", "serve", str(folder), "--name", NAME, *listen]
    made: dict[str, tuple[list[str], dict[str, str]]] = {
        "medray": (medray, {}),
        "medray behind HAProxy": (medray, HAPROXY_VARIABLES),
        "transformers serve": (
            [
                *(str(bin_folder / "transformers"), "serve", str(folder), *listen),
                *("--continuous-batching", "--device", "cpu", "--dtype", "float32"),
            ],
            {},
        ),
    }
    if VLLM.is_dir():
        made["vllm serve"] = (
            [
                *(str(VLLM / "vllm"), "serve", str(folder), *listen),
                *("--served-model-name", NAME, "--dtype", "float32"),
                *("--enforce-eager", "--max-model-len", "4096"),
            ],
            VLLM_VARIABLES,
        )
        made["medray on vLLM"] = (
            [str(VLLM / "python"), "-m", "jobs.serve", *medray[4:]],
            VLLM_VARIABLES,
        )
    return made


@dataclass(frozen=True)
class Sample:
    """One run: seconds to the first text of each request, and of all requests together."""

    first_s: list[float]
    wall_s: float


def ask(url: str, model: str, prompts: Sequence[str]) -> Sample:
    """Send each prompt by a client of its own, all at once, and read the streams."""
    return asyncio.run(_ask(url, model, prompts))


async def _ask(url: str, model: str, prompts: Sequence[str]) -> Sample:
    first_s: list[float] = []

    async def one(client: httpx.AsyncClient, prompt: str) -> None:
        body = {"model": model, "prompt": prompt, "max_tokens": NEW_TOKENS, "stream": True}
        began, waiting = time.perf_counter(), True
        async with client.stream("POST", url, json=body | {"temperature": 0}) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and _text(line) and waiting:
                    first_s.append(time.perf_counter() - began)
                    waiting = False
        if waiting:  # half a character, repeated to the end
            first_s.append(time.perf_counter() - began)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        began = time.perf_counter()
        await asyncio.gather(*[one(client, prompt) for prompt in prompts])
        return Sample(first_s, time.perf_counter() - began)


def _text(line: str) -> str:
    event = json.loads(line.removeprefix("data: "))
    if "choices" not in event:
        raise RuntimeError(f"a stream told of an error: {line}")
    return "".join(choice["text"] for choice in event["choices"])


def by_generate(folder: str, prompts: Sequence[str]) -> Sample:
    """The ceiling; the time to the first text is that of one new token for all."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = [tokenizer.encode(prompt) for prompt in prompts]
    walls = []
    for new_tokens in (1, 1, NEW_TOKENS):  # the first one warms up
        began = time.perf_counter()
        left_padded(model, tokens, new_tokens)
        walls.append(time.perf_counter() - began)
    return Sample([walls[1]] * len(prompts), walls[2])


def make_folder(size: NewModelConfig, folder: Path) -> list[str]:
    """Save a random model that never ends a text by itself; return prompts of 16 to 76 tokens."""
    texts = sample_texts("en", 0.05)
    tokenizer = train_tokenizer(iter(texts), VOCABULARY_SIZE)
    model = make_model(size, tokenizer, seed=0)
    model.generation_config.eos_token_id = None
    model.config.eos_token_id = None
    with torch.no_grad():  # nor writes a token that is no text; the embedding is the head too
        model.get_input_embeddings().weight[tokenizer.all_special_ids] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"random Llama, {model.num_parameters() / 1e6:.1f} M parameters, fp32, one thread")
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = [row for row in rows if len(row) >= 160]
    return [
        tokenizer.decode(rows[number % len(rows)][number : number + 16 + (4 * number) % 61])
        for number in range(2 * max(CLIENTS))
    ]


def served(
    folder: Path, port: int, name: str, log: Path
) -> tuple[AbstractContextManager[None], str]:
    """Return a server to start, and the model's name to ask it for."""
    command, variables = servers(folder, port)[name]
    model = str(folder) if name.startswith("transformers") else NAME
    body = {"model": model, "prompt": "Fever", "max_tokens": 4}
    url = f"http://127.0.0.1:{port}/v1/completions"
    environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **variables}
    return running(command, environment, lambda: httpx.post(url, json=body, timeout=60), log), model


def show(name: str, clients: int, samples: Sequence[Sample], ceiling: Sequence[Sample]) -> None:
    """Print a line: medians over the rounds (min-max), and the share of the ceiling's speed."""
    speeds = [len(sample.first_s) * NEW_TOKENS / sample.wall_s for sample in samples]
    first = [statistics.median(sample.first_s) for sample in samples]
    shares = [top.wall_s / sample.wall_s for sample, top in zip(samples, ceiling, strict=True)]
    print(
        f"  {name:34}{clients:>8}{statistics.median(speeds):>12.0f}"
        f" ({min(speeds):.0f}-{max(speeds):.0f})".ljust(72)
        + f"{statistics.median(first) * 1e3:>10.0f}{statistics.median(shares):>12.2f}",
        flush=True,
    )


def main() -> None:
    """Measure every server in turn, round by round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="servers whose names begin so")
    options = parser.parse_args()
    samples: dict[tuple[str, int], list[Sample]] = {}
    with TemporaryDirectory() as name, multiprocessing.get_context("spawn").Pool(1) as pool:
        folder = Path(name) / "folder"
        prompts = make_folder(SIZES[options.size], folder)
        for _ in range(options.rounds):
            for clients in CLIENTS:
                sample = pool.apply(by_generate, (str(folder), prompts[:clients]))
                samples.setdefault((CEILING, clients), []).append(sample)
            for server in servers(folder, 0):
                if options.only and not server.startswith(tuple(options.only)):
                    continue
                port = free_port()
                start, model = served(folder, port, server, Path(name) / "log")
                url = f"http://127.0.0.1:{port}/v1/completions"
                with start:
                    pool.apply(ask, (url, model, prompts[-8:]))
                    for clients in CLIENTS:
                        sample = pool.apply(ask, (url, model, prompts[:clients]))
                        samples.setdefault((server, clients), []).append(sample)
    print(f"bench_endpoint: greedy, {NEW_TOKENS} new tokens, streamed; medians over the rounds")
    print(f"  {'':34}{'clients':>8}{'tokens/s on the clock':>30}{'first, ms':>10}{'/ceiling':>12}")
    for clients in CLIENTS:
        for name in dict.fromkeys(name for name, _ in samples):
            show(name, clients, samples[name, clients], samples[CEILING, clients])


if __name__ == "__main__":
    main()
