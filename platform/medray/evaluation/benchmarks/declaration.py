"""What a benchmark's YAML says: where its data lies, what its columns are, how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
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
Format = Literal["jsonl", "json", "csv", "tsv", "xlsx", "xml", "iob", "task_json"]
# A released script's way to read answers (``medray.evaluation.extraction.published``).
Reading = Literal[
    "mirage",
    "igakuqa",
    "mmedlm",
    "meds_bench_choice",
    "meds_bench_label",
    "meds_bench_first_line",
    "meds_bench_true_false",
]
Scalar = bool | int | str
NOT_STATED = "not stated"


class Answers(Config):
    """Which column holds the answer, and how to turn what stands there into letters or texts.

    What stands there is first put in small letters where ``lower`` says so and rid of ``prefix``
    and ``suffix``, then cut by ``or_word`` and ``separator``, then read.
    """

    column: str = Field(description="a path into the row, as answer or final.decision")
    prefix: str = Field(default="", description="what is taken off the beginning of a text")
    suffix: str = Field(default="", description="what is taken off the end of a text")
    or_word: str | None = Field(
        default=None, description="a word between sets that are right alike, as ' or '"
    )
    separator: str | None = Field(default=None, description="'A,C' is two answers, by a comma")
    counts_from: Literal[0, 1] | None = Field(
        default=None, description="the column holds the number of the right option"
    )
    read: Literal["as_is", "letters", "option_names"] = Field(
        default="as_is",
        description="letters: those in 'A: a text, C: another'; option_names: all that stand there",
    )
    names: dict[str, str] = Field(default={}, description="what stands there -> letter or label")
    lower: bool = Field(default=False, description="in small letters")
    nothing: list[str] = Field(default=[], description="texts that say: nothing")


class Options(Config):
    """A question's options: from one column, from several, or the same for every question."""

    column: str | None = Field(default=None, description="an object letter -> text, or a list")
    text: str | None = Field(default=None, description="where in each entry of a list its text is")
    columns: list[str] = Field(default=[], description="one column an option")
    fixed: dict[str, str] = Field(default={}, description="letter -> text, or label -> what it is")
    of_answers: bool = Field(
        default=False, description="labels: all answers of the split, beside the fixed ones"
    )
    in_text: str | None = Field(default=None, description="a text with A: one, tab, B: another")

    @model_validator(mode="after")
    def _one(self) -> Options:
        ways = (self.column, self.columns, self.fixed or self.of_answers, self.in_text)
        if sum(map(bool, ways)) != 1:
            raise ValueError("exactly one of column, columns, fixed or of_answers, and in_text")
        return self


class Tags(Config):
    """Columns of tokens and of their IOB tags, which tell question and answers."""

    tokens: str = "tokens"
    tags: str = "tags"
    kinds: bool = Field(default=False, description="entities are told as 'kind: text'")


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Columns(Config):
    """How a row becomes an item.

    A text is a path (``question``, ``meta.title``) or, where it has braces, a template of paths
    (``{context} {question}``). A path that ends in ``?`` may be missing in some rows. ``file``,
    ``folder`` and ``row`` are the file's name without suffix, its folder's and the row's number
    from 0; a column of the data that has the same name goes first.
    """

    id: str = Field(default="{file}:{row}", description="unique in the split")
    question: str = Field(default="", description="wanted but where iob tells it")
    context: str = Field(
        default="", description="a text before the question, which long prompts may begin later in"
    )
    answers: Annotated[Answers | None, BeforeValidator(_column)] = Field(
        default=None, description="none: there are no reference answers, a judge alone can tell"
    )
    options: Annotated[Options | None, BeforeValidator(_column)] = None
    iob: Tags | None = None
    rationale: str | None = None
    instruction: str | None = Field(
        default=None, description="where rows have their own; the declaration's where it is empty"
    )
    points: str | None = None
    language: str | None = Field(default=None, description="where rows differ in it")
    groups: dict[str, str] = Field(default={}, description="name -> text; empty ones are left out")

    @model_validator(mode="after")
    def _asked(self) -> Columns:
        if bool(self.question) == (self.iob is not None):
            raise ValueError("exactly one of question and iob")
        if self.iob is not None and (self.answers or self.options):
            raise ValueError("iob tells the answers: no answers, no options beside it")
        return self


Where = dict[str, Scalar | list[Scalar]]


