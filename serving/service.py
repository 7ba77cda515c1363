"""One served model, as every route sees it: its names, its tokenizer, its limits, its engine."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from serving.answers.guides import guide_of
from serving.config import ServingConfig
from serving.engine import BASE, Engine, Score, ScoreJob
from serving.generation import Generated, Job, Piece, run_jobs, timed_out
from serving.metrics import Metrics
from serving.protocol import (
    ChatCompletionRequest,
    CompletionRequest,
    ModelCard,
    ModelList,
    RequestError,
    Usage,
)
from serving.sampling import Sampling
from serving.text import TokenNames

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    max_prompt_tokens: int
    max_output_tokens: int
    request_timeout_s: float


class Service:
    """What the answers of all routes share. Raises ``RequestError`` for what a client got wrong."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: PreTrainedTokenizerBase,
        model_name: str,
        limits: Limits,
        stream_interval_s: float = 0.0,
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.names = TokenNames(tokenizer)
        self.model_name = model_name
        self.limits = limits
        self._stream_interval_s = stream_interval_s
        self.metrics = Metrics(engine.name)
        self._created = int(time.time())

    @classmethod
    def of(cls, engine: Engine, config: ServingConfig) -> Service:
        """Put the tokenizer and the limits of ``config`` around an engine."""
        tokenizer = AutoTokenizer.from_pretrained(
            config.model, local_files_only=True, trust_remote_code=False
        )
        limits = Limits(
            config.max_prompt_tokens, config.max_output_tokens, config.request_timeout_s
        )
        return cls(engine, tokenizer, config.model_name, limits, config.stream_interval_s)

    # Models

    def models(self) -> ModelList:
        """Return the base, then every adapter as ``base:adapter``."""
        adapters = [f"{self.model_name}:{name}" for name in self.engine.adapter_names()]
        return ModelList(data=[self._card(name) for name in (self.model_name, *adapters)])

    def model(self, name: str) -> ModelCard:
        self.adapter_of(name)
        return self._card(name)

    def adapter_of(self, name: str | None) -> str:
        """Return the adapter that a model's name asks for; None asks for the base."""
        if name is None or name == self.model_name:
            return BASE
        base, adapter = name[: len(self.model_name) + 1], name[len(self.model_name) + 1 :]
        if base == f"{self.model_name}:" and adapter in self.engine.adapter_names():
            return adapter
        raise RequestError(
            "no such model here; GET /v1/models lists them",
            "model",
            status=404,
            code="model_not_found",
        )

    def _card(self, name: str) -> ModelCard:
        return ModelCard(id=name, created=self._created, root=self.model_name)

    # Prompts

    def prompt_tokens(self, prompt: str | list[int], field: str) -> list[int]:
        """Return the tokens of a text or a list of tokens, checked; ``field`` is blamed."""
        tokens = self.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
        return self.accepted(tokens, field)

    def accepted(self, tokens: list[int], field: str) -> list[int]:
        """Return a prompt that the engine can take, and count its tokens."""
        if not tokens:
            raise RequestError("a prompt has no tokens", field)
        self.check_token_ids(tokens, field)
        most = min(self.limits.max_prompt_tokens, self.engine.context_tokens)
        if len(tokens) > most:
            raise RequestError(
                f"the prompt has {len(tokens)} tokens; at most {most} are taken",
                field,
                code="context_length_exceeded",
            )
        self.metrics.prompt_accepted(len(tokens))
        return tokens

    def check_token_ids(self, tokens: Sequence[int], field: str) -> None:
        size = self.engine.vocabulary_size
        if tokens and not 0 <= min(tokens) <= max(tokens) < size:
            raise RequestError(f"a token id is outside 0 ... {size - 1}", field)

    # Jobs

    def jobs(
        self,
        request: CompletionRequest | ChatCompletionRequest,
        prompt: list[int],
        *,
        adapter: str,
        max_tokens: int,
        choices: int,
        top: int | None,
    ) -> list[Job]:
        """Return the jobs of one prompt, one a choice. ``top``: as ``GenerationJob`` has it."""
        if max_tokens > self.limits.max_output_tokens:
            raise RequestError(
                f"max_tokens is {max_tokens}; at most {self.limits.max_output_tokens} are taken",
                "max_tokens",
            )
        # The last generated token is never read again, so it needs no position.
        positions = len(prompt) + max(max_tokens, 1) - 1
        if positions > self.engine.context_tokens:
            raise RequestError(
                f"{len(prompt)} prompt tokens and max_tokens {max_tokens} need {positions} "
                f"positions; the model has {self.engine.context_tokens}",
                "max_tokens",
                code="context_length_exceeded",
            )
        seed = secrets.randbits(64) if request.seed is None else request.seed % 2**64
        guide, guide_field = guide_of(request), next(iter(request.guide_fields), None)
        return [
            Job(
                prompt,
                Sampling(request.temperature, request.top_p, seed, choice),
                max_tokens,
                request.stop,
                adapter,
                guide,
                guide_field,
                top,
            )
            for choice in range(choices)
        ]

    def stream(self, jobs: Sequence[Job]) -> AsyncGenerator[Piece]:
        """Yield the pieces of all jobs, one a job every ``stream_interval_s``; see ``run_jobs``."""
        return self._run(jobs, self._stream_interval_s)

    async def _run(self, jobs: Sequence[Job], interval_s: float) -> AsyncGenerator[Piece]:
        """Yield the pieces of all jobs and count them."""
        begun: float | None = time.monotonic()
        timeout_s = self.limits.request_timeout_s
        pieces = run_jobs(self.engine, self.tokenizer, jobs, timeout_s, interval_s)
        async with aclosing(pieces):
            async for piece in pieces:
                if piece.tokens and begun is not None:
                    self.metrics.first_token_after(time.monotonic() - begun)
                    begun = None
                self.metrics.tokens_generated(len(piece.tokens))
                yield piece

    async def generate(self, jobs: Sequence[Job]) -> list[Generated]:
        """Return what the jobs generated, each as a whole."""
        generated = [Generated() for _ in jobs]
        async with aclosing(self._run(jobs, interval_s=0.0)) as pieces:
            async for piece in pieces:
                generated[piece.index].add(piece)
        return generated

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        """Score within the time that a request may take."""
        return await self.within_time(self.engine.score(jobs))

    async def within_time(self, answer: Awaitable[Answer]) -> Answer:
        """Await one answer of the engine; ``RequestError`` (504) when it takes too long."""
        try:
            async with asyncio.timeout(self.limits.request_timeout_s):
                return await answer
        except TimeoutError:
            raise timed_out(self.limits.request_timeout_s) from None


def usage(jobs: Sequence[Job], choices_per_prompt: int, completion_tokens: int) -> Usage:
    """Count every prompt once and every generated token."""
    prompt_tokens = sum(len(job.prompt) for job in jobs[::choices_per_prompt])
    return Usage(
        completion_tokens=completion_tokens,
        prompt_tokens=prompt_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )
