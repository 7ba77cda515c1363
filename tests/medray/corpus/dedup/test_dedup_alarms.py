"""When a source loses too much, and what a recipe may ask for."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from medray.corpus.dedup.config import DeduplicateConfig, SourceAlarm
from medray.corpus.dedup.evidence import SOURCES, losses_of_sources, raised_alarms


def sources(*rows: tuple[str, str, int]) -> pa.Table:
    return pa.table(
        {name: [row[i] for row in rows] for i, name in enumerate(SOURCES.names)}, schema=SOURCES
    )


def test_an_alarm_needs_more_than_the_share_and_enough_documents() -> None:
    had = sources(("en", "a", 100), ("en", "b", 100), ("en", "c", 99), ("fr", "b", 200))
    lost = sources(("en", "a", 50), ("en", "b", 51), ("en", "c", 99))
    losses = losses_of_sources(had, lost)
    assert [(row["removed"], row["share"]) for row in losses] == [
        (50, 0.5), (51, 0.51), (99, 1.0), (0, 0.0)
    ]  # fmt: skip
    (alarm,) = raised_alarms(losses, SourceAlarm(share=0.5, minimum_documents=100))
    assert "source b (en) loses 51 of 100 documents (51%)" in alarm
    assert len(raised_alarms(losses, SourceAlarm(share=0.4, minimum_documents=1))) == 3


def test_a_recall_beyond_reach_is_refused() -> None:
    with pytest.raises(ValidationError, match="4 permutations do not reach recall"):
        DeduplicateConfig(permutations=4, recall_jaccard=0.3)


def test_shingles_are_words_or_characters() -> None:
    config = DeduplicateConfig(shingle_words=4, shingle_characters=7)
    assert [config.shingle_size(code) for code in ("en", "ru", "zh", "ja")] == [4, 4, 7, 7]
