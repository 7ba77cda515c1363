"""Engine tokens to choices: many sequences at once, text cut at stops, a time limit on all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from serving.engine import BASE, Engine, GenerationJob, Guide, NewToken
from serving.protocol import FinishReason, RequestError
from serving.sampling import Sampling
from serving.text import Detokenizer, StopScanner


@dataclass(frozen=True)
class Job:
    """One sequence to generate: ``max_tokens`` at most, ended early by any of ``stops``.

    ``guide_field``: the field of the request that the guide came from.
    """

    prompt: list[int]
    sampling: Sampling
    max_tokens: int
    stops: Sequence[str] = ()
    adapter: str = BASE
    guide: Guide | None = None
    guide_field: str | None = None
    top: int | None = None

    def for_engine(self) -> GenerationJob:
        return GenerationJob(
            self.prompt, self.sampling, self.max_tokens, self.adapter, self.guide, self.top
        )


@dataclass(frozen=True)
class Piece:
    """What came next for job ``index``; the last piece of a job has a finish reason."""

    index: int
    text: str
    tokens: list[NewToken]
    finish_reason: FinishReason | None = None

    def then(self, later: Piece) -> Piece:
        """Return this piece and the next one of the same job as one."""
        text, tokens = self.text + later.text, self.tokens + later.tokens
        return Piece(self.index, text, tokens, later.finish_reason)


@dataclass
class Generated:
    """All pieces of one job; ``tokens`` has the end token and those of a stop string too."""

    text: str = ""
    tokens: list[NewToken] = field(default_factory=list)
    finish_reason: FinishReason = "length"

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish_reason = piece.finish_reason or self.finish_reason

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability of the tokens, which must have one each; of no token: 0."""
        logprobs = [new.logprob for new in self.tokens]
        known = [logprob for logprob in logprobs if logprob is not None]
        assert len(known) == len(logprobs)  # asked for by the job's ``top``
        return sum(known) / max(len(known), 1)


async def pieces_of(
    engine: Engine, tokenizer: PreTrainedTokenizerBase, index: int, job: Job
) -> AsyncGenerator[Piece]:
    """Yield the pieces of one job as the engine generates them.

    Raises ``RequestError`` (400) for a guide that does not compile.
    """
    if job.max_tokens == 0:
        yield Piece(index, "", [], "length")
        return
    detokenizer, scanner = Detokenizer(tokenizer), StopScanner(job.stops)
    last = -1
    async with aclosing(_new_tokens(engine, job)) as stream:
        async for tokens in stream:
            last = tokens[-1].token
            text = "".join([scanner.add(detokenizer.add(new.token)) for new in tokens])
            if scanner.stopped:
                yield Piece(index, text, tokens, "stop")
                return
            yield Piece(index, text, tokens)
    text = scanner.add(detokenizer.finish())
    ended = scanner.stopped or last in engine.end_tokens
    yield Piece(index, text + scanner.finish(), [], "stop" if ended else "length")


async def _new_tokens(engine: Engine, job: Job) -> AsyncGenerator[list[NewToken]]:
    begun = False
    async with aclosing(engine.generate(job.for_engine())) as stream:
        try:
            async for tokens in stream:
                begun = True
                yield tokens
        except ValueError as error:
            if job.guide is None or begun:
                raise
            message = f"the {job.guide.kind} does not compile: {error}"
            raise RequestError(message, job.guide_field) from error


class Outlet:
    """Pass one job's pieces on: the first text at once, then joined, one every ``interval_s``.

    What is held goes with the finish reason, and by ``flush``. Used within a running event loop.
    """

    def __init__(self, give: Callable[[Piece], None], interval_s: float) -> None:
        self._give = give
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._held: Piece | None = None
        self._due_s = 0.0  # on the loop's clock; 0: no text was passed on yet
        self._timer: asyncio.TimerHandle | None = None

    def add(self, piece: Piece) -> None:
        self._held = piece if self._held is None else self._held.then(piece)
        if piece.finish_reason or self._loop.time() >= self._due_s:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._due_s, self.flush)

    def flush(self) -> None:
        """Pass on what is held, if anything is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is None:
            return
        held, self._held = self._held, None
        if held.text:
            self._due_s = self._loop.time() + self._interval_s
        self._give(held)


async def run_jobs(
    engine: Engine,
    tokenizer: PreTrainedTokenizerBase,
    jobs: Sequence[Job],
    timeout_s: float,
    interval_s: float = 0.0,
) -> AsyncGenerator[Piece]:
    """Run all jobs at once and yield their pieces as they come, of each one every ``interval_s``.

    Raises ``RequestError`` (504) after ``timeout_s``. However it ends, no job is left running.
    """
    queue: asyncio.Queue[Piece | asyncio.Task[None]] = asyncio.Queue()

    async def drain(index: int, job: Job) -> None:
        outlet = Outlet(queue.put_nowait, interval_s)
        try:
            async with aclosing(pieces_of(engine, tokenizer, index, job)) as pieces:
                async for piece in pieces:
                    outlet.add(piece)
        finally:
            outlet.flush()  # a job that fails has passed on all that it made

    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    tasks = [asyncio.create_task(drain(index, job)) for index, job in enumerate(jobs)]
    for task in tasks:
        task.add_done_callback(queue.put_nowait)  # after the task's own pieces
    running = len(tasks)
    try:
        while running:
            try:
                item = await asyncio.wait_for(queue.get(), deadline - loop.time())
            except TimeoutError:
                raise timed_out(timeout_s) from None
            if isinstance(item, Piece):
                yield item
            else:
                item.result()  # raises what the job raised
                running -= 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def timed_out(timeout_s: float) -> RequestError:
    """Return the error of a request that took longer than ``timeout_s``."""
    return RequestError(f"not finished after {timeout_s:g} s", status=504, code="timeout")
