"""The engine on vLLM. ``serving.engines`` prepares the process for it, then imports it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from transformers import AutoTokenizer
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from medray.storage.scratch import scratch_folder
from serving.adapters import AdapterStore
from serving.config import ServingConfig
from serving.engine import (
    BASE,
    EngineStoppedError,
    GenerationJob,
    NewToken,
    Score,
    ScoreJob,
    UnsupportedError,
)
from serving.guides import GuideCompiler, GuideState
from serving.loop_thread import LoopThread
from serving.vllm_adapters import PlainLoras, rank_with_room
from serving.vllm_guard import Guard
from serving.vllm_model import PAGE_TOKENS, ServedModel, engine_arguments, merged
from serving.vllm_tokens import (
    generation_parameters,
    is_whole,
    new_tokens,
    score_of,
    scoring_parameters,
)

Answer = TypeVar("Answer")


class VllmEngine:
    """Serve one model by vLLM's asynchronous engine, which runs in processes of its own.

    Only the end tokens are read of generation_config.json. Greedy output equals
    ``model.generate`` but for rounding; the same seed and choice give the same text in this
    engine, not the text of the default one. A temperature below 0.01 that is not greedy counts as
    0.01. It has no embeddings: vLLM computes them in place of generation, not beside it.
    """

    def __init__(self, config: ServingConfig) -> None:
        self._model = ServedModel.of(config)
        self._end_tokens = frozenset(self._model.end_tokens)
        tokenizer = AutoTokenizer.from_pretrained(
            config.model, local_files_only=True, trust_remote_code=False
        )
        # vLLM ends a guide with the tokenizer's end of text, whatever the model's own may be.
        end = tokenizer.eos_token_id
        self._guide_ends = [] if end is None else [end]
        self._guides = GuideCompiler(tokenizer, self._model.vocabulary_size, self._guide_ends)
        self._numbers = itertools.count()
        self._scratch = Path(tempfile.mkdtemp(dir=scratch_folder()))
        folder = merged(config, self._scratch)
        self._loras: PlainLoras | None = None
        targets = None
        if config.adapters is not None:
            most_rank = rank_with_room(config.max_adapter_rank)
            self._loras = PlainLoras(folder, self._scratch, most_rank)
            targets = self._loras.targets
        self._thread = LoopThread("vllm")
        try:
            arguments = engine_arguments(config, self._model, folder, targets)
            self._llm, self._guard = self._thread.start(_started(arguments)).result()
        except BaseException:
            self._thread.close()
            raise
        self._adapters: AdapterStore[LoRARequest] = AdapterStore(
            self._take_adapter, config.adapters, config.loaded_adapters, self._drop_adapter
        )

    @property
    def name(self) -> str:
        return "vllm"

    @property
    def context_tokens(self) -> int:
        return self._model.context_tokens

    @property
    def vocabulary_size(self) -> int:
        return self._model.vocabulary_size

    @property
    def end_tokens(self) -> frozenset[int]:
        return self._end_tokens

    def adapter_names(self) -> list[str]:
        return self._adapters.names()

    def healthy(self) -> bool:
        return self._thread.open and not self._llm.errored

    # Generation

    async def generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        async with aclosing(self._thread.stream(self._generate(job))) as stream:
            async for tokens in stream:
                yield tokens

    async def _generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        guide = None
        if job.guide is not None:
            guide = await asyncio.to_thread(self._guides.compile, job.guide)
        async with self._adapters.use(job.adapter) as lora:
            stream = self._new_tokens(job, guide, lora)
            if guide is not None and job.top is not None:
                stream = self._told(job, stream, lora)
            async with aclosing(stream):
                async for tokens in stream:
                    yield tokens

    async def _new_tokens(
        self, job: GenerationJob, guide: GuideState | None, lora: LoRARequest | None
    ) -> AsyncGenerator[list[NewToken]]:
        stops = self._end_tokens if guide is None else self._end_tokens.union(self._guide_ends)
        parameters = generation_parameters(job, sorted(stops))
        async with aclosing(self._outputs(job.prompt, parameters, lora)) as outputs:
            async for output in outputs:
                [completion] = output.outputs
                tokens = new_tokens(completion, job.top)
                if guide is not None:
                    tokens = self._followed(guide, tokens)
                if tokens:
                    yield tokens
                if guide is not None and guide.ended and not self._guide_ends:
                    return

    def _followed(self, guide: GuideState, tokens: Sequence[NewToken]) -> list[NewToken]:
        """Return the tokens without an end that is not the model's.

        ``ValueError`` where the guide was left: vLLM ends the text of one that has become too
        large to follow, as if it were whole.
        """
        kept = []
        for new in tokens:
            if guide.ended and new.token not in self._guide_ends:
                break  # nothing may follow, and the tokenizer has no end to say so
            try:
                guide.take(new.token)
            except RuntimeError as error:
                raise ValueError(str(error)) from error
            if new.token in self._end_tokens or new.token not in self._guide_ends:
                kept.append(new)
        return kept

    async def _told(
        self, job: GenerationJob, stream: AsyncGenerator[list[NewToken]], lora: LoRARequest | None
    ) -> AsyncGenerator[list[NewToken]]:
        """Add the model's own log-probabilities to guided tokens by reading them once more.

        What is generated meanwhile is read in the next round. A sequence is read up to a border of
        the cache's pages at most, so that nothing that is wanted lies in the part that is cached.
        """
        assert job.top is not None
        known = list(job.prompt)
        async with aclosing(stream):
            async for tokens in stream:
                first = len(known)
                known += (new.token for new in tokens)
                borders = range(first - first % PAGE_TOKENS + PAGE_TOKENS, len(known), PAGE_TOKENS)
                ends = [*borders, len(known)]
                jobs = [
                    ScoreJob(known[:end], begin, max(job.top, 1), following=False)
                    for begin, end in zip([first, *borders], ends, strict=True)
                ]
                scores = await _all(self._score(part, lora) for part in jobs)
                yield [
                    NewToken(known[score.first + i], logprob, (best or [])[: job.top])
                    for score in scores
                    for i, (logprob, best) in enumerate(
                        zip(score.logprobs, score.alternatives, strict=True)
                    )
                ]

    # Scoring

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        return await self._thread.ask(self._scores(jobs))

    async def _scores(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        """Hold one adapter at a time: a call that waits for a second one would block the others."""

        async def of(name: str) -> list[Score]:
            async with self._adapters.use(name) as lora:
                return await _all(self._score(job, lora) for job in jobs if job.adapter == name)

        names = list(dict.fromkeys(job.adapter for job in jobs))
        found = dict(zip(names, map(iter, await _all(map(of, names))), strict=True))
        return [next(found[job.adapter]) for job in jobs]

    async def _score(self, job: ScoreJob, lora: LoRARequest | None) -> Score:
        """Score one sequence, its beginning from the cache where that leaves out nothing wanted."""
        if not job.following and len(job.tokens) <= max(job.first, 1):
            return score_of(job, None)  # nothing comes before the first token
        output = None
        if job.first > 1:
            output = await self._last(job, lora, from_cache=True)
        if output is None or not is_whole(job, output):
            output = await self._last(job, lora, from_cache=False)
        return score_of(job, output)

    async def _last(
        self, job: ScoreJob, lora: LoRARequest | None, *, from_cache: bool
    ) -> RequestOutput:
        parameters = scoring_parameters(job, from_cache=from_cache)
        async with aclosing(self._outputs(job.tokens, parameters, lora)) as outputs:
            return [output async for output in outputs][-1]

    async def embed(
        self, sequences: Sequence[Sequence[int]], adapter: str = BASE
    ) -> list[list[float]]:
        raise UnsupportedError(
            "embeddings are not to be had of the engine vllm; an endpoint with engine: "
            "transformers has them"
        )

    # vLLM itself

    async def _outputs(
        self, tokens: Sequence[int], parameters: SamplingParams, lora: LoRARequest | None
    ) -> AsyncGenerator[RequestOutput]:
        """Yield vLLM's outputs of one request; closing it aborts the request."""
        outputs = self._llm.generate(
            tokens_input(list(tokens)), parameters, str(next(self._numbers)), lora_request=lora
        )
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    if output.outputs[0].finish_reason in ("abort", "error"):
                        raise EngineStoppedError("the engine ended during this request")
                    yield output
        except EngineDeadError:
            raise EngineStoppedError("the engine ended during this request") from None

    def _take_adapter(self, folder: Path) -> LoRARequest:
        assert self._loras is not None  # the store has a folder
        number, plain = self._loras.write(folder)
        # Its name stands for its content in the cache, so that a second reading has another.
        request = LoRARequest(f"{folder.name}-{number}", number, str(plain))
        self._thread.start(self._llm.add_lora(request)).result()
        return request

    def _drop_adapter(self, request: LoRARequest) -> None:
        self._thread.start(self._llm.remove_lora(request.lora_int_id)).result()
        shutil.rmtree(request.lora_path)

    def close(self) -> None:
        """Stop at once: requests in flight fail with ``EngineStoppedError``."""
        # In its own loop: vLLM cannot close its sockets once that has ended.
        self._thread.close(self._llm.shutdown)
        self._guard.close()
        self._adapters.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


async def _started(arguments: AsyncEngineArgs) -> tuple[AsyncLLM, Guard]:
    """Start vLLM in the loop that it is to live in, guard it, and let it generate a token.

    What it cannot do with a model it tells at the first pass: ``RuntimeError``.
    """
    llm = AsyncLLM.from_engine_args(arguments)
    [process] = llm.engine_core.resources.engine_manager.processes
    guard = Guard(process.pid)
    parameters = SamplingParams(temperature=0.0, max_tokens=1, detokenize=False)
    try:
        async for _ in llm.generate(tokens_input([0]), parameters, "first"):
            pass
    except EngineDeadError:
        llm.shutdown()
        guard.close()
        raise RuntimeError("vllm cannot run this model here; its log says why") from None
    return llm, guard


async def _all(calls: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Await all at once; where one fails, the others have ended before that is told."""
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
