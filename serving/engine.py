"""What an endpoint needs of a model: tokens in, tokens out, log-likelihoods, embeddings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from serving.sampling import Sampling

Alternatives = list[tuple[int, float]]  # (token, log-probability), most likely first
# The name of the weights as they are, without an adapter.
BASE = ""


class EngineStoppedError(RuntimeError):
    """The engine's generation loop has ended, by ``close`` or by a fault; no request is served."""


class UnknownAdapterError(LookupError):
    """No adapter of that name is to be had."""


class UnsupportedError(RuntimeError):
    """What was asked for is something that this engine cannot do; the message says which does."""


@dataclass(frozen=True)
class Guide:
    """What generated text must match: a JSON schema (as JSON), a regex, or one of some texts."""

    kind: Literal["json_schema", "regex", "choice"]
    value: str | tuple[str, ...]


@dataclass(frozen=True)
class GenerationJob:
    """One sequence to generate, ``max_tokens`` (>= 1) at most.

    ``top``: None, or how many alternatives each new token comes with (0: none, its own
    log-probability alone), of the model itself, before temperature, top-p and guide.
    """

    prompt: Sequence[int]
    sampling: Sampling
    max_tokens: int
    adapter: str = BASE
    guide: Guide | None = None
    top: int | None = None


@dataclass(frozen=True)
class NewToken:
    """A generated token; ``logprob`` (natural) and ``alternatives`` where they were asked for."""

    token: int
    logprob: float | None = None
    alternatives: Alternatives | None = None


@dataclass(frozen=True)
class ScoreJob:
    """A whole sequence (>= 1 token) whose tokens' log-probabilities are wanted.

    ``first``: those before this place are not wanted, so jobs that share their beginning are
    computed once up to there. ``top`` >= 1 alternatives a place. ``following``: whether what may
    come after the last token is wanted; if not, the last token itself costs nothing, and one-token
    options after one prompt are a single sequence.
    """

    tokens: Sequence[int]
    first: int = 0
    top: int = 1
    adapter: str = BASE
    following: bool = True


@dataclass(frozen=True)
class Score:
    """Log-probabilities (natural) of one sequence under the model, from token ``first`` on.

    ``logprobs[i]`` and ``alternatives[i]`` belong to token ``first + i`` given the tokens before
    it; both are None for token 0, where nothing comes before. ``following`` is what may come after
    the last token; empty where the job did not ask for it.
    """

    logprobs: list[float | None]
    alternatives: list[Alternatives | None]
    following: Alternatives
    first: int = 0

    def with_next(self) -> Score:
        """Return the score of the sequence and its greedy next token, whose own next is unknown."""
        _, logprob = self.following[0]
        return Score(
            [*self.logprobs, logprob], [*self.alternatives, self.following], [], self.first
        )


class Engine(Protocol):
    """One model in one replica. Called from the replica's event loop, which it never blocks.

    Every call raises ``EngineStoppedError`` once the engine has ended, ``UnknownAdapterError`` for
    an adapter that is not to be had.
    """

    @property
    def name(self) -> str:
        """Which engine this is, for an operator."""

    @property
    def context_tokens(self) -> int:
        """Positions that the model has for one sequence."""

    @property
    def vocabulary_size(self) -> int:
        """Rows of the embedding; a token id at or above it would be a fault, not a text."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens after which generation stops; the last generated token may be one of them."""

    def adapter_names(self) -> list[str]:
        """Return the names of the adapters that may be asked for, loaded or not."""

    def generate(self, job: GenerationJob) -> AsyncGenerator[list[NewToken]]:
        """Yield the new tokens as they come. Closing the iterator early cancels the request.

        ValueError for a guide that cannot be compiled, before the first token.
        """

    async def score(self, jobs: Sequence[ScoreJob]) -> list[Score]:
        """Score whole sequences; what is asked for at the same time is computed together."""

    async def embed(
        self, sequences: Sequence[Sequence[int]], adapter: str = BASE
    ) -> list[list[float]]:
        """Return for each sequence the mean of its last hidden states: float [hidden size].

        ``UnsupportedError`` by an engine that does not have them.
        """

    def healthy(self) -> bool:
        """Say whether requests can still be served."""

    def close(self) -> None:
        """Stop the generation loop and free its threads; further requests fail."""