class Part(Config):
    """Files of one language, or another benchmark's items."""

    files: str = Field(
        default="", description="below the data folder; a pattern takes several, in order"
    )
    one_file: bool = Field(default=False, description="an error where the pattern takes several")
    language: str = Field(default="", description="where the benchmark has several")
    format: Format | None = Field(default=None, description="default: by the file's suffix")
    reader: str | None = Field(default=None, description="instead of format: one of readers.py")
    encoding: str = "utf-8-sig"
    rows: str | None = Field(
        default=None,
        description="json: path of the rows, * for each; xml: ElementPath of their elements",
    )
    header: list[str] = Field(default=[], description="csv, tsv: names, where no line has them")
    delimiter: str = Field(default="", max_length=1, description="csv: another than the comma")
    where: Where = Field(default={}, description="rows with this value, or one of these")
    unless: Where = Field(default={}, description="no row with this value, or one of these")
    groups: dict[str, str] = Field(default={}, description="name -> what all its items are told by")
    benchmark: str | None = Field(default=None, description="take another benchmark's items")

    @model_validator(mode="after")
    def _whole(self) -> Part:
        if bool(self.files) == (self.benchmark is not None):
            raise ValueError("either files or benchmark")
        if self.language and self.language not in LANGUAGES:
            raise ValueError(f"language {self.language} is none of {', '.join(LANGUAGES)}")
        if self.format and self.reader:
            raise ValueError("either format or reader")
        return self


def _one_part(value: Any) -> Any:
    """A split of one part may be written without ``parts``: {files: exam.csv, count: 40}."""
    if not isinstance(value, Mapping) or "parts" in value:
        return value
    own = {key: value[key] for key in value if key in Split.model_fields}
    return own | {"parts": [{key: value[key] for key in value if key not in own}]}


class Split(Config):
    """One split: its files, and how many items they hold where that is known."""

    parts: list[Part] = Field(min_length=1)
    count: int | None = Field(default=None, ge=1, description="items; another number is an error")
    official: bool = Field(default=True, description="false: no split of its authors")
    rationale_where: Where = Field(
        default={}, description="rationales count in rows with these values, or without the column"
    )


class Declaration(Config):
    """One benchmark."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = ""
    family: str = Field(default="own", description="with which others it is told")
    category: str = Field(default="other", description="what kind of task it is")
    languages: list[str] = Field(min_length=1)
    form: AnswerForm
    metrics: list[Metric] = Field(min_length=1)
    prompt: str = Field(default="zero_shot", description="name of a prompt's form, or its text")
    instruction: str = Field(default="", description="what to do, the same for all items")
    licence: str = Field(default=NOT_STATED, description="of the data")
    citation: str = NOT_STATED
    obtain: str = Field(default=NOT_STATED, description="how to get the data, one line")
    restricted: bool = Field(default=False, description="data that may not be passed on")
    question_is_material: bool = Field(
        default=False, description="the instruction asks, and all of the question is its context"
    )
    as_published: str = Field(
        default="", description="what the published score does otherwise, one line"
    )
    published_reading: Reading | None = None
    columns: Columns | None = None
    void: list[str] = Field(default=[], description="ids of items for which any answer is right")
    splits: dict[str, Annotated[Split, BeforeValidator(_one_part)]] = Field(min_length=1)
    notes: str = ""

    @property
    def scored_split(self) -> str:
        """The split that is scored where none is named."""
        return "test" if "test" in self.splits else next(iter(self.splits))

    @model_validator(mode="after")
    def _complete(self) -> Declaration:
        if unknown := [code for code in self.languages if code not in LANGUAGES]:
            raise ValueError(f"language {unknown[0]} is none of {', '.join(LANGUAGES)}")
        parts = [part for split in self.splits.values() for part in split.parts]
        own = [part for part in parts if part.benchmark is None]
        if own and self.columns is None:
            raise ValueError("columns are missing")
        if self.columns is not None:
            self._asks(self.columns, own)
        return self

    def _asks(self, columns: Columns, parts: list[Part]) -> None:
        told = columns.answers is not None or columns.iob is not None
        if not told and self.metrics != ["judge"]:
            raise ValueError("without columns.answers there is no metric but judge")
        if self.form in ("label", "labels", "choice", "choices") and not columns.options:
            raise ValueError(f"form {self.form} wants columns.options")
        if columns.iob and self.form != "entities":
            raise ValueError("columns.iob wants form entities")
        many = len(self.languages) > 1 and columns.language is None
        if many and (untold := [part.files for part in parts if not part.language]):
            raise ValueError(f"of which of the languages is {untold[0]}?")
