"""The engine that needs nothing but transformers: continuous batching, and direct scoring."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    ContinuousBatchingConfig,
    GenerationConfig,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from serving.config import CACHE_BLOCK_TOKENS, ServingConfig
from serving.engine import (
    BASE,
    Alternatives,
    EngineStoppedError,
    GenerationJob,
    NewToken,
    Score,
    ScoreJob,
)
from serving.sampling import sampling_processors

# Memory for the logits of one scoring pass. A row longer than this goes alone.
SCORE_LOGITS_BYTES = 256 * 2**20

# The dispatcher looks this often whether the generation loop still lives, when no token comes.
DISPATCH_POLL_S = 0.1


def load_model(config: ServingConfig) -> PreTrainedModel:
    """Load the weights, safetensors only and without remote code, and merge the adapter.

    Raises ``OSError`` where a file is missing or the weights are not safetensors.
    """
    model = AutoModelForCausalLM.from_pretrained(
        config.model,
        dtype=config.dtype,
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    if config.adapter is not None:
        weights = config.adapter / "adapter_model.safetensors"
        if not weights.is_file():  # peft would fall back to a pickle
            raise FileNotFoundError(f"no {weights}: an adapter is taken as safetensors only")
        model = PeftModel.from_pretrained(model, config.adapter).merge_and_unload()
    return model.to("cuda" if config.num_gpus > 0 else "cpu").eval()


class TransformersEngine:
    """Serve one model by transformers' continuous batching.

    All generation, greedy and sampled, shares one batch; each request has its own temperature,
    top-p and seed (``serving.sampling``). Only the end tokens are read of generation_config.json:
    its penalties and defaults are not applied, the request says everything. Greedy output equals
    ``model.generate`` one by one. Scoring runs plain padded forward passes in a second thread, at
    the same time as generation: the model itself holds no state.
    """

    def __init__(self, model: PreTrainedModel, *, num_blocks: int, max_batch_tokens: int) -> None:
        self._model = model
        text_config = model.config.get_text_config()
        self._vocabulary_size: int = text_config.vocab_size
        # Models without positions (ALiBi) are bounded by the cache alone.
        cache_tokens = num_blocks * CACHE_BLOCK_TOKENS
        positions = getattr(text_config, "max_position_embeddings", cache_tokens)
        self._context_tokens = min(positions, cache_tokens)
        end = model.generation_config.eos_token_id
        self._end_tokens = frozenset([] if end is None else [end] if isinstance(end, int) else end)

        # Its warnings show the first tokens of prompts.
        transformers_logging.set_verbosity_error()
        self._manager = model.init_continuous_batching(
            generation_config=GenerationConfig(
                do_sample=False, eos_token_id=sorted(self._end_tokens) or -1
            ),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=CACHE_BLOCK_TOKENS,
                num_blocks=num_blocks,
                max_batch_tokens=max_batch_tokens,
                use_async_batching=False,
                use_cuda_graph=False,
                auto_switch_to_flash=False,  # one attention for generation and scoring
            ),
        )
        self._manager.logit_processor = sampling_processors()
        self._manager.start()
        self._numbers = itertools.count()
        self._listeners: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Queue[Any]]] = {}
        self._dispatcher = threading.Thread(target=self._dispatch, name="dispatch", daemon=True)
        self._dispatcher.start()
        self._scorer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="score")

    @classmethod
    def load(cls, config: ServingConfig) -> TransformersEngine:
        """Load the model of ``config``, see ``load_model``, and start its generation loop."""
        return cls(
            load_model(config),
            num_blocks=config.num_blocks,
            max_batch_tokens=config.max_batch_tokens,
        )

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
        return []

    def healthy(self) -> bool:
        return self._manager.is_running() and self._dispatcher.is_alive()

    async def generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        request_id = f"request-{next(self._numbers)}"
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        self._listeners[request_id] = (asyncio.get_running_loop(), outputs)
        finished = False
        seen = 0
        try:
            if not self.healthy():
                raise EngineStoppedError("the generation loop has ended")
            self._manager.add_request(
                list(job.prompt),
                request_id=request_id,
                max_new_tokens=job.max_tokens,
                streaming=True,
                sampling=job.sampling,
            )
            while not finished:
                output = await outputs.get()
                if output is None or output.error is not None:
                    raise EngineStoppedError("the generation loop ended during this request")
                finished = output.is_finished()
                tokens, seen = output.generated_tokens[seen:], len(output.generated_tokens)
                if tokens:
                    yield [NewToken(token) for token in tokens]
        finally:
            del self._listeners[request_id]
            if not finished:
                self._manager.cancel_request(request_id)

    def _dispatch(self) -> None:
        """Carry outputs from the generation thread to the event loops that wait for them.

        transformers' own result handlers would leak: they are not removed on cancellation.
        """
        while self._manager.is_running():
            output = self._manager.get_result(timeout=DISPATCH_POLL_S)
            listener = output and self._listeners.get(output.request_id)
            if listener:
                loop, outputs = listener
                loop.call_soon_threadsafe(outputs.put_nowait, output)
        for loop, outputs in list(self._listeners.values()):
            loop.call_soon_threadsafe(outputs.put_nowait, None)

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._scorer, self._score, jobs)

    async def embed(
        self, sequences: Sequence[Sequence[int]], adapter: str = BASE
    ) -> list[list[float]]:
        raise NotImplementedError

    def _score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        scores: dict[int, Score] = {}
        sequences = [job.tokens for job in jobs]
        top = max(job.top for job in jobs)
        for batch in self._batches(sequences):
            rows = [sequences[index] for index in batch]
            scores.update(zip(batch, score_batch(self._model, rows, top), strict=True))
        return [scores[index] for index in range(len(sequences))]

    def _batches(self, sequences: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Yield indices of sequences of similar length whose padded logits fit the memory bound."""
        batch_tokens = SCORE_LOGITS_BYTES // (4 * self._vocabulary_size)
        batch: list[int] = []
        for index in sorted(range(len(sequences)), key=lambda index: -len(sequences[index])):
            # Longest first, so the first row of a batch gives its padded length.
            if batch and (len(batch) + 1) * len(sequences[batch[0]]) > batch_tokens:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def close(self) -> None:
        """Stop at once: requests in flight fail with ``EngineStoppedError``."""
        if self._manager.is_running():
            self._manager.stop(block=True, hard_stop=True)
        self._dispatcher.join()
        self._scorer.shutdown(wait=True)


