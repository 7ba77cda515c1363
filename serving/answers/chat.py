"""Answers of /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from serving.chat import chat_prompt
from serving.generation import Job, Piece
from serving.logprobs import chat_logprobs
from serving.protocol import (
    AnswerMessage,
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Delta,
)
from serving.service import Service, usage


def chat_jobs(service: Service, request: ChatCompletionRequest) -> list[Job]:
    """Check the request and return its n jobs; with no limit, an answer takes what is left."""
    adapter = service.adapter_of(request.model)
    prompt = service.accepted(chat_prompt(service.tokenizer, request.messages), "messages")
    room = service.engine.context_tokens - len(prompt) + 1
    max_tokens = request.max_completion_tokens or request.max_tokens
    if max_tokens is None:
        max_tokens = max(1, min(room, service.limits.max_output_tokens))
    top = request.top_logprobs or 0 if request.logprobs else None
    return service.jobs(
        request, prompt, adapter=adapter, max_tokens=max_tokens, choices=request.n, top=top
    )


async def chat(service: Service, request: ChatCompletionRequest) -> ChatCompletion:
    """Answer a request without stream."""
    jobs = chat_jobs(service, request)
    generated = await service.generate(jobs)
    choices = []
    for index, result in enumerate(generated):
        choice = ChatChoice(
            finish_reason=result.finish_reason,
            index=index,
            message=AnswerMessage(content=result.text),
        )
        if request.logprobs:
            top = request.top_logprobs or 0
            choice.logprobs = chat_logprobs(service.names, result.tokens, top)
        choices.append(choice)
    used = usage(jobs, request.n, sum(len(result.tokens) for result in generated))
    return ChatCompletion(choices=choices, model=request.model, usage=used)


async def stream_chat(
    service: Service, request: ChatCompletionRequest, jobs: Sequence[Job]
) -> AsyncGenerator[ChatCompletionChunk]:
    """Yield the events of a stream: the role first, then text, then the finish reason.

    Nothing is yielded before the engine's first token, so a fault before it has its own status.
    """
    whole = ChatCompletion(choices=[], model=request.model, usage=usage(jobs, request.n, 0))
    head = ChatCompletionChunk(id=whole.id, choices=[], created=whole.created, model=whole.model)

    def event(piece: Piece, delta: Delta) -> ChatCompletionChunk:
        choice = ChatChunkChoice(delta=delta, finish_reason=piece.finish_reason, index=piece.index)
        if request.logprobs and piece.tokens:
            top = request.top_logprobs or 0
            choice.logprobs = chat_logprobs(service.names, piece.tokens, top)
        return head.model_copy(update={"choices": [choice]})

    async with aclosing(service.stream(jobs)) as pieces:
        piece: Piece | None = await anext(pieces)
        for index in range(len(jobs)):
            yield event(Piece(index, "", []), Delta(role="assistant", content=""))
        made = 0
        while piece is not None:
            made += len(piece.tokens)
            told = piece.tokens and request.logprobs
            if piece.text or piece.finish_reason or told:
                yield event(piece, Delta(content=piece.text or None))
            piece = await anext(pieces, None)
    if request.stream_options and request.stream_options.include_usage:
        yield head.model_copy(update={"usage": usage(jobs, request.n, made)})
