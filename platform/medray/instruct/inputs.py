"""How a recipe names question files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from medray.errors import InputError
from medray.instruct.questions import Format, Question, read_questions
from medray.languages import LANGUAGES
from medray.pipeline import StageContext
from medray.recipe import Config, InputFiles


class QuestionInput(Config):
    """Question files of one language in one format."""

    language: str = Field(description="language code, one of en zh ja fr ru es")
    files: Annotated[str, InputFiles()] = Field(description="path, URI or pattern of the files")
    format: Format = "mmedbench"
    limit: int | None = Field(default=None, ge=1, description="take only the first so many")


def load_questions(inputs: Sequence[QuestionInput], context: StageContext) -> tuple[Question, ...]:
    """Read the questions that a recipe names, in its order."""
    questions: list[Question] = []
    for number, entry in enumerate(inputs):
        key = f"questions.{number}"
        if entry.language not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise InputError(
                f"stages.{context.name}.{key}.language: no language {entry.language}; "
                f"there are {known}"
            )
        found: list[Question] = []
        for file in context.files(entry.files, f"{key}.files"):
            found += read_questions(file, entry.format, entry.language)
        questions += found[: entry.limit]
    return tuple(questions)