@torch.inference_mode()
def score_batch(
    model: PreTrainedModel, sequences: Sequence[Sequence[int]], top: int
) -> list[Score]:
    """Score ``sequences`` by one forward pass, padded on the right to (rows, longest)."""
    lengths = [len(sequence) for sequence in sequences]
    tokens = torch.zeros(len(sequences), max(lengths), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, sequence in enumerate(sequences):
        tokens[row, : lengths[row]] = torch.tensor(sequence)
        mask[row, : lengths[row]] = 1
    tokens, mask = tokens.to(model.device), mask.to(model.device)
    logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
    return [
        _score_row(logits[row, :length].float(), tokens[row, 1:length], top)
        for row, length in enumerate(lengths)
    ]


def _score_row(logits: torch.Tensor, targets: torch.Tensor, top: int) -> Score:
    """Read a ``Score`` off logits (tokens, vocabulary) and the targets (tokens - 1,)."""
    totals = logits.logsumexp(-1, keepdim=True)
    logprobs = logits[:-1].gather(1, targets[:, None]) - totals[:-1]
    best = logits.topk(top)
    values = (best.values - totals).tolist()
    rows: list[Alternatives] = [
        list(zip(ids, row, strict=True))
        for ids, row in zip(best.indices.tolist(), values, strict=True)
    ]
    return Score([None, *logprobs[:, 0].tolist()], [None, *rows[:-1]], rows[-1])
