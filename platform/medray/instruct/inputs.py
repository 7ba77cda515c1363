"""How a recipe names question files."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from medray.inputs import LanguageFiles
from medray.instruct.questions import Format, Question, read_questions
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
