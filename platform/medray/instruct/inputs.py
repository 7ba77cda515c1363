"""How a recipe names files of questions and of dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from medray.errors import InputError
from medray.inputs import LanguageFiles
from medray.instruct import dialogues
from medray.instruct.dialogues import Dialogue, read_dialogues
from medray.instruct.prompts import QUESTION_TEMPLATE
from medray.instruct.questions import Format, Question, read_questions
from medray.instruct.templates import CHAT, load_template, refusal, template_names
from medray.languages import LANGUAGES
from medray.pipeline import StageContext
from medray.storage.location import Location


def _known_template(name: str) -> str:
    if name not in template_names():
        raise ValueError(f"unknown template {name}; there are {', '.join(template_names())}")
    return name


def _no_language(name: str) -> str:
    if name in LANGUAGES:
        raise ValueError(f"{name} is a language: a mixture could not tell them apart")
    return name


TemplateName = Annotated[str, AfterValidator(_known_template)]
EntryName = Annotated[
    str,
    AfterValidator(_no_language),
    Field(description="what training.mixture calls it; entries may share a name"),
]


class QuestionFiles(LanguageFiles):
    """Question files of one language in one format."""

    format: Format = "mmedbench"
    limit: int | None = Field(default=None, ge=1, description="take only the first so many")


class QuestionInput(QuestionFiles):
    """Questions to be taught, and how they are written down."""

    name: EntryName = ""
    template: TemplateName = Field(
        default=QUESTION_TEMPLATE,
        description="a file of instruct/templates, or chat: the tokenizer's own",
    )


def load_questions(inputs: Sequence[QuestionFiles], context: StageContext) -> tuple[Question, ...]:
    """Read the questions that a recipe names, in its order."""
    return tuple(
        question
        for number, given in enumerate(inputs)
        for question in _questions(given, f"questions.{number}", context)
    )


def _questions(given: QuestionFiles, key: str, context: StageContext) -> tuple[Question, ...]:
    found: list[Question] = []
    for file in context.files(given.files, f"{key}.files"):
        found += read_questions(file, given.format, given.language)
    return tuple(found[: given.limit])


class DialogueInput(LanguageFiles):
    """Files of instructions or dialogues of one language, and how they are written down."""

    name: EntryName = ""
    format: dialogues.Format = "alpaca"
    template: TemplateName = Field(
        default="alpaca",
        description="a file of instruct/templates, or chat: the tokenizer's own",
    )
    shots: int = Field(
        default=3, ge=0, le=3, description="of a task's examples, so many are shown before"
    )
    limit: int | None = Field(default=None, ge=1, description="take only the first so many")


@dataclass(frozen=True)
class Entry:
    """What one entry of a recipe holds to be taught. ``key``: the entry's own, as dialogues.0.

    ``template``: the name of that which they are written down by. ``name``: the mixture's for it.
    """

    key: str
    examples: tuple[Question, ...] | tuple[Dialogue, ...]
    template: str
    name: str = ""

    @property
    def language(self) -> str:
        return self.examples[0].language


def load_entries(
    questions: Sequence[QuestionInput], dialogues: Sequence[DialogueInput], context: StageContext
) -> tuple[Entry, ...]:
    """Read what a recipe names to be taught: its questions, then its dialogues, in its order."""
    entries = []
    for number, asked in enumerate(questions):
        key = f"questions.{number}"
        entries.append(Entry(key, _questions(asked, key, context), asked.template, asked.name))
    for number, told in enumerate(dialogues):
        key = f"dialogues.{number}"
        entries.append(Entry(key, _dialogues(told, key, context), told.template, told.name))
    return tuple(entries)


def _dialogues(given: DialogueInput, key: str, context: StageContext) -> tuple[Dialogue, ...]:
    read = [
        (file, dialogue.model_copy(update={"shots": dialogue.shots[: given.shots]}))
        for file in context.files(given.files, f"{key}.files")
        for dialogue in read_dialogues(file, given.format, given.language)
    ][: given.limit]
    for file, dialogue in read:
        _check_places(dialogue, given.template, file)
    return tuple(dialogue for _, dialogue in read)


def _check_places(dialogue: Dialogue, name: str, file: Location) -> None:
    """InputError that names file and row where the template has no place for a part."""
    if name == CHAT:
        return  # whatever the tokenizer's own is, it has messages for all parts
    template = load_template(name)
    if told := refusal(template, dialogue):
        row = dialogue.dialogue_id.removeprefix(f"{file.name}:")
        remedy = "; shots: 0 leaves them out" if "shots" in template.homeless(dialogue) else ""
        raise InputError(f"{file}: row {row}: {told}{remedy}")
