"""Each request's next token inside one batch: its guide, its sampling, its log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import LogitsProcessorList
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)

from serving.engine import NewToken
from serving.guides import GuideState
from serving.lora import Adapter
from serving.sampling import Sampling, seeded_scores


@dataclass(eq=False)
class Task:
    """What a request carries through its batches. The generation thread writes, others read."""

    sampling: Sampling
    top: int | None = None
    adapter: Adapter | None = None
    guide: GuideState | None = None
    # The new tokens so far, where log-probabilities are asked for; they survive an eviction.
    tokens: list[NewToken] = field(default_factory=list)
    fault: str | None = None

    def __deepcopy__(self, _: Any) -> Task:
        """An evicted request is made anew by copying: it goes on with the same task."""
        return self


class TokenDrawer(ContinuousBatchingLogitsProcessor):
    """Gives each row of a batch's logits the scores whose argmax is the token to take.

    transformers' continuous batching knows one ``do_sample`` and one seed for all requests. This
    processor lets the manager stay greedy (argmax) and still gives each request its own settings.
    It remembers the rows between ``prepare_tensor_args`` and ``__call__``, which the synchronous
    loop calls one after the other in one thread; asynchronous batching and graphs must stay off.
    """

    supported_kwargs: dict[str, type] = {"task": Task}  # noqa: RUF012 (the base class's shape)
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._positions: list[int] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: Sequence[Any]) -> torch.Tensor:
        states = [request.state for request in requests_with_new_token]
        self._tasks = [state.logit_processor_kwargs["task"] for state in states]
        # The absolute position survives an eviction, which turns output into prompt.
        self._positions = [
            len(state.initial_tokens) + len(state.generated_tokens) for state in states
        ]
        return torch.zeros(len(states), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        told = [row for row, task in enumerate(self._tasks) if task.top is not None]
        guided = [row for row, task in enumerate(self._tasks) if task.guide is not None]
        raw = scores[told] if told else None  # a copy
        for row in guided:
            self._restrict(self._tasks[row], scores[row])
        for row, task in enumerate(self._tasks):
            if not task.sampling.greedy:
                scores[row] = seeded_scores(scores[row], task.sampling, self._positions[row])
        if told or guided:
            tokens = scores.argmax(-1)  # as the manager will do
            if raw is not None:
                self._tell(told, raw, tokens[told])
            chosen = tokens.tolist()
            for row in guided:
                self._advance(self._tasks[row], chosen[row])
        return scores

    def _restrict(self, task: Task, scores: torch.Tensor) -> None:
        assert task.guide is not None
        if task.fault is None:
            try:
                allowed = task.guide.allowed()
            except RuntimeError as error:
                task.fault = str(error)  # the batch goes on, this request's caller is told
            else:
                scores.masked_fill_(~allowed.to(scores.device), -torch.inf)

    def _advance(self, task: Task, token: int) -> None:
        assert task.guide is not None
        if task.fault is None:
            try:
                task.guide.take(token)
            except RuntimeError as error:
                task.fault = str(error)

    def _tell(self, rows: Sequence[int], logits: torch.Tensor, tokens: torch.Tensor) -> None:
        """Note the log-probabilities of ``tokens`` [rows] under ``logits`` [rows, vocabulary]."""
        totals = logits.logsumexp(-1)
        logprobs = (logits.gather(1, tokens[:, None])[:, 0] - totals).tolist()
        tops = [self._tasks[row].top or 0 for row in rows]
        best = logits.topk(max(tops))
        values = (best.values - totals[:, None]).tolist()
        ids = best.indices.tolist()
        for number, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            top = tops[number]
            others = list(zip(ids[number][:top], values[number][:top], strict=True))
            self._tasks[row].tokens.append(NewToken(token, logprobs[number], others))


def token_drawing() -> ContinuousBatchingLogitsProcessorList:
    """Return the processor list that a continuous batching manager takes before it starts."""
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([TokenDrawer()]))
    processors.tensors_required = 1  # the list counts only processors it converted itself
    return processors
