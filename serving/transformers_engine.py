"""The engine that needs nothing but transformers: continuous batching, and packed scoring."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from medray.storage.location import Location
from serving.adapters import AdapterStore
from serving.batching import ScoringThread
from serving.config import CACHE_BLOCK_TOKENS, ServingConfig
from serving.continuous import Batches
from serving.drawing import Task
from serving.engine import (
    BASE,
    EngineStoppedError,
    GenerationJob,
    NewToken,
    Score,
    ScoreJob,
)
from serving.folders import prefix_folder
from serving.guides import GuideCompiler
from serving.lora import LoraModel
from serving.prefix import Prefix, read_prefix
from serving.scoring import EmbedJob, Result, Scorer, Work
from serving.weights import load_model


class TransformersEngine:
    """Serve one model by transformers' continuous batching.

    All generation, greedy and sampled, guided and not, of all adapters, shares one batch
    (``serving.drawing``). Only the end tokens are read of generation_config.json: its penalties and
    defaults are not applied, the request says everything. Greedy output equals ``model.generate``
    one by one. Prompts share the cache's pages of a common beginning. Scoring and embedding run in
    a second thread, at the same time as generation (``serving.scoring``): the model itself holds no
    state.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        num_blocks: int,
        max_batch_tokens: int,
        tokenizer: PreTrainedTokenizerBase | None = None,
        adapters: str | Location | None = None,
        loaded_adapters: int = 8,
        prefix: Prefix | None = None,
    ) -> None:
        text_config = model.config.get_text_config()
        self._vocabulary_size: int = text_config.vocab_size
        # Models without positions (ALiBi) are bounded by the cache alone.
        cache_tokens = num_blocks * CACHE_BLOCK_TOKENS
        positions = getattr(text_config, "max_position_embeddings", cache_tokens)
        positions -= 0 if prefix is None else prefix.tokens
        self._context_tokens = min(positions, cache_tokens)
        end = model.generation_config.eos_token_id
        self._end_tokens = frozenset([] if end is None else [end] if isinstance(end, int) else end)

        transformers_logging.set_verbosity_error()  # its warnings show the first tokens of prompts
        lora = LoraModel(model)
        self._adapters = AdapterStore(lora.take, adapters, loaded_adapters)
        self._guides = GuideCompiler(tokenizer, self._vocabulary_size, self._end_tokens)
        self._scoring = ScoringThread(Scorer(model, lora, prefix))
        self._batches = Batches(
            model,
            lora,
            end_tokens=sorted(self._end_tokens),
            num_blocks=num_blocks,
            max_batch_tokens=max_batch_tokens,
            prefix=prefix,
        )
        self._batches.start()
        self._numbers = itertools.count()

    @classmethod
    def load(cls, config: ServingConfig) -> TransformersEngine:
        """Load the model of ``config``, see ``load_model``, and start its generation loop."""
        model = load_model(config)
        before = prefix_folder(config)
        return cls(
            model,
            num_blocks=config.num_blocks,
            max_batch_tokens=config.max_batch_tokens,
            tokenizer=AutoTokenizer.from_pretrained(
                config.model, local_files_only=True, trust_remote_code=False
            ),
            adapters=config.adapters,
            loaded_adapters=config.loaded_adapters,
            prefix=None if before is None else read_prefix(before, model),
        )

    @property
    def name(self) -> str:
        return "transformers"

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    @property
    def vocabulary_size(self) -> int:
        return self._vocabulary_size

    @property
    def end_tokens(self) -> frozenset[int]:
        return self._end_tokens

    def adapter_names(self) -> list[str]:
        return self._adapters.names()

    def healthy(self) -> bool:
        return bool(self._batches.is_running())

    async def generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        guide = None
        if job.guide is not None:
            guide = await asyncio.to_thread(self._guides.compile, job.guide)
        async with self._adapters.use(job.adapter) as adapter:
            task = Task(job.sampling, job.top, adapter, guide)
            async with aclosing(self._run(job, task)) as stream:
                async for tokens in stream:
                    yield tokens

    async def _run(self, job: GenerationJob, task: Task) -> AsyncGenerator[list[NewToken]]:
        request_id = f"{0 if task.adapter is None else task.adapter.number}-{next(self._numbers)}"
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        self._batches.deliveries.listen(request_id, outputs.put_nowait)
        finished = False
        seen = 0
        try:
            added = self.healthy() and self._batches.add_request(
                list(job.prompt),
                request_id=request_id,
                max_new_tokens=job.max_tokens,
                streaming=True,
                task=task,
            )
            if not added:
                raise EngineStoppedError("the generation loop has ended")
            while not finished:
                output = await outputs.get()
                if output is None or output.error is not None:
                    raise EngineStoppedError("the generation loop ended during this request")
                if task.fault is not None:
                    raise ValueError(task.fault)
                finished = output.is_finished()
                end = self._end(task)
                tokens = output.generated_tokens[seen:end]
                if tokens:
                    first, seen = seen, seen + len(tokens)
                    if task.top is None:
                        yield [NewToken(token) for token in tokens]
                    else:
                        yield task.tokens[first:seen]
                if seen == end:
                    break
        finally:
            self._batches.deliveries.forget(request_id)
            if not finished:
                self._batches.cancel_request(request_id)

    def _end(self, task: Task) -> int | None:
        """Return how many tokens an ended guide took, where the model has no end token to tell."""
        if task.guide is None or self._end_tokens or not task.guide.ended:
            return None
        return task.guide.taken

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        return await self._scored(jobs, [job.adapter for job in jobs])

    async def embed(
        self, sequences: Sequence[Sequence[int]], adapter: str = BASE
    ) -> list[list[float]]:
        return await self._scored(
            [EmbedJob(tokens) for tokens in sequences], [adapter] * len(sequences)
        )

    async def _scored(
        self, jobs: Sequence[ScoreJob | EmbedJob], adapters: Sequence[str]
    ) -> list[Any]:
        """Hold one adapter at a time: a call that waits for a second one would block the others."""

        async def of(name: str) -> list[Result]:
            async with self._adapters.use(name) as adapter:
                works = [
                    Work(job, adapter)
                    for job, own in zip(jobs, adapters, strict=True)
                    if own == name
                ]
                return await asyncio.wrap_future(self._scoring.submit(works))

        names = list(dict.fromkeys(adapters))
        results = dict(zip(names, map(iter, await asyncio.gather(*map(of, names))), strict=True))
        return [next(results[name]) for name in adapters]

    def close(self) -> None:
        """Stop at once: requests in flight fail with ``EngineStoppedError``."""
        if self._batches.is_running():
            self._batches.stop(block=True, hard_stop=True)
        self._scoring.close()
        self._adapters.close()
