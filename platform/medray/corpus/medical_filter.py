"""The medical filter: how many keywords a document holds, and how densely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, ValidationInfo, field_validator

from medray.corpus.keywords import load_keywords
from medray.corpus.matching import AhoCorasickMatcher, Match, Matcher, Span
from medray.recipe import Config

Density = Literal["coverage", "sum"]
# The reasons a document can have; the funnel of the report counts them in this order.
REASONS = ("empty", "keyword_count", "keyword_density", "kept")


class Threshold(Config):
    """Least number of distinct keywords (MKC) and least density (DENS) of a medical document."""

    keyword_count: int = Field(ge=1, description="least number of distinct keywords")
    density: float = Field(ge=0, le=1, description="least share of characters in keywords")


# The thresholds that MMedLM published for CulturaX (data_collection/filtering/filter.py). They
# were set for its own keyword lists; tests/benchmarks/reach_of_filter.py measures medray's.
DEFAULT_THRESHOLDS = {
    "en": Threshold(keyword_count=5, density=0.04),
    "zh": Threshold(keyword_count=5, density=0.05),
    "ja": Threshold(keyword_count=5, density=0.05),
    "fr": Threshold(keyword_count=4, density=0.04),
    "ru": Threshold(keyword_count=4, density=0.02),
    "es": Threshold(keyword_count=4, density=0.04),
}
DEFAULT_MATCH: dict[str, Match] = {
    "en": "prefix",
    "zh": "substring",
    "ja": "substring",
    "fr": "prefix",
    "ru": "prefix",
    "es": "prefix",
}


class MedicalFilterConfig(Config):
    """How documents are judged. Thresholds belong to one pair of match and density."""

    match: dict[str, Match] = Field(
        default=DEFAULT_MATCH,
        description="by language: boundary (whole word), prefix (word's start) or substring",
    )
    density: Density = Field(
        default="coverage",
        description="coverage: a character under two keywords counts once; sum: twice",
    )
    thresholds: dict[str, Threshold] = Field(
        default=DEFAULT_THRESHOLDS, description="least count and density, by language"
    )

    @field_validator("match", "thresholds", mode="before")
    @classmethod
    def _add_defaults(cls, value: Any, info: ValidationInfo) -> Any:
        """Let a recipe name only the languages that it changes."""
        defaults = DEFAULT_MATCH if info.field_name == "match" else DEFAULT_THRESHOLDS
        if isinstance(value, dict) and (unknown := [k for k in value if k not in defaults]):
            raise ValueError(f"no language {', '.join(unknown)}; there are {', '.join(defaults)}")
        return defaults | value if isinstance(value, dict) else value


@dataclass(frozen=True)
class Scores:
    """A document's scores: distinct keywords (MKC) and density (DENS), a share of characters."""

    keyword_count: int
    density: float


def score(text: str, matcher: Matcher, density: Density) -> Scores:
    """Return the scores of one text. DENS = characters in keywords / characters of the text."""
    spans = matcher.spans(text)
    if not text or not spans:
        return Scores(0, 0.0)
    covered = sum(end - start for _, start, end in spans) if density == "sum" else _union(spans)
    return Scores(len({number for number, _, _ in spans}), covered / len(text))


def _union(spans: Sequence[Span]) -> int:
    """Return how many characters lie under at least one span; spans are sorted by start."""
    covered, reached = 0, 0
    for _, start, end in spans:
        covered += max(0, end - max(start, reached))
        reached = max(reached, end)
    return covered


@cache
def matcher_for(language: str, match: Match) -> Matcher:
    """Return the matcher of medray's list for a language, built once in each process."""
    return AhoCorasickMatcher(load_keywords(language).words, match)


def judge(text: str | None, language: str, config: MedicalFilterConfig) -> tuple[str, Scores]:
    """Return the reason of the decision on one document, and its scores."""
    if text is None or not text.strip():
        return "empty", Scores(0, 0.0)
    threshold = config.thresholds[language]
    scores = score(text, matcher_for(language, config.match[language]), config.density)
    if scores.keyword_count < threshold.keyword_count:
        return "keyword_count", scores
    if scores.density < threshold.density:
        return "keyword_density", scores
    return "kept", scores


def decide(texts: pa.ChunkedArray, language: str, config: MedicalFilterConfig) -> pa.Table:
    """Return one row per text: keep, reason, keyword_count, density, characters."""
    rows = []
    for text in texts.to_pylist():
        reason, scores = judge(text, language, config)
        rows.append((reason, scores.keyword_count, scores.density, len(text or "")))
    reasons = [row[0] for row in rows]
    return pa.table(
        {
            "keep": pa.array([reason == "kept" for reason in reasons], pa.bool_()),
            "reason": pa.array(reasons, pa.string()),
            "keyword_count": pa.array([row[1] for row in rows], pa.int32()),
            "density": pa.array([row[2] for row in rows], pa.float32()),
            "characters": pa.array([row[3] for row in rows], pa.int64()),
        }
    )
