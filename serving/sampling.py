"""Drawing the next token: temperature, top-p and seed of every request inside one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import LogitsProcessorList
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)

# Below it, logits / temperature leaves the range of float32; vLLM draws the same line.
GREEDY_BELOW = 1e-5


@dataclass(frozen=True)
class Sampling:
    """How one sequence is drawn: temperature 0 is greedy; seed and choice name the noise."""

    temperature: float
    top_p: float = 1.0
    seed: int = 0
    choice: int = 0

    @property
    def greedy(self) -> bool:
        return self.temperature < GREEDY_BELOW


def seeded_scores(logits: torch.Tensor, sampling: Sampling, position: int) -> torch.Tensor:
    """Return scores (vocabulary,) whose argmax is a draw from softmax(logits / temperature).

    Gumbel-max trick in its exponential form: argmax(log p - log E), E ~ Exp(1) (Maddison et al.
    2014, A* sampling). The noise depends on (seed, choice, position) only, so a draw does not
    depend on which other requests share the batch. Top-p keeps the fewest tokens that hold at
    least ``top_p`` of the mass (Holtzman et al. 2020).
    """
    logprobs = (logits / sampling.temperature).log_softmax(-1)
    if sampling.top_p < 1:
        ordered, tokens = logprobs.sort(descending=True)
        mass_before = ordered.exp().cumsum(-1) - ordered.exp()
        dropped = tokens[mass_before >= sampling.top_p]
        logprobs[dropped] = -torch.inf
    random = numpy.random.default_rng((sampling.seed, sampling.choice, position))
    noise = torch.from_numpy(random.standard_exponential(logits.shape[-1], dtype=numpy.float32))
    return logprobs - noise.log().to(logprobs.device)


class SeededSampler(ContinuousBatchingLogitsProcessor):
    """Turns the rows of sampling requests into seeded scores; greedy rows pass untouched.

    transformers' continuous batching knows one ``do_sample`` and one seed for all requests. This
    processor lets the manager stay greedy (argmax) and still gives each request its own settings.
    It remembers the rows between ``prepare_tensor_args`` and ``__call__``, which the synchronous
    loop calls one after the other in one thread; asynchronous batching and graphs must stay off.
    """

    supported_kwargs: dict[str, type] = {"sampling": Sampling}  # noqa: RUF012 (the base class's shape)
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._rows: list[tuple[int, Sampling, int]] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: Sequence[Any]) -> torch.Tensor:
        self._rows = []
        for row, request in enumerate(requests_with_new_token):
            state = request.state
            sampling = state.logit_processor_kwargs.get("sampling")
            if sampling is not None and not sampling.greedy:
                # The absolute position survives an eviction, which turns output into prompt.
                position = len(state.initial_tokens) + len(state.generated_tokens)
                self._rows.append((row, sampling, position))
        return torch.zeros(len(requests_with_new_token), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        for row, sampling, position in self._rows:
            scores[row] = seeded_scores(scores[row], sampling, position)
        return scores


def sampling_processors() -> ContinuousBatchingLogitsProcessorList:
    """Return the processor list that a continuous batching manager takes before it starts."""
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([SeededSampler()]))
    processors.tensors_required = 1  # the list counts only processors it converted itself
    return processors
