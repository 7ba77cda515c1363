"""POST /v1/score, this endpoint's own: how likely each option is after a prompt."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from serving.protocol.common import Body, ModelName, SomeText, Text, Usage

MOST_QUESTIONS = 256
MOST_OPTIONS = 64


class Question(Body):
    prompt: Text = Field(description="read once for all options; may be empty")
    options: Annotated[list[SomeText], Field(min_length=1, max_length=MOST_OPTIONS)] = Field(
        description="texts that follow the prompt as they stand, with their leading blank"
    )


class ScoreRequest(Body):
    model: ModelName
    questions: Annotated[list[Question], Field(min_length=1, max_length=MOST_QUESTIONS)]
    add_special_tokens: bool = Field(
        default=True,
        description="whether the tokenizer puts its own first token before a prompt without it",
    )


class OptionScore(BaseModel):
    """Natural logarithms. ``is_greedy``: greedy generation would have written the option."""

    index: int
    logprob_sum: float
    logprob_mean: float
    token_count: int
    is_greedy: bool


class QuestionScore(BaseModel):
    """``best``: the option with the highest sum."""

    index: int
    best: int
    options: list[OptionScore]
    prompt_tokens: int


class Scores(BaseModel):
    """The answer of /v1/score. Usage counts each prompt once and the tokens of all options."""

    id: str = Field(default_factory=lambda: f"score-{uuid.uuid4().hex}")
    created: int = Field(default_factory=lambda: int(time.time()))
    data: list[QuestionScore]
    model: str
    object: Literal["list"] = "list"
    usage: Usage
