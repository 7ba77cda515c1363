"""What a benchmark's YAML says: where its data lies, what its columns are, how it is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from medray.evaluation.benchmarks.item import AnswerForm
from medray.languages import LANGUAGES
from medray.recipe import Config

Metric = Literal[
    "accuracy",
    "hamming",
    "macro_f1",
    "micro_prf",
    "macro_prf",
    "span_prf",
    "text",
    "exact",
    "contains",
    "points",
    "judge",
]
Format = Literal["jsonl", "json", "csv", "xlsx", "iob", "super_ni"]
# A released script's way to read answers (``medray.evaluation.extraction.published``).
Reading = Literal["mirage", "igakuqa", "mmedlm", "meds_bench_choice", "meds_bench_label"]


class Answers(Config):
    """Which column holds the answer, and how to turn what stands there into letters or texts."""

    column: str = Field(description="a path into the row, as answer or final.decision")
    separator: str | None = Field(default=None, description="A,C is two answers, by a comma")
    counts_from: Literal[0, 1] | None = Field(
        default=None, description="the column holds the number of the right option"
    )
    names: dict[str, str] = Field(default={}, description="what stands there -> letter or label")
    also: str | None = Field(
        default=None, description="a word between sets that are right alike, as ' or '"
    )
    letter: bool = Field(default=False, description="the first letter before a colon: A: a text")
    letters: bool = Field(default=False, description="all letters before colons")
    lower: bool = Field(default=False, description="in small letters")
    behind: str = Field(default="", description="what is taken off the beginning of a text")
    drop: str = Field(default="", description="what is taken off the end of a text")
    empty: str | None = Field(default=None, description="the text that says: nothing")


class Options(Config):
    """A question's options: from one column, from several, or the same for every question."""

    column: str | None = Field(default=None, description="an object letter -> text, or a list")
    text: str | None = Field(default=None, description="where in each entry of a list its text is")
    columns: list[str] = Field(default=[], description="one column an option")
    fixed: dict[str, str] = Field(default={}, description="letter -> text, or label -> what it is")
    of_answers: bool = Field(default=False, description="labels: all answers of the split")
    in_text: str | None = Field(default=None, description="a text with A: one, tab, B: another")

    @model_validator(mode="after")
    def _one(self) -> Options:
        ways = (self.column, self.columns, self.fixed, self.of_answers, self.in_text)
        if sum(map(bool, ways)) != 1:
            raise ValueError("exactly one of column, columns, fixed, of_answers and in_text")
        return self


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Columns(Config):
    """How a row becomes an item.

    A text is a path (``question``, ``meta.title``) or, where it has braces, a template of paths
    (``{context} {question}``). ``file`` and ``row`` are the file's name and the row's number.
    """

    id: str = Field(default="{file}:{row}", description="unique in the split")
    question: str
    answers: Annotated[Answers | None, BeforeValidator(_column)] = Field(
        default=None, description="none: there are no reference answers, a judge alone can tell"
    )
    options: Annotated[Options | None, BeforeValidator(_column)] = None
    rationale: str | None = None
    instruction: str | None = None
    points: str | None = None
    language: str | None = Field(default=None, description="where rows differ in it")
    groups: dict[str, str] = Field(default={}, description="name -> text; empty ones are left out")


class Part(Config):
    """Files of one language."""

    files: str = Field(
        default="", description="below the data folder; a pattern takes several, in order"
    )
    language: str = ""
    format: Format | None = Field(default=None, description="default: by the file's suffix")
    rows: str | None = Field(
        default=None, description="json: path of the rows, * for each; an object gives its values"
    )
    header: list[str] = Field(default=[], description="csv without a first line of names")
    reader: str | None = Field(default=None, description="a function of readers.py")
    where: dict[str, str | bool | int] = Field(default={}, description="rows with these values")
    groups: dict[str, str] = Field(default={}, description="name -> what all its items are told by")
    benchmark: str | None = Field(default=None, description="take another benchmark's items")

    @model_validator(mode="after")
    def _whole(self) -> Part:
        if bool(self.files) == (self.benchmark is not None):
            raise ValueError("either files or benchmark")
        if self.language and self.language not in LANGUAGES:
            raise ValueError(f"language {self.language} is none of {', '.join(LANGUAGES)}")
        return self


class Split(Config):
    """One split: its files, and how many items they hold where that is known."""

    parts: list[Part] = Field(min_length=1)
    count: int | None = Field(default=None, ge=1, description="items; another number is an error")
    official: bool = Field(default=True, description="false: a split that medray made up")


class Declaration(Config):
    """One benchmark."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    family: str = Field(description="with which others it is told")
    category: str
    language: str = Field(description="of all items, or several where the rows or parts say so")
    form: AnswerForm
    metrics: list[Metric] = Field(min_length=1)
    prompt: str = Field(default="zero_shot", description="the form in which it is asked by default")
    instruction: str = Field(default="", description="what to do, the same for all items")
    licence: str
    citation: str
    obtain: str = Field(description="how to get the data, one line")
    restricted: bool = Field(default=False, description="data that may not be passed on")
    as_published: str = Field(
        default="", description="what the published score does otherwise, one line"
    )
    published_reading: Reading | None = None
    columns: Columns | None = None
    splits: dict[str, Split] = Field(min_length=1)
    notes: str = ""

    @property
    def scored_split(self) -> str:
        """The split that is scored where none is named."""
        return "test" if "test" in self.splits else next(iter(self.splits))

    @model_validator(mode="after")
    def _complete(self) -> Declaration:
        parts = [part for split in self.splits.values() for part in split.parts]
        if self.columns is None and any(part.benchmark is None for part in parts):
            raise ValueError("columns are missing")
        if self.language != "several" and self.language not in LANGUAGES:
            raise ValueError(f"language {self.language} is none of {', '.join(LANGUAGES)}")
        options = self.columns and self.columns.options
        if self.columns and self.columns.answers is None and self.metrics != ["judge"]:
            raise ValueError("without columns.answers there is no metric but judge")
        if self.columns and self.form in ("label", "labels", "choice", "choices") and not options:
            raise ValueError(f"form {self.form} wants columns.options")
        return self
