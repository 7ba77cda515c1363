"""An engine whose model is one table: the next token depends on the last one alone, exactly."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
import zlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import torch
import uvicorn
from starlette.types import ASGIApp
from transformers import PreTrainedTokenizerBase

from serving.api import create_api
from serving.engine import (
    BASE,
    Alternatives,
    EngineStoppedError,
    GenerationJob,
    Guide,
    NewToken,
    Score,
    ScoreJob,
    UnknownAdapterError,
)
from serving.sampling import seeded_scores
from serving.service import Limits, Service

HIDDEN = 8


class TableEngine:
    """Serves a table of logits (vocabulary, vocabulary) for the base, one for each adapter.

    ``jobs`` and ``score_jobs`` hold what was asked. ``fault`` is raised by whatever is asked next,
    after ``tokens_before_fault`` tokens of a generation. ``pause_s`` stands before each token.
    """

    name = "table"
    context_tokens = 512

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        adapters: Sequence[str] = (),
        pause_s: float = 0.0,
    ) -> None:
        self.tokenizer = tokenizer
        self.vocabulary_size = len(tokenizer)
        self.end_tokens = frozenset([tokenizer.eos_token_id])
        self.pause_s = pause_s
        self.fault: Exception | None = None
        self.tokens_before_fault = 0
        self.closed = False
        self.running = 0
        self.jobs: list[GenerationJob] = []
        self.score_jobs: list[ScoreJob] = []
        self._tables = {name: self._table(name) for name in (BASE, *adapters)}

    def _table(self, name: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        shape = (self.vocabulary_size, self.vocabulary_size)
        logits = 3 * torch.randn(shape, generator=generator)
        logits[:, sorted(self.end_tokens)] = -20.0  # texts end at their limit, unless guided
        return logits

    def adapter_names(self) -> list[str]:
        return sorted(name for name in self._tables if name != BASE)

    def next_logprobs(self, token: int, adapter: str = BASE) -> torch.Tensor:
        """Log-probabilities (vocabulary,) of what comes after ``token``."""
        if adapter not in self._tables:
            raise UnknownAdapterError(adapter)
        return self._tables[adapter][token].log_softmax(-1)

    async def generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        self.jobs.append(job)
        self._check()
        wanted = None if job.guide is None else self._guided(job.guide)
        self.running += 1
        try:
            last = job.prompt[-1]
            for made in range(job.max_tokens):
                if self.fault is not None and made == self.tokens_before_fault:
                    raise self.fault
                await asyncio.sleep(self.pause_s)
                self._check()
                logprobs = self.next_logprobs(last, job.adapter)
                scores = logprobs
                if not job.sampling.greedy:
                    position = len(job.prompt) + made
                    scores = seeded_scores(logprobs, job.sampling, position)
                last = int(scores.argmax()) if wanted is None else wanted[made]
                if job.top is None:
                    yield [NewToken(last)]
                else:
                    own = float(logprobs[last])
                    yield [NewToken(last, own, best(logprobs, job.top))]
                if last in self.end_tokens:
                    return
        finally:
            self.running -= 1

    def _guided(self, guide: Guide) -> list[int]:
        """What is generated under a guide: the first choice, "1" for a regex, an empty object."""
        if guide.kind == "regex":
            try:
                re.compile(str(guide.value))
            except re.error as error:
                raise ValueError(str(error)) from None
            text = "1"
        elif guide.kind == "json_schema":
            if not isinstance(json.loads(str(guide.value)), dict):
                raise ValueError("a schema is an object")
            text = "{}"
        else:
            text = guide.value[0]
        return [*self.tokenizer.encode(text), *self.end_tokens]

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        self.score_jobs += jobs
        self._check()
        if self.fault is not None:
            raise self.fault
        await asyncio.sleep(self.pause_s)
        return [self._score(job) for job in jobs]

    def _score(self, job: ScoreJob) -> Score:
        logprobs: list[float | None] = [None]
        alternatives: list[Alternatives | None] = [None]
        for before, token in itertools.pairwise(job.tokens):
            row = self.next_logprobs(before, job.adapter)
            logprobs.append(float(row[token]))
            alternatives.append(best(row, job.top))
        after = self.next_logprobs(job.tokens[-1], job.adapter)
        following = best(after, job.top) if job.following else []
        return Score(logprobs[job.first :], alternatives[job.first :], following, job.first)

    async def embed(
        self, sequences: Sequence[Sequence[int]], adapter: str = BASE
    ) -> list[list[float]]:
        self._check()
        if adapter not in self._tables:
            raise UnknownAdapterError(adapter)
        table = self._tables[adapter]
        return [table[list(tokens), :HIDDEN].mean(0).tolist() for tokens in sequences]

    def _check(self) -> None:
        if self.closed:
            raise EngineStoppedError("the engine has ended")

    def healthy(self) -> bool:
        return not self.closed

    def close(self) -> None:
        self.closed = True


def best(logprobs: torch.Tensor, top: int) -> Alternatives:
    """The ``top`` most likely tokens and their log-probabilities."""
    found = logprobs.topk(top)
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


@contextmanager
def listening(api: ASGIApp) -> Iterator[str]:
    """Serve an application over real HTTP in a thread; gives its address."""
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


LIMITS = Limits(max_prompt_tokens=384, max_output_tokens=256, request_timeout_s=30.0)
MODEL = "table"


class TableEndpoint:
    """The application around a table, asked in this process. Its model is named ``table``."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        limits: Limits = LIMITS,
        *,
        stream_interval_s: float = 0.0,
        **options: Any,
    ) -> None:
        self.tokenizer = tokenizer
        self.engine = TableEngine(tokenizer, **options)
        self.service = Service(self.engine, tokenizer, MODEL, limits, stream_interval_s)
        self.api = create_api(self.service)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request; a stream is read to its end."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def post(self, path: str, **fields: Any) -> Any:
        """Return the body of an answer that must be 200."""
        fields = {"model": MODEL} | fields
        response = self.ask("POST", path, json=fields)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Return status and error object of an answer that must be an error in OpenAI's shape."""
        response = self.ask("POST", path, json={"model": MODEL} | fields)
        assert response.status_code >= 400, response.text
        assert set(response.json()) == {"error"}
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return response.status_code, error

    def events(self, path: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the events of a stream, which must end as it should."""
        body = {"model": MODEL, "stream": True} | fields
        response = self.ask("POST", path, json=body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        *lines, last = [line for line in response.text.split("\n\n") if line]
        assert last == "data: [DONE]"
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    def greedy(self, prompt: Sequence[int], count: int, adapter: str = BASE) -> list[int]:
        """What greedy generation gives after a prompt."""
        tokens = list(prompt)
        for _ in range(count):
            tokens.append(int(self.engine.next_logprobs(tokens[-1], adapter).argmax()))
        return tokens[len(prompt) :]

    def logprobs(self, tokens: Sequence[int], adapter: str = BASE) -> list[float]:
        """Log-probabilities of all tokens but the first."""
        pairs = itertools.pairwise(tokens)
        return [float(self.engine.next_logprobs(a, adapter)[b]) for a, b in pairs]
