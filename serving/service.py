"""Requests to answers: the endpoint's behaviour, apart from HTTP, Ray and the engine's kind."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from serving import logprobs
from serving.chat import chat_prompt
from serving.config import ServingConfig
from serving.engine import Engine, NewToken, Score, ScoreJob
from serving.generation import Generated, Job, Piece, run_jobs, timed_out
from serving.protocol import (
    AnswerMessage,
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Completion,
    CompletionChoice,
    CompletionRequest,
    Delta,
    ModelCard,
    ModelList,
    RequestError,
    Usage,
)
from serving.sampling import Sampling
from serving.text import TokenNames, decode


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    max_prompt_tokens: int
    max_output_tokens: int
    request_timeout_s: float


class Service:
    """Answers of one served model. Raises ``RequestError`` for what a client got wrong."""

    def __init__(
        self, engine: Engine, tokenizer: PreTrainedTokenizerBase, model_name: str, limits: Limits
    ) -> None:
        self.engine = engine
        self._tokenizer = tokenizer
        self._names = TokenNames(tokenizer)
        self._model_name = model_name
        self._limits = limits
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
        return cls(engine, tokenizer, config.model_name, limits)

    # Models

    def models(self) -> ModelList:
        return ModelList(data=[ModelCard(id=self._model_name, created=self._created)])

    def model(self, name: str) -> ModelCard:
        self._check_model(name)
        return self.models().data[0]

    # Completions

    def completion_jobs(self, request: CompletionRequest) -> list[Job]:
        """Check the request and return its jobs: n for each prompt, prompt by prompt."""
        self._check_model(request.model)
        return [
            job
            for prompt in request.prompts
            for job in self._jobs(request, self._prompt_tokens(prompt), request.max_tokens)
        ]

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer a request without stream."""
        jobs = self.completion_jobs(request)
        if request.logprobs is not None and _is_scoring(request):
            generated, scores = await self._score_only(jobs, request.logprobs)
        else:
            generated = await self._generate(jobs)
            scores = (
                []
                if request.logprobs is None
                else await self._score(jobs, generated, request.logprobs)
            )
        choices = []
        for index, (job, result) in enumerate(zip(jobs, generated, strict=True)):
            echo = self._echo(request, index) if request.echo else ""
            choice = CompletionChoice(
                finish_reason=result.finish_reason, index=index, text=echo + result.text
            )
            if request.logprobs is not None:
                skipped = 0 if request.echo else len(job.prompt)
                choice.logprobs = logprobs.completion_logprobs(
                    self._tokenizer,
                    self._names,
                    job.prompt + result.token_ids,
                    scores[index],
                    skipped=skipped,
                    top=request.logprobs,
                )
            choices.append(choice)
        usage = _usage(jobs, request.n, sum(len(result.tokens) for result in generated))
        return Completion(choices=choices, model=self._model_name, usage=usage)

    async def stream_completion(
        self, request: CompletionRequest, jobs: Sequence[Job]
    ) -> AsyncGenerator[Completion]:
        """Yield the events of a stream; each piece of text is one event."""
        head = Completion(choices=[], model=self._model_name)
        if request.echo:
            for index in range(len(jobs)):
                choice = CompletionChoice(
                    finish_reason=None, index=index, text=self._echo(request, index)
                )
                yield head.model_copy(update={"choices": [choice]})
        token_count = 0
        async with aclosing(self._run(jobs)) as pieces:
            async for piece in pieces:
                token_count += len(piece.tokens)
                if piece.text or piece.finish_reason:
                    choice = CompletionChoice(
                        finish_reason=piece.finish_reason, index=piece.index, text=piece.text
                    )
                    yield head.model_copy(update={"choices": [choice]})
        if request.stream_options and request.stream_options.include_usage:
            yield head.model_copy(update={"usage": _usage(jobs, request.n, token_count)})

    def _echo(self, request: CompletionRequest, index: int) -> str:
        prompt = request.prompts[index // request.n]
        return prompt if isinstance(prompt, str) else decode(self._tokenizer, prompt)

    # Chat

    def chat_jobs(self, request: ChatCompletionRequest) -> list[Job]:
        """Check the request and return its n jobs; with no limit, an answer takes what is left."""
        self._check_model(request.model)
        prompt = self._checked_prompt(chat_prompt(self._tokenizer, request.messages))
        room = self.engine.context_tokens - len(prompt) + 1
        max_tokens = request.max_completion_tokens or request.max_tokens
        if max_tokens is None:
            max_tokens = max(1, min(room, self._limits.max_output_tokens))
        return self._jobs(request, prompt, max_tokens)

    async def chat(self, request: ChatCompletionRequest) -> ChatCompletion:
        """Answer a request without stream."""
        jobs = self.chat_jobs(request)
        generated = await self._generate(jobs)
        top = request.top_logprobs or 0
        scores = await self._score(jobs, generated, top) if request.logprobs else []
        choices = []
        for index, (job, result) in enumerate(zip(jobs, generated, strict=True)):
            choice = ChatChoice(
                finish_reason=result.finish_reason,
                index=index,
                message=AnswerMessage(content=result.text),
            )
            if request.logprobs:
                choice.logprobs = logprobs.chat_logprobs(
                    self._names, job.prompt, result.token_ids, scores[index], top=top
                )
            choices.append(choice)
        usage = _usage(jobs, request.n, sum(len(result.tokens) for result in generated))
        return ChatCompletion(choices=choices, model=self._model_name, usage=usage)

    async def stream_chat(
        self, request: ChatCompletionRequest, jobs: Sequence[Job]
    ) -> AsyncGenerator[ChatCompletionChunk]:
        """Yield the events of a stream: the role first, then text, then the finish reason."""
        whole = ChatCompletion(choices=[], model=self._model_name, usage=_usage(jobs, 1, 0))
        head = ChatCompletionChunk(
            id=whole.id, choices=[], created=whole.created, model=whole.model
        )
        for index in range(len(jobs)):
            delta = Delta(role="assistant", content="")
            choice = ChatChunkChoice(delta=delta, finish_reason=None, index=index)
            yield head.model_copy(update={"choices": [choice]})
        token_count = 0
        async with aclosing(self._run(jobs)) as pieces:
            async for piece in pieces:
                token_count += len(piece.tokens)
                if piece.text or piece.finish_reason:
                    choice = ChatChunkChoice(
                        delta=Delta(content=piece.text or None),
                        finish_reason=piece.finish_reason,
                        index=piece.index,
                    )
                    yield head.model_copy(update={"choices": [choice]})
        if request.stream_options and request.stream_options.include_usage:
            yield head.model_copy(update={"usage": _usage(jobs, request.n, token_count)})

    # What both share

    def _check_model(self, name: str) -> None:
        if name != self._model_name:
            raise RequestError(
                f"no model {name!r} here; there is {self._model_name!r}",
                "model",
                status=404,
                code="model_not_found",
            )

    def _prompt_tokens(self, prompt: str | list[int]) -> list[int]:
        tokens = self._tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
        return self._checked_prompt(tokens)

    def _checked_prompt(self, tokens: list[int]) -> list[int]:
        if not tokens:
            raise RequestError("a prompt has no tokens", "prompt")
        size = self.engine.vocabulary_size
        if not 0 <= min(tokens) <= max(tokens) < size:
            raise RequestError(f"a token id is outside 0 ... {size - 1}", "prompt")
        most = min(self._limits.max_prompt_tokens, self.engine.context_tokens)
        if len(tokens) > most:
            raise RequestError(
                f"the prompt has {len(tokens)} tokens; at most {most} are taken",
                "prompt",
                code="context_length_exceeded",
            )
        return tokens

    def _jobs(
        self,
        request: CompletionRequest | ChatCompletionRequest,
        prompt: list[int],
        max_tokens: int,
    ) -> list[Job]:
        if max_tokens > self._limits.max_output_tokens:
            raise RequestError(
                f"max_tokens is {max_tokens}; at most {self._limits.max_output_tokens} are taken",
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
        return [
            Job(
                prompt,
                Sampling(request.temperature, request.top_p, seed, choice),
                max_tokens,
                request.stop,
            )
            for choice in range(request.n)
        ]

    def _run(self, jobs: Sequence[Job]) -> AsyncGenerator[Piece]:
        return run_jobs(self.engine, self._tokenizer, jobs, self._limits.request_timeout_s)

    async def _generate(self, jobs: Sequence[Job]) -> list[Generated]:
        generated = [Generated() for _ in jobs]
        async with aclosing(self._run(jobs)) as pieces:
            async for piece in pieces:
                generated[piece.index].add(piece)
        return generated

    async def _score(
        self, jobs: Sequence[Job], generated: Sequence[Generated], top: int
    ) -> list[Score]:
        sequences = [
            ScoreJob(job.prompt + result.token_ids, top=max(top, 1), adapter=job.adapter)
            for job, result in zip(jobs, generated, strict=True)
        ]
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                return await self.engine.score(sequences)
        except TimeoutError:
            raise timed_out(self._limits.request_timeout_s) from None

    async def _score_only(
        self, jobs: Sequence[Job], top: int
    ) -> tuple[list[Generated], list[Score]]:
        """Serve a log-likelihood request by its scoring pass alone: one forward pass, no cache."""
        generated = [Generated() for _ in jobs]
        scores = await self._score(jobs, generated, top)
        for job, result, score in zip(jobs, generated, scores, strict=True):
            if job.max_tokens == 1:
                token, _ = score.following[0]
                ended = token in self.engine.end_tokens
                result.add(
                    Piece(
                        0,
                        decode(self._tokenizer, [token]),
                        [NewToken(token)],
                        "stop" if ended else "length",
                    )
                )
        return generated, [
            score.with_next() if result.tokens else score
            for result, score in zip(generated, scores, strict=True)
        ]


def _is_scoring(request: CompletionRequest) -> bool:
    """Greedy and at most one token: what lm-eval asks for a log-likelihood."""
    greedy = Sampling(request.temperature).greedy
    return request.max_tokens <= 1 and greedy and not request.stop


def _usage(jobs: Sequence[Job], choices_per_prompt: int, completion_tokens: int) -> Usage:
    prompt_tokens = sum(len(job.prompt) for job in jobs[::choices_per_prompt])
    return Usage(
        completion_tokens=completion_tokens,
        prompt_tokens=prompt_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )
