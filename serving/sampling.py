"""Drawing one token from logits by temperature, top-p and a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch

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
    # In float64: of numpy's float32 draws one in 8 million is 0, which wins whatever its token's
    # probability, at every 60th step of a vocabulary of 150,000.
    noise = torch.from_numpy(random.standard_exponential(logits.shape[-1]))
    return logprobs - noise.log().to(logprobs.device, logprobs.dtype)
