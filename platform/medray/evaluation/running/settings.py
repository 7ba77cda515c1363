"""How a benchmark is asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medray.evaluation.benchmarks.item import AnswerForm
from medray.evaluation.limits import Limits
from medray.recipe import Config

Way = Literal["generated", "likelihood", "both"]
# Tokens of an answer where none are told: a letter with its reason, a list, a page.
ANSWER_TOKENS: dict[AnswerForm, int] = {
    "choice": 256,
    "choices": 256,
    "label": 256,
    "labels": 256,
    "entities": 256,
    "text": 512,
}


class RunSettings(Config):
    """What is asked, and how hard."""

    prompt: str | None = Field(
        default=None, description="a form's name or YAML file; default: the benchmark's own"
    )
    way: Way = Field(default="generated", description="answers, options' likelihoods, or both")
    shots: int = Field(default=0, ge=0, description="examples before each question")
    rationale: bool = Field(
        default=True, description="mmedlm: ask for the reason before the answer"
    )
    seed: int = Field(default=0, description="of the choice of shots, and of sampling")
    limit: int | None = Field(default=None, ge=1, description="the first so many of a language")
    chat: bool = Field(default=False, description="ask /chat/completions, by the chat template")
    maximum_new_tokens: int | None = Field(default=None, ge=1, description="default: by form")
    temperature: float = Field(default=0.0, ge=0)
    stop: list[str] = Field(default=[], description="texts that end an answer")
    maximum_prompt_tokens: int | None = Field(
        default=None, ge=8, description="longer prompts lose shots, then context; wants a tokenizer"
    )
    concurrency: int = Field(default=16, ge=1, description="requests in flight")
    timeout_s: float = Field(default=600.0, gt=0, description="longest wait for one answer")
    limits: Limits = Field(default=Limits())
