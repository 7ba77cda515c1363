"""POST /v1/chat/completions, fields in the order of OpenAI's API reference."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from serving.protocol.common import (
    UNUSED_USER,
    Body,
    ChoiceCount,
    FinishReason,
    Integer,
    ModelName,
    Only,
    Stops,
    StreamOptions,
    Temperature,
    Text,
    TopP,
    Usage,
    Whole,
)
from serving.protocol.guides import GuidedRequest


class ContentPart(Body):
    type: Literal["text"]
    text: Text


class ChatMessage(Body):
    """One turn; parts of content are joined as they stand."""

    content: Text | list[ContentPart]
    role: Literal["system", "user", "assistant"]
    type: Literal["text"] = Field(
        default="text", description="no field of OpenAI's; lm-eval sends it with every message"
    )

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatCompletionRequest(GuidedRequest):
    """Messages to answer, put into the form of the tokenizer's chat template."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: ModelName
    frequency_penalty: Annotated[float, Only(0)] = 0
    logit_bias: Annotated[dict[str, float], Only({})] = Field(default_factory=dict)
    logprobs: bool = False
    max_completion_tokens: Annotated[int, Field(ge=1), Whole] | None = None
    max_tokens: Annotated[int, Field(ge=1), Whole] | None = Field(
        default=None, description="the older name"
    )
    modalities: Annotated[list[str], Only(["text"])] = Field(default_factory=lambda: ["text"])
    n: ChoiceCount = 1
    presence_penalty: Annotated[float, Only(0)] = 0
    seed: Integer | None = None
    stop: Stops = Field(default_factory=list)
    store: Annotated[bool, Only(False)] = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Temperature = 1
    tool_choice: Annotated[str, Only("none")] = "none"
    tools: Annotated[list[Any], Only([])] = Field(default_factory=list)
    top_logprobs: Annotated[int, Field(ge=0, le=20), Whole] | None = None
    top_p: TopP = 1
    user: str = UNUSED_USER

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        return self


class TokenLogprob(BaseModel):
    """``bytes`` is null for a token that is no whole text by itself."""

    token: str
    bytes: list[int] | None
    logprob: float


class ChatTokenLogprob(TokenLogprob):
    top_logprobs: list[TokenLogprob]


class ChatLogprobs(BaseModel):
    content: list[ChatTokenLogprob]
    refusal: None = None


class AnswerMessage(BaseModel):
    content: str
    refusal: None = None
    role: Literal["assistant"] = "assistant"


class ChatChoice(BaseModel):
    finish_reason: FinishReason
    index: int
    logprobs: ChatLogprobs | None = None
    message: AnswerMessage


class ChatCompletion(BaseModel):
    """The answer of /v1/chat/completions."""

    id: str = Field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    choices: list[ChatChoice]
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    object: Literal["chat.completion"] = "chat.completion"
    usage: Usage


class Delta(BaseModel):
    content: str | None = None
    role: Literal["assistant"] | None = None


class ChatChunkChoice(BaseModel):
    delta: Delta
    finish_reason: FinishReason | None
    index: int
    logprobs: ChatLogprobs | None = None


class ChatCompletionChunk(BaseModel):
    """One event of a streamed chat completion."""

    id: str
    choices: list[ChatChunkChoice]
    created: int
    model: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: Usage | None = None
