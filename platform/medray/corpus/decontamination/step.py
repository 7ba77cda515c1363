"""Decontamination: paragraphs that are a benchmark's are taken out of every document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.decontamination.config import DecontaminateConfig
from medray.corpus.decontamination.document import Inspection, Inspector, Limits
from medray.corpus.decontamination.evidence import REMOVALS, JudgedByBenchmarks, describe
from medray.corpus.decontamination.index import BenchmarkIndex, Hits
from medray.corpus.decontamination.matching import Matcher, Words
from medray.storage.location import Location

CONTAMINATED = "contaminated"


class Decontamination:
    """Step: takes out the paragraphs (lines) that are a benchmark's; the rest of a text stays.

    Words count as a benchmark's where ``ngram_words`` in a row stand in an item, all words of a
    short question do, or an option does beside its question. A paragraph goes where such words are
    ``paragraph_share`` of it or ``run_words`` in a row; a document goes as "contaminated" where
    less than ``minimum_left_share`` of its words are left. Case, punctuation and line breaks do
    not count. Scores: ``benchmark_item`` ("benchmark/item id" with the most matches, null without
    any), ``contaminated_share`` (float32, of the document's words), ``removed_paragraphs`` (int32).
    """

    name = "decontamination"
    reasons: tuple[str, ...] = (CONTAMINATED,)

    def __init__(self, config: DecontaminateConfig, index_location: Location) -> None:
        """``index_location``: the folder of ``build_index``; not read if no benchmark is named."""
        self._config, self._location = config, index_location
        self._inspectors: dict[str, Inspector] = {}

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(BenchmarkIndex.load(self._location))

    def __call__(self, texts: pa.StringArray, language: str) -> JudgedByBenchmarks:
        """Judge a batch: a string or large string array without nulls."""
        inspected = {} if self._config.is_empty else self._inspect(texts, language)
        return self._judge(texts, language, inspected)

    def _inspect(self, texts: pa.StringArray, language: str) -> dict[int, Inspection]:
        """Return what is known of each text that shares words with an item, by its number."""
        words, config = Words.of(texts, language), self._config
        lengths = config.ngram_length(language), config.whole_length(language)
        hits = self._matcher.find(words, *lengths)
        inspector = self._inspector(language)
        found: dict[int, Inspection] = {}
        documents = np.searchsorted(words.offsets, hits.words, side="right") - 1
        numbers, begins = np.unique(documents, return_index=True)
        borders = pairwise(np.append(begins, len(documents)).tolist())
        for number, (first, end) in zip(numbers.tolist(), borders, strict=True):
            start = words.offsets[number]
            lines = words.line_offsets[
                words.first_lines[number] : words.first_lines[number + 1] + 1
            ]
            own = Hits(hits.words[first:end] - start, hits.postings[first:end])
            hashes = words.hashes[start : words.offsets[number + 1]]
            found[number] = inspector.inspect(hashes, lines - start, own)
        return found

    def _inspector(self, language: str) -> Inspector:
        if language not in self._inspectors:
            limits = Limits(self._config.paragraph_share, self._config.run_length(language))
            self._inspectors[language] = Inspector(self._matcher.index, limits, language)
        return self._inspectors[language]

    def _judge(
        self, texts: pa.StringArray, language: str, inspected: dict[int, Inspection]
    ) -> JudgedByBenchmarks:
        count = len(texts)
        shares, removed = np.zeros(count, np.float32), np.zeros(count, np.int32)
        items, reasons = np.full(count, None, object), np.full(count, None, object)
        rows: list[dict[str, Any]] = []
        left: dict[int, str] = {}
        for number, found in inspected.items():
            items[number] = self._matcher.index.name(found.item)
            shares[number] = found.covered / found.words
            removed[number] = len(found.removals)
            if not found.removals:
                continue
            text = texts[number].as_py()
            rows += describe(number, text, language, found.removals, self._matcher.index)
            left[number] = without(text, [removal.paragraph for removal in found.removals])
            if found.left < self._config.minimum_left_share * found.words:
                reasons[number] = CONTAMINATED
        return JudgedByBenchmarks(
            reasons=pa.array(reasons, pa.string()),
            scores={
                "benchmark_item": pa.array(items, pa.string()),
                "contaminated_share": pa.array(shares),
                "removed_paragraphs": pa.array(removed),
            },
            texts=_replaced(texts, left),
            removals=pa.Table.from_pylist(rows, schema=REMOVALS),
        )


def without(text: str, paragraphs: Sequence[int]) -> str:
    """Return a text without some of its lines.

    With them go the lines right behind that hold no letter or digit, such as a stop that was
    wrapped, and a blank line where one stands before.
    """
    gone = set(paragraphs)
    kept: list[str] = []
    at_gap = False
    for number, line in enumerate(text.split("\n")):
        if number in gone:
            at_gap = True
            continue
        at_gap = at_gap and not any(map(str.isalnum, line))
        after_blank = not kept or not kept[-1].strip()
        if not at_gap or (not line.strip() and not after_blank):
            kept.append(line)
    return "\n".join(kept)


def _replaced(texts: pa.StringArray, new: dict[int, str]) -> pa.StringArray | None:
    """Return the texts with some of them replaced, None where none is."""
    if not new:
        return None
    mask = np.zeros(len(texts), bool)
    mask[list(new)] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(list(new.values()), texts.type))
