"""POST /v1/embeddings, fields in the order of OpenAI's API reference."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from serving.protocol.common import UNUSED_USER, Body, ModelName, Prompts, one_by_one

MOST_INPUTS = 2048  # OpenAI's


class EmbeddingRequest(Body):
    """Texts whose meaning is wanted as vectors: the mean of the model's last hidden states."""

    input: Prompts
    model: ModelName
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="base64: of float32, little-endian"
    )
    user: str = UNUSED_USER

    @property
    def inputs(self) -> list[str | list[int]]:
        return one_by_one(self.input)

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if len(self.inputs) > MOST_INPUTS:
            raise ValueError(f"{len(self.inputs)} inputs; at most {MOST_INPUTS} are taken")
        return self


class Embedding(BaseModel):
    embedding: list[float] | str
    index: int
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The answer of /v1/embeddings."""

    data: list[Embedding]
    model: str
    object: Literal["list"] = "list"
    usage: EmbeddingUsage
