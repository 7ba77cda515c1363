"""How a recipe names files of questions and of dialogues."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from medray.inputs import LanguageFiles
from medray.instruct import dialogues
from medray.instruct.dialogues import Dialogue, read_dialogues
from medray.instruct.questions import Format, Question, read_questions
from medray.instruct.templates import template_names
from medray.pipeline import StageContext


class QuestionInput(LanguageFiles):
    """Question files of one language in one format."""

    format: Format = "mmedbench"
    limit: int | None = Field(default=None, ge=1, description="take only the first so many")


def load_questions(inputs: Sequence[QuestionInput], context: StageContext) -> tuple[Question, ...]:
    """Read the questions that a recipe names, in its order."""
    questions: list[Question] = []
    for number, entry in enumerate(inputs):
        found: list[Question] = []
        for file in context.files(entry.files, f"questions.{number}.files"):
            found += read_questions(file, entry.format, entry.language)
        questions += found[: entry.limit]
    return tuple(questions)


class DialogueInput(LanguageFiles):
    """Files of instructions or dialogues of one language, and how they are written down."""

    format: dialogues.Format = "alpaca"
    template: str = Field(
        default="alpaca",
        description="a file of instruct/templates, or chat: the tokenizer's own",
    )
    limit: int | None = Field(default=None, ge=1, description="take only the first so many")

    @field_validator("template")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in template_names():
            raise ValueError(f"unknown template {name}; there are {', '.join(template_names())}")
        return name


def load_dialogues(
    inputs: Sequence[DialogueInput], context: StageContext
) -> tuple[tuple[Dialogue, str], ...]:
    """Read the dialogues that a recipe names, in its order, each with its template's name."""
    found: list[tuple[Dialogue, str]] = []
    for number, entry in enumerate(inputs):
        mine: list[Dialogue] = []
        for file in context.files(entry.files, f"dialogues.{number}.files"):
            mine += read_dialogues(file, entry.format, entry.language)
        found += [(dialogue, entry.template) for dialogue in mine[: entry.limit]]
    return tuple(found)
