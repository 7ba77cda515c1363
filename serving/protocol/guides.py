"""Fields that bind generated text to a form: OpenAI's response_format, vLLM's structured_outputs.

https://platform.openai.com/docs/guides/structured-outputs and
https://docs.vllm.ai/en/latest/features/structured_outputs.html
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from serving.protocol.common import Body, SomeText, Text

# A schema of its own kind: any JSON object, whatever it holds.
JsonSchema = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
# vLLM takes a schema as JSON text too.
SchemaOrText = Annotated[
    dict[str, Any] | Text, WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "string"}]})
]
Choices = Annotated[list[SomeText], Field(min_length=1, max_length=1024)]


class NamedSchema(Body):
    """``strict`` changes nothing here: the text is always held to the schema."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str = ""
    schema_: JsonSchema = Field(alias="schema")
    strict: bool = False


class TextFormat(Body):
    type: Literal["text"]


class ObjectFormat(Body):
    type: Literal["json_object"]


class SchemaFormat(Body):
    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


class StructuredOutputs(Body):
    """vLLM's form: exactly one of the fields."""

    choice: Choices | None = None
    json_: SchemaOrText | None = Field(alias="json", default=None)
    json_object: Literal[True] | None = None
    regex: SomeText | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of choice, json, json_object and regex is taken")
        return self


class GuidedRequest(Body):
    """A request whose text may be bound, by one of these fields at most."""

    response_format: ResponseFormat | None = None
    # vLLM's, today's form and the one before 0.12.
    structured_outputs: StructuredOutputs | None = None
    guided_choice: Choices | None = Field(default=None, description="structured_outputs.choice")
    guided_json: SchemaOrText | None = Field(default=None, description="structured_outputs.json")
    guided_regex: SomeText | None = Field(default=None, description="structured_outputs.regex")

    @property
    def guide_fields(self) -> list[str]:
        """The names of the fields that bind the text; at most one."""
        plain = self.response_format is None or self.response_format.type == "text"
        names = [] if plain else ["response_format"]
        own = ("structured_outputs", "guided_choice", "guided_json", "guided_regex")
        return names + [name for name in own if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _one_guide(self) -> Self:
        if len(self.guide_fields) > 1:
            raise ValueError(f"{' and '.join(self.guide_fields)} cannot go together")
        return self
