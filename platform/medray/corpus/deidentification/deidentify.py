"""The step that puts typed tags in place of what could tell who a patient is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa
from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, field_validator

from medray.corpus.deidentification.dates import is_form_field
from medray.corpus.deidentification.names import repeated_names
from medray.corpus.deidentification.page import Page
from medray.corpus.deidentification.rules import anchored_spans, numeric_spans
from medray.corpus.deidentification.spans import KINDS, Kind, Span, disjoint, replace_spans
from medray.corpus.deidentification.telephones import TELEPHONE_REGIONS
from medray.corpus.deidentification.titles import titled_names
from medray.corpus.documents import SPANS_TYPE
from medray.corpus.steps import Judged
from medray.languages import LANGUAGES, Code
from medray.recipe import Config

# What makes a text a record of a person, so that titles in it name that person; so does a form's
# date of birth, but not a biography's.
_RECORD_MARKS = frozenset({"NAME", "RECORD_NUMBER", "NATIONAL_ID"})


class DeidentifyConfig(Config):
    """What is replaced, and by which tag."""

    kinds: tuple[Kind, ...] = Field(
        default=KINDS, min_length=1, description="the kinds of personal data that are replaced"
    )
    tag_format: str = Field(
        default="[{kind}]", description="what stands in place of a span; {kind} stands for its kind"
    )
    titled_names: Literal["records", "always", "never"] = Field(
        default="records",
        description="where a title and a name ('Mr Smith') count as a patient's name: in texts "
        "that also mark a name, record number, national id or date of birth; in all; in none",
    )
    repeated_names: bool = Field(
        default=True, description="replace a marked name wherever the same text has it again"
    )
    telephone_regions: Mapping[Code, tuple[str, ...]] = Field(
        default=TELEPHONE_REGIONS,
        description="by language, the countries (ISO 3166) whose national telephone forms count; "
        "a language that is left out keeps its own",
    )

    @field_validator("tag_format")
    @classmethod
    def _names_the_kind(cls, value: str) -> str:
        if "{kind}" not in value:
            raise ValueError("must hold {kind}, or the kinds could not be told apart")
        return value

    @field_validator("telephone_regions")
    @classmethod
    def _exist(cls, value: Mapping[Code, tuple[str, ...]]) -> Mapping[Code, tuple[str, ...]]:
        regions = {region for row in value.values() for region in row}
        unknown = sorted((value.keys() - LANGUAGES.keys()) | (regions - SUPPORTED_REGIONS))
        if unknown:
            raise ValueError(f"no language or country {', '.join(unknown)}; write en: [US, GB]")
        return {**TELEPHONE_REGIONS, **value}


class Deidentify:
    """Step: replaces personal data by typed tags; no text is dropped.

    ``spans``: list of {kind, start, end}, sorted, disjoint, in characters of the text as given;
    ``deidentified``: how many there are.
    """

    name = "deidentify"
    reasons: tuple[str, ...] = ()

    def __init__(self, config: DeidentifyConfig) -> None:
        self._config = config
        self._kinds = frozenset(config.kinds)

    def __call__(self, texts: pa.StringArray, language: str) -> Judged:
        given: list[str] = texts.to_pylist()
        spans = [self.spans(text, language) for text in given]
        tagged = None
        if any(spans):
            tag_format = self._config.tag_format
            tagged = pa.array(
                [replace_spans(t, s, tag_format) for t, s in zip(given, spans, strict=True)],
                pa.string(),
            )
        return Judged(
            reasons=pa.nulls(len(texts), pa.string()),
            scores={
                "spans": pa.array([[s._asdict() for s in row] for row in spans], SPANS_TYPE),
                "deidentified": pa.array(map(len, spans), pa.int32()),
            },
            texts=tagged,
        )

    def spans(self, text: str, language: Code) -> list[Span]:
        """Return what is to be replaced in one text, sorted and disjoint."""
        page = Page.of(text, language, self._config.telephone_regions[language])
        found = [*anchored_spans(page, self._kinds), *numeric_spans(page, self._kinds)]
        if "NAME" in self._kinds:
            found += self._further_names(page, found)
        return disjoint(found, text) if found else []

    def _further_names(self, page: Page, found: list[Span]) -> list[Span]:
        """Return the names that stand without a label in a text that marks a person."""
        policy = self._config.titled_names
        is_record = any(
            span.kind in _RECORD_MARKS or (span.kind == "BIRTH_DATE" and is_form_field(page, span))
            for span in found
        )
        further = []
        if policy == "always" or (policy == "records" and is_record):
            further += titled_names(page)
        if self._config.repeated_names:
            marked = {page.text[s.start : s.end] for s in (*found, *further) if s.kind == "NAME"}
            further += repeated_names(page, marked)
        return further
