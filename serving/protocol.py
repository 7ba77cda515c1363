"""OpenAI's HTTP bodies, fields in the order of its API reference (completions, chat, models).

What this endpoint cannot do is refused, never ignored: a field that is not named here is an error,
and a field that takes only one value says so.
"""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    field_validator,
    model_validator,
)

FinishReason = Literal["stop", "length"]


class RequestError(Exception):
    """A request that is answered with an error body. ``param`` names the field at fault."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        *,
        status: int = 400,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.status, self.code = message, param, status, code


class ErrorDetail(BaseModel):
    """OpenAI's error object. ``type`` follows from the status."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    error: ErrorDetail


_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 504: "timeout_error"}


def error_body(
    message: str, status: int, param: str | None = None, code: str | None = None
) -> ErrorBody:
    """Return the body of an error answer with HTTP status ``status``."""
    other = "server_error" if status >= 500 else "invalid_request_error"
    kind = _ERROR_TYPES.get(status, other)
    return ErrorBody(error=ErrorDetail(message=message, type=kind, param=param, code=code))


def _only(neutral: object) -> Any:
    """A field that clients may send with its neutral value and with no other."""

    def check(value: Any) -> Any:
        if value != neutral:
            raise ValueError(f"not supported; the only value taken is {neutral!r}")
        return value

    return AfterValidator(check)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _encodable(value: str) -> str:
    """JSON can spell half a surrogate pair, which is no text and which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode: half of a surrogate pair") from None
    return value


Text = Annotated[str, AfterValidator(_encodable)]
StopString = Annotated[Text, StringConstraints(min_length=1)]
Stops = Annotated[list[StopString], BeforeValidator(_as_list), Field(max_length=4)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
TokenCount = Annotated[int, Field(ge=0)]
# Each choice is one row of the batch; 16 keep one request from filling it.
ChoiceCount = Annotated[int, Field(ge=1, le=16)]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class GenerationRequest(BaseModel):
    """What both requests share: an unknown field is an error; null means unset, as at OpenAI."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


class CompletionRequest(GenerationRequest):
    """POST /v1/completions."""

    model: str
    prompt: Text | list[Text] | list[StrictInt] | list[list[StrictInt]]
    best_of: Annotated[int, _only(1)] = 1
    echo: bool = False
    frequency_penalty: Annotated[float, _only(0)] = 0
    logit_bias: Annotated[dict[str, float], _only({})] = Field(default_factory=dict)
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    max_tokens: TokenCount = 16
    n: ChoiceCount = 1
    presence_penalty: Annotated[float, _only(0)] = 0
    seed: int | None = None
    stop: Stops = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    suffix: Annotated[str, _only("")] = ""
    temperature: Temperature = 1
    top_p: TopP = 1
    user: str = Field(
        default="", description="taken and not used; OpenAI uses it against abuse only"
    )

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts one by one; a list of integers is one prompt of tokens."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [[token for token in self.prompt if isinstance(token, int)]]
        return [prompt for prompt in self.prompt if not isinstance(prompt, int)]

    @field_validator("prompt")
    @classmethod
    def _some(cls, prompt: Any) -> Any:
        if len(prompt) == 0:
            raise ValueError("empty")
        return prompt

    @model_validator(mode="after")
    def _no_streamed_logprobs(self) -> Self:
        if self.stream and self.logprobs is not None:
            raise ValueError("logprobs are not supported together with stream")
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


class Usage(BaseModel):
    """Token counts: prompts once each, every generated token of every choice."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """The answer of /v1/completions, and one event of its stream."""

    id: str = Field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    choices: list[CompletionChoice]
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    object: Literal["text_completion"] = "text_completion"
    usage: Usage | None = None


class ContentPart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """One turn; parts of content are joined as they stand."""

    model_config = ConfigDict(extra="forbid")

    content: Text | list[ContentPart]
    role: Literal["system", "user", "assistant"]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatCompletionRequest(GenerationRequest):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str
    frequency_penalty: Annotated[float, _only(0)] = 0
    logit_bias: Annotated[dict[str, float], _only({})] = Field(default_factory=dict)
    logprobs: bool = False
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="the older name"
    )
    n: ChoiceCount = 1
    presence_penalty: Annotated[float, _only(0)] = 0
    seed: int | None = None
    stop: Stops = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Temperature = 1
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    top_p: TopP = 1
    user: str = Field(
        default="", description="taken and not used; OpenAI uses it against abuse only"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream and self.logprobs:
            raise ValueError("logprobs are not supported together with stream")
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
    logprobs: None = None


class ChatCompletionChunk(BaseModel):
    """One event of a streamed chat completion."""

    id: str
    choices: list[ChatChunkChoice]
    created: int
    model: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: Usage | None = None


class ModelCard(BaseModel):
    """One entry of GET /v1/models."""

    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: Literal["medray"] = "medray"


class ModelList(BaseModel):
    data: list[ModelCard]
    object: Literal["list"] = "list"
