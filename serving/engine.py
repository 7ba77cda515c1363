"""What an endpoint needs of a model: tokens in, tokens out, and log-likelihoods."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.sampling import Sampling

Alternatives = list[tuple[int, float]]  # (token, log-probability), most likely first


class EngineStoppedError(RuntimeError):
    """The engine's generation loop has ended, by ``close`` or by a fault; no request is served."""


@dataclass(frozen=True)
class Score:
    """Log-probabilities (natural) of one sequence under the model, aligned with its tokens.

    ``logprobs[i]`` and ``alternatives[i]`` belong to token i given the tokens before it; both are
    None at i = 0, where nothing comes before. ``following`` is what may come after the last token.
    """

    logprobs: list[float | None]
    alternatives: list[Alternatives | None]
    following: Alternatives

    def with_next(self) -> Score:
        """Return the score of the sequence and its greedy next token, whose own next is unknown."""
        _, logprob = self.following[0]
        return Score([*self.logprobs, logprob], [*self.alternatives, self.following], [])


class Engine(Protocol):
    """One model in one replica. Called from the replica's event loop, which it never blocks."""

    @property
    def context_tokens(self) -> int:
        """Positions that the model has for one sequence."""

    @property
    def vocabulary_size(self) -> int:
        """Rows of the embedding; a token id at or above it would be a fault, not a text."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens after which generation stops; the last generated token may be one of them."""

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, max_tokens: int
    ) -> AsyncGenerator[list[int]]:
        """Yield the new tokens as they come, ``max_tokens`` (>= 1) at most.

        Closing the iterator early cancels the request. Raises ``EngineStoppedError``.
        """

    async def score(self, sequences: Sequence[Sequence[int]], top: int) -> list[Score]:
        """Score whole sequences (each >= 1 token); ``top`` >= 1 alternatives per position."""

    def healthy(self) -> bool:
        """Say whether requests can still be served."""

    def close(self) -> None:
        """Stop the generation loop and free its threads; further requests fail."""
