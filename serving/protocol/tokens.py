"""POST /tokenize and /detokenize, GET /tokenizer_info: vLLM's shapes, which lm-eval reads."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving.protocol.chat import ChatMessage
from serving.protocol.common import Body, ModelName, Text, TokenIds

# lm-eval names no model.
AnyModel = Annotated[ModelName | None, Field(description="default: the base")]


class TokenizeRequest(Body):
    """A text, or messages in the form of the chat template, as /v1/chat/completions reads them."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["prompt"]}, {"required": ["messages"]}]}
    )

    model: AnyModel = None
    prompt: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = None
    add_special_tokens: bool = Field(
        default=True, description="with prompt only; a chat template writes its own"
    )
    add_generation_prompt: bool = Field(
        default=True, description="with messages only: end where the assistant's answer begins"
    )
    return_token_strs: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("either prompt or messages is needed, not both")
        foreign = "add_special_tokens" if self.prompt is None else "add_generation_prompt"
        if foreign in self.model_fields_set:
            raise ValueError(f"{foreign} goes with the other of prompt and messages")
        return self


class Tokenized(BaseModel):
    """``max_model_len``: positions that the model has for one sequence."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(Body):
    model: AnyModel = None
    tokens: TokenIds


class Detokenized(BaseModel):
    """Special tokens are spelled out, so a text comes back as it was tokenised."""

    prompt: str


class TokenizerInfo(BaseModel):
    """What a client needs to build prompts: special tokens as text, the template in use."""

    tokenizer_class: str
    vocab_size: int
    model_max_length: int
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    unk_token: str | None
    chat_template: str
