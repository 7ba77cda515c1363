"""What the bodies of several routes share: kinds of fields, the request's base, usage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Only:
    """A field that clients may send with its neutral value and with no other."""

    neutral: object

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"const": self.neutral}

    def _check(self, value: Any) -> Any:
        if value != self.neutral:
            raise ValueError(f"not supported; the only value taken is {self.neutral!r}")
        return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _encodable(value: str) -> str:
    """JSON can spell half a surrogate pair, which is no text and which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode: half of a surrogate pair") from None
    return value


def _whole(value: Any) -> Any:
    """1.0 is an integer in JSON, and strict types would refuse it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _all_whole(value: Any) -> Any:
    """The same in a list, and in a list of lists."""
    if not isinstance(value, list):
        return value
    if any(isinstance(part, list) for part in value):
        return [
            [_whole(number) for number in part] if isinstance(part, list) else part
            for part in value
        ]
    return [_whole(part) for part in value]


Text = Annotated[str, AfterValidator(_encodable)]
SomeText = Annotated[str, StringConstraints(min_length=1), AfterValidator(_encodable)]
# OpenAI takes 4 stops; an lm-eval task with its own stops and the end token may have more.
MOST_STOPS = 16
Stops = Annotated[
    list[SomeText],
    BeforeValidator(_as_list),
    Field(max_length=MOST_STOPS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "maxItems": MOST_STOPS,
                },
            ]
        }
    ),
]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Whole = BeforeValidator(_whole)
Integer = Annotated[int, Whole]
TokenId = Annotated[int, Field(ge=0)]
TokenIds = Annotated[list[TokenId], BeforeValidator(_all_whole)]
TokenCount = Annotated[int, Field(ge=0), Whole]
# Each choice is one row of the batch; 16 keep one request from filling it.
ChoiceCount = Annotated[int, Field(ge=1, le=16), Whole]
ModelName = Annotated[
    str, Field(description="the base, or `base:adapter`; GET /v1/models lists them")
]
# A prompt, or several, as text or as tokens.
Prompts = Annotated[
    SomeText
    | Annotated[list[Text], Field(min_length=1)]
    | Annotated[list[TokenId], Field(min_length=1)]
    | Annotated[list[list[TokenId]], Field(min_length=1)],
    BeforeValidator(_all_whole),
]
UNUSED_USER = Field(default="", description="taken and not used; OpenAI uses it against abuse only")


def one_by_one(prompts: str | list[str] | list[int] | list[list[int]]) -> list[str | list[int]]:
    """Return the prompts of a field ``Prompts``; a list of integers is one prompt of tokens."""
    if isinstance(prompts, str):
        return [prompts]
    if isinstance(prompts[0], int):
        return [[token for token in prompts if isinstance(token, int)]]
    return [prompt for prompt in prompts if not isinstance(prompt, int)]


class Body(BaseModel):
    """What clients send: an unknown field is an error; null means unset, as at OpenAI.

    Types are strict: "1" is no number, as the OpenAPI document says.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


class StreamOptions(Body):
    include_usage: bool = False


class Usage(BaseModel):
    """Token counts: prompts once each, every generated token of every choice."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
