"""Tokens counted where they are computed: an engine around the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from serving.engine import BASE, Engine, GenerationJob, NewToken, Score, ScoreJob
from serving.guard.record import CURRENT


class MeteredEngine:
    """Adds what ``engine`` reads, generates and scores to the record of the current request."""

    def __init__(self, engine: Engine, model_name: str) -> None:
        self._engine = engine
        self._model_name = model_name

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def context_tokens(self) -> int:
        return self._engine.context_tokens

    @property
    def vocabulary_size(self) -> int:
        return self._engine.vocabulary_size

    @property
    def end_tokens(self) -> frozenset[int]:
        return self._engine.end_tokens

    def adapter_names(self) -> list[str]:
        return self._engine.adapter_names()

    async def generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        self._note(job.adapter, prompt=job.prompt)
        record = CURRENT.get()
        async with aclosing(self._engine.generate(job)) as stream:
            async for tokens in stream:
                if record is not None:
                    record.generated_tokens += len(tokens)
                yield tokens

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        for job in jobs:
            self._note(job.adapter, scored=len(job.tokens))
        return await self._engine.score(jobs)

    async def embed(
        self, sequences: Sequence[Sequence[int]], adapter: str = BASE
    ) -> list[list[float]]:
        for tokens in sequences:
            self._note(adapter, prompt=tokens)
        return await self._engine.embed(sequences, adapter)

    def _note(self, adapter: str, prompt: Sequence[int] | None = None, scored: int = 0) -> None:
        record = CURRENT.get()
        if record is None:
            return
        record.model = f"{self._model_name}:{adapter}" if adapter else self._model_name
        record.scored_tokens += scored
        if prompt is not None:
            record.add_prompt(prompt)

    def healthy(self) -> bool:
        return self._engine.healthy()

    def close(self) -> None:
        self._engine.close()
