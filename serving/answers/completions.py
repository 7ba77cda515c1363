"""Answers of /v1/completions."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from serving.engine import NewToken, ScoreJob
from serving.generation import Generated, Job, Piece
from serving.logprobs import completion_logprobs, scored_tokens
from serving.protocol import Completion, CompletionChoice, CompletionLogprobs, CompletionRequest
from serving.service import Service, usage
from serving.text import TextOffsets, decode


def completion_jobs(service: Service, request: CompletionRequest) -> list[Job]:
    """Check the request and return its jobs: those of the first prompt, of the second, ..."""
    adapter = service.adapter_of(request.model)
    ranked = request.generated_choices > request.n
    top = 0 if ranked and request.logprobs is None else request.logprobs
    return [
        job
        for prompt in request.prompts
        for job in service.jobs(
            request,
            service.prompt_tokens(prompt, "prompt"),
            adapter=adapter,
            max_tokens=request.max_tokens,
            choices=request.generated_choices,
            top=top,
        )
    ]


async def complete(service: Service, request: CompletionRequest) -> Completion:
    """Answer a request without stream."""
    jobs = completion_jobs(service, request)
    if request.logprobs is not None and _is_scoring(request, jobs):
        echoed, generated = await _score_only(service, request, jobs)
    else:
        generated = await service.generate(jobs)
        echoed = await _echoed_tokens(service, request, jobs)
    choices = []
    for index, place in enumerate(_best(request, generated)):
        result = generated[place]
        choice = CompletionChoice(
            finish_reason=result.finish_reason,
            index=index,
            text=_echo(service, request, place) + result.text,
        )
        if request.logprobs is not None:
            tokens = [*echoed[place], *result.tokens]
            choice.logprobs = _Logprobs(service, request.logprobs).of(tokens)
        choices.append(choice)
    made = sum(len(result.tokens) for result in generated)
    used = usage(jobs, request.generated_choices, made)
    return Completion(choices=choices, model=request.model, usage=used)


async def stream_completion(
    service: Service, request: CompletionRequest, jobs: Sequence[Job]
) -> AsyncGenerator[Completion]:
    """Yield the events of a stream; each piece is one event.

    Nothing is yielded before the engine's first token, so a fault before it has its own status.
    """
    head = Completion(choices=[], model=request.model)
    logprobs = [_Logprobs(service, request.logprobs or 0) for _ in jobs]

    def event(piece: Piece) -> Completion:
        choice = CompletionChoice(
            finish_reason=piece.finish_reason, index=piece.index, text=piece.text
        )
        if request.logprobs is not None:
            choice.logprobs = logprobs[piece.index].of(piece.tokens)
        return head.model_copy(update={"choices": [choice]})

    async with aclosing(service.stream(jobs)) as pieces:
        piece: Piece | None = await anext(pieces)
        if request.echo:
            for index, tokens in enumerate(await _echoed_tokens(service, request, jobs)):
                yield event(Piece(index, _echo(service, request, index), tokens))
        made = 0
        while piece is not None:
            made += len(piece.tokens)
            told = piece.tokens and request.logprobs is not None
            if piece.text or piece.finish_reason or told:
                yield event(piece)
            piece = await anext(pieces, None)
    if request.stream_options and request.stream_options.include_usage:
        yield head.model_copy(update={"usage": usage(jobs, request.n, made)})


class _Logprobs:
    """The log-probabilities of one choice, piece by piece."""

    def __init__(self, service: Service, top: int) -> None:
        self._names, self._top = service.names, top
        self._offsets = TextOffsets(service.tokenizer)

    def of(self, tokens: Sequence[NewToken]) -> CompletionLogprobs:
        return completion_logprobs(self._names, self._offsets, tokens, self._top)


def _echo(service: Service, request: CompletionRequest, place: int) -> str:
    if not request.echo:
        return ""
    prompt = request.prompts[place // request.generated_choices]
    return prompt if isinstance(prompt, str) else decode(service.tokenizer, prompt)


async def _echoed_tokens(
    service: Service, request: CompletionRequest, jobs: Sequence[Job]
) -> list[list[NewToken]]:
    """Return each job's prompt with its log-probabilities; nothing where they are not asked for."""
    if not request.echo or request.logprobs is None:
        return [[] for _ in jobs]
    first_jobs = jobs[:: request.generated_choices]
    scores = await service.score([_score_job(job, request) for job in first_jobs])
    by_prompt = [
        scored_tokens(job.prompt, score) for job, score in zip(first_jobs, scores, strict=True)
    ]
    return [by_prompt[place // request.generated_choices] for place in range(len(jobs))]


def _score_job(job: Job, request: CompletionRequest) -> ScoreJob:
    first = 0 if request.echo else len(job.prompt)  # without echo only what follows is wanted
    return ScoreJob(
        job.prompt,
        first,
        max(request.logprobs or 0, 1),
        job.adapter,
        following=request.max_tokens == 1,
    )


def _is_scoring(request: CompletionRequest, jobs: Sequence[Job]) -> bool:
    """Greedy and at most one token: what lm-eval asks for a log-likelihood."""
    plain = not request.stop and jobs[0].guide is None and jobs[0].sampling.greedy
    return plain and (request.max_tokens == 1 or (request.max_tokens == 0 and request.echo))


async def _score_only(
    service: Service, request: CompletionRequest, jobs: Sequence[Job]
) -> tuple[list[list[NewToken]], list[Generated]]:
    """Return the echoed and the generated tokens by scoring alone: one forward pass, no cache."""
    first_jobs = jobs[:: request.generated_choices]
    scores = await service.score([_score_job(job, request) for job in first_jobs])
    echoed, generated = [], []
    for job, score in zip(first_jobs, scores, strict=True):
        result = Generated()
        if job.max_tokens == 1:
            token, logprob = score.following[0]
            ended = token in service.engine.end_tokens
            result = Generated(
                decode(service.tokenizer, [token]),
                [NewToken(token, logprob, score.following)],
                "stop" if ended else "length",
            )
        service.metrics.tokens_generated(len(result.tokens) * request.generated_choices)
        known = scored_tokens(job.prompt, score) if request.echo else []
        for _ in range(request.generated_choices):  # greedy: every choice is the same
            echoed.append(known)
            generated.append(dataclasses.replace(result))
    return echoed, generated


def _best(request: CompletionRequest, generated: Sequence[Generated]) -> list[int]:
    """Return the places of the choices to return: of each prompt the n best, best first."""
    many = request.generated_choices
    places: list[int] = []
    for start in range(0, len(generated), many):
        own = list(range(start, start + many))
        if many > request.n:
            own.sort(key=lambda place: -generated[place].mean_logprob)  # stable: ties keep order
        places += own[: request.n]
    return places
