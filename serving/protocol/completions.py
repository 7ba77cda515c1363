"""POST /v1/completions, fields in the order of OpenAI's API reference."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from serving.protocol.common import (
    UNUSED_USER,
    ChoiceCount,
    FinishReason,
    Integer,
    ModelName,
    Only,
    Prompts,
    Stops,
    StreamOptions,
    Temperature,
    TokenCount,
    TopP,
    Usage,
    Whole,
    one_by_one,
)
from serving.protocol.guides import GuidedRequest


class CompletionRequest(GuidedRequest):
    """A text to go on with, or several; ``max_tokens`` 0 or 1 with ``logprobs`` scores them."""

    model: ModelName
    prompt: Prompts
    best_of: ChoiceCount | None = Field(
        default=None,
        description="choices generated for each prompt, of which the n with the highest mean "
        "log-probability of their generated tokens are returned, the best first; at least n, "
        "not together with stream",
    )
    echo: bool = False
    frequency_penalty: Annotated[float, Only(0)] = 0
    logit_bias: Annotated[dict[str, float], Only({})] = Field(default_factory=dict)
    logprobs: Annotated[int, Field(ge=0, le=5), Whole] | None = None
    max_tokens: TokenCount = 16
    n: ChoiceCount = 1
    presence_penalty: Annotated[float, Only(0)] = 0
    seed: Integer | None = None
    stop: Stops = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    suffix: Annotated[str, Only("")] = ""
    temperature: Temperature = 1
    top_p: TopP = 1
    user: str = UNUSED_USER

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts one by one; a list of integers is one prompt of tokens."""
        return one_by_one(self.prompt)

    @property
    def generated_choices(self) -> int:
        """Choices that are generated for each prompt, before the best are taken."""
        return self.best_of or self.n

    @model_validator(mode="after")
    def _best_of_enough(self) -> Self:
        if self.generated_choices < self.n:
            raise ValueError(f"best_of {self.best_of} is less than n {self.n}")
        if self.stream and self.generated_choices > self.n:
            raise ValueError("best_of cannot be streamed: the best is known at the end")
        return self


class CompletionLogprobs(BaseModel):
    """Per token: its name, log-probability, alternatives, place in the text (characters)."""

    text_offset: list[int]
    token_logprobs: list[float | None]
    tokens: list[str]
    top_logprobs: list[dict[str, float] | None]


class CompletionChoice(BaseModel):
    finish_reason: FinishReason | None
    index: int
    logprobs: CompletionLogprobs | None = None
    text: str


class Completion(BaseModel):
    """The answer of /v1/completions, and one event of its stream."""

    id: str = Field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    choices: list[CompletionChoice]
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    object: Literal["text_completion"] = "text_completion"
    usage: Usage | None = None
