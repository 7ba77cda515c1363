"""What is kept away from benchmarks: their files, and when a paragraph counts as one of theirs."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from medray.corpus.decontamination.items import Role
from medray.inputs import LanguageFiles
from medray.instruct.inputs import QuestionFiles
from medray.languages import language as language_of
from medray.recipe import Config


class BenchmarkFiles(LanguageFiles):
    """A benchmark in files of named columns, or of plain text.

    JSON (a list of rows, or rows by id), JSONL, CSV, TSV and Parquet have columns; a column may
    hold lists or mappings of texts. In plain text (.txt) each block between blank lines is an
    item. ``.gz``, ``.bz2`` and ``.zst`` are unpacked.
    """

    benchmark: str = Field(min_length=1, description="the name that evidence gives the benchmark")
    columns: Mapping[str, Role] = Field(
        default={},
        description="what each column holds: question, option, passage or rationale; the rest of "
        "the columns is not read. Empty for plain text",
    )
    id_column: str | None = Field(
        default=None, description="the column that names an item; absent: its place in the file"
    )
    column_names: tuple[str, ...] = Field(
        default=(), description="the columns of CSV or TSV files that have no header"
    )


class DecontaminateConfig(Config):
    """Which benchmarks the corpus is kept clean of, and how much overlap is too much.

    Lengths are in words; in Chinese and Japanese in characters, where a Latin word or a number
    counts as one. 20 of them do what 13 words do elsewhere: of a million runs of Chinese web text
    (18 MB) that many stand in the Chinese licensing exam by chance: 1,470 of 8 characters, 103 of
    13, 34 of 16, 5 of 20 (in laws, which the exam quotes), 1 of 25; of 13 words in English, French
    and Spanish against theirs, 0 or 1. Longer ones would miss more questions, of which half have
    no 20 characters.
    """

    questions: tuple[QuestionFiles, ...] = Field(
        default=(),
        description="exams in the formats that medray asks; may be the same list as the benchmark "
        "stage's. A file counts whole, whatever the entry's limit is",
    )
    files: tuple[BenchmarkFiles, ...] = Field(default=(), description="benchmarks in other files")
    ngram_words: int = Field(default=13, ge=5, le=100, description="words in a row that must agree")
    ngram_characters: int = Field(default=20, ge=8, le=200, description="the same for zh and ja")
    whole_words: int = Field(
        default=8,
        ge=4,
        description="a question too short for that counts where all its words stand in a row; one "
        "of fewer words than this is looked for together with its options",
    )
    whole_characters: int = Field(default=13, ge=6, description="the same for zh and ja")
    maximum_items: int = Field(
        default=10,
        ge=1,
        description="words in a row that more questions than this share are a manner of asking, "
        "and count for nothing",
    )
    paragraph_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="a paragraph (line) goes where this share of its words is a benchmark's",
    )
    run_words: int = Field(
        default=40,
        ge=5,
        description="a paragraph goes, however long it is, where so many words in a row are",
    )
    run_characters: int = Field(default=60, ge=8, description="the same for zh and ja")
    minimum_left_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a document goes where less than this share of its words is left",
    )

    @property
    def is_empty(self) -> bool:
        """Say whether no benchmark is named."""
        return not self.questions and not self.files

    def ngram_length(self, language: str) -> int:
        """Return how many words in a row must agree; KeyError for an unknown language."""
        return self.ngram_words if language_of(language).spaced else self.ngram_characters

    def whole_length(self, language: str) -> int:
        """Return from how many words on a short question is looked for alone."""
        return self.whole_words if language_of(language).spaced else self.whole_characters

    def run_length(self, language: str) -> int:
        """Return how many words in a row send any paragraph away."""
        return self.run_words if language_of(language).spaced else self.run_characters

    @field_validator("files")
    @classmethod
    def _have_columns(cls, files: tuple[BenchmarkFiles, ...]) -> tuple[BenchmarkFiles, ...]:
        for entry in files:
            if not entry.columns and (entry.id_column or entry.column_names):
                raise ValueError(
                    f"{entry.benchmark}: names no column to read; write columns: {{NAME: question}}"
                )
        return files

    @model_validator(mode="after")
    def _short_is_shorter(self) -> DecontaminateConfig:
        for short, long in (
            ("whole_words", "ngram_words"),
            ("whole_characters", "ngram_characters"),
        ):
            if getattr(self, short) > getattr(self, long):
                raise ValueError(f"{short} is larger than {long}; make it smaller")
        return self
