"""Sending what was planned to an endpoint, and keeping each answer as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from medray.evaluation.client import Client, EndpointAddress, EndpointError
from medray.evaluation.prompts.frames import Rendered
from medray.evaluation.running.answer_file import Answer, AnswerFile
from medray.evaluation.running.plan import Ask
from medray.evaluation.running.settings import RunSettings

OnDone = Callable[[int, int], None]


class Keep(Protocol):
    """Where answers go as they come."""

    def __call__(self, key: str, answer: Answer) -> None: ...


class Sender(Protocol):
    """Asks all, hands each answer to ``keep`` as it comes, and returns key -> why it was refused.

    ``patience``: after so many refusals before any answer it gives up, by EndpointError.
    """

    def __call__(
        self, pending: Sequence[Ask], keep: Keep, patience: int, on_done: OnDone
    ) -> dict[str, str]: ...


def endpoint(address: EndpointAddress, settings: RunSettings) -> Sender:
    """Return what asks an endpoint, as hard as the settings say."""

    def asks_it(
        pending: Sequence[Ask], keep: Keep, patience: int, on_done: OnDone
    ) -> dict[str, str]:
        return send(pending, address, settings, keep, patience, on_done)

    return asks_it


def ask_all(
    asks: Sequence[Ask],
    sender: Sender,
    kept: AnswerFile,
    on_done: OnDone = lambda done, total: None,
) -> list[Answer]:
    """Ask what the file has no answer to; return one answer each, in order.

    An answer is {id, output, finish_reason, prompt_tokens, completion_tokens, likelihoods, scored,
    refused}, the keys that there is something for. A request that the endpoint refuses for what is
    in it counts as ``refused``, is not kept and so asked again the next time. Any other refusal is
    an EndpointError, and so is a refusal of all of the first twenty: then it is the request's form
    that is refused. BudgetSpentError where the budget is used up. What was answered before either
    is kept. ``on_done`` gets (done, all) of those that were left to ask.
    """
    # Two items may be asked in the same words; one request answers both.
    pending = {ask.key: ask for ask in asks if ask.key not in kept.answers and not ask.refused}
    refused = {ask.key: ask.refused for ask in asks if ask.refused}
    if pending:
        # Of a run that goes on, what is left may well be what was refused before.
        resumed = any(ask.key in kept.answers for ask in asks)
        patience = len(pending) + 1 if resumed else min(_FIRST_REFUSALS, len(pending))
        order = list(pending.values())
        refused |= sender(order, kept.keep, patience, on_done)
    return [_answer(ask, kept, refused) for ask in asks]


def _answer(ask: Ask, kept: AnswerFile, refused: dict[str, str]) -> Answer:
    if ask.key in refused:
        return {"id": ask.item_id, "output": None, "refused": refused[ask.key]}
    return kept.answers[ask.key] | {"id": ask.item_id}


# So many refusals before the first answer are no accident of the content.
_FIRST_REFUSALS = 20


def send(
    pending: Sequence[Ask],
    address: EndpointAddress,
    settings: RunSettings,
    keep: Keep,
    patience: int,
    on_done: OnDone,
) -> dict[str, str]:
    """Ask all, hand each answer to ``keep`` as it comes; return key -> why it was refused.

    EndpointError where the endpoint stays away, refuses for another reason than what is in a
    request, or refuses the first ``patience`` of them.
    """
    return asyncio.run(_send(pending, address, settings, keep, patience, on_done))


async def _send(
    pending: Sequence[Ask],
    address: EndpointAddress,
    settings: RunSettings,
    keep: Keep,
    patience: int,
    on_done: OnDone,
) -> dict[str, str]:
    """Let ``concurrency`` workers take the next ask each: the endpoint is never waited for."""
    refused: dict[str, str] = {}
    left: Iterator[Ask] = iter(pending)
    done = answered = 0
    async with Client(address, settings.concurrency, settings.timeout_s, settings.limits) as client:

        async def work() -> None:
            nonlocal done, answered
            for ask in left:
                try:
                    keep(ask.key, await answer_of(client, ask, settings.chat))
                    answered += 1
                except EndpointError as error:
                    if not error.of_content:
                        raise
                    refused[ask.key] = str(error)
                    if not answered and done + 1 == patience:
                        raise
                done += 1
                on_done(done, len(pending))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(settings.concurrency, len(pending))):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
    return refused


async def answer_of(client: Client, ask: Ask, chat: bool) -> Answer:
    """Ask one item both ways that are planned; return its answer."""
    answer: dict[str, Any] = {"id": ask.item_id}
    if ask.generate is not None:
        if chat:
            reply = await client.chat(ask.generate.messages(), ask.settings)
        else:
            reply = await client.completion(ask.generate.text, ask.settings)
        answer |= {
            "output": reply.text,
            "finish_reason": reply.finish_reason,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        }
    if ask.score is not None:
        answer |= await _likelihoods(client, ask, ask.score)
    return answer


async def _likelihoods(client: Client, ask: Ask, prompt: Rendered) -> dict[str, Any]:
    # A blank at the prompt's end belongs to the continuation's first token.
    kept = prompt.text.rstrip()
    moved = prompt.text[len(kept) :]
    texts = [
        text if not moved or text[:1].isspace() else moved + text
        for text in ask.continuations.values()
    ]
    values = await client.log_likelihoods(kept, texts)
    return {
        "likelihoods": dict(zip(ask.continuations, values, strict=True)),
        "scored": ask.scored,
    }
