"""The medical filter: how many keywords a document holds, and how densely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.documents import KEPT
from medray.corpus.medical.filter_config import MedicalFilterConfig, Threshold
from medray.corpus.medical.keywords import KeywordList
from medray.corpus.medical.matching.compiled import characters_of
from medray.corpus.medical.matching.ladder import build_matcher, choose_engine
from medray.corpus.medical.matching.patterns import PatternSet, compile_patterns
from medray.corpus.medical.matching.protocol import Matcher
from medray.corpus.medical.matching.reference import ReferenceMatcher
from medray.corpus.steps import Judged
from medray.languages import LANGUAGES

# What can become of a document; the report's funnel counts in this order.
REASONS = ("empty", "keyword_count", "keyword_density", KEPT)


@dataclass(frozen=True)
class Explanation:
    """Why one document stays (``reason`` None) or goes: its scores, the thresholds, the keywords.

    ``density``: None for an empty text. ``found``: each keyword's places, start and end in
    characters of the text, in the order of first sight.
    """

    reason: str | None
    keyword_count: int
    density: float | None
    characters: int
    threshold: Threshold
    found: Mapping[str, list[tuple[int, int]]]


class MedicalFilter:
    """Keeps a document that holds enough distinct keywords, densely enough.

    Scores: ``keyword_count`` (MKC, int32), ``density`` (DENS, float32: characters in keywords for
    each character of the text, null for a text that is empty or blank), ``characters`` (int64,
    code points), ``keywords`` (the numbers in the language's list of those found). Decisions are
    made on the stored values of the first three alone, so that ``rethreshold`` repeats them
    without the text.
    """

    name = "filter"
    reasons = ("empty", "keyword_count", "keyword_density")
    scores = ("keyword_count", "density", "characters", "keywords")

    def __init__(
        self, config: MedicalFilterConfig, keywords: Mapping[str, KeywordList] | None = None
    ) -> None:
        """``keywords``: lists by language, read beforehand; others are read where they are needed.

        Raises InputError where the recipe's engine is not installed.
        """
        self.config = config
        self.engine = choose_engine(config.engine)
        self._lists = dict(keywords or {})
        self._matchers: dict[str, Matcher] = {}

    def __call__(self, texts: pa.StringArray, language: str) -> Judged:
        """Judge a batch: a string or large string array without nulls."""
        if language not in self._matchers:
            self._matchers[language] = build_matcher(self.patterns(language), self.engine)
        scan = self._matchers[language].scan(texts)
        characters = characters_of(texts)
        blank = (characters == 0) | pc.utf8_is_space(texts).to_numpy(zero_copy_only=False)
        under = scan.covered if self.config.density[language] == "coverage" else scan.summed
        density = (under / np.maximum(characters, 1)).astype(np.float32)
        scores = {
            "keyword_count": pa.array(scan.keyword_count, pa.int32()),
            "density": pa.array(density, pa.float32(), mask=blank),
            "characters": pa.array(characters),
            "keywords": pa.ListArray.from_arrays(
                np.append(0, np.cumsum(scan.keyword_count)).astype(np.int32),
                pa.array(scan.found.astype(np.uint16)),
            ),
        }
        reasons = self.rethreshold(pa.table(scores), language)
        return Judged(reasons, scores)

    def rethreshold(self, decisions: pa.Table, language: str) -> pa.StringArray:
        """Return what the filter says of rows by their scores: a reason, or null.

        Null also for a row without scores, which an earlier step had sent away.
        """
        threshold = self.config.thresholds[language]
        count, density, characters = (decisions[name] for name in self.scores[:3])
        blank = pc.and_(count.is_valid(), density.is_null())
        # float32 holds the density to 6e-8 of itself: the whole number of characters under
        # keywords comes back exactly up to 8 million of them, and the quotient with it.
        numbers = np.rint(_floats(density) * _floats(characters)) / np.maximum(
            _floats(characters), 1
        )
        reasons = np.full(len(count), None, object)
        reasons[numbers < threshold.density] = "keyword_density"
        reasons[_floats(count) < threshold.keyword_count] = "keyword_count"
        reasons[blank.to_numpy(zero_copy_only=False)] = "empty"
        return pa.array(reasons, pa.string())

    def explain(self, text: str, language: str) -> Explanation:
        """Return why one document stays or goes. Reads the text 200 times: for single documents."""
        judged = self(pa.array([text], pa.large_string()), language)
        words = self.keywords(language).words
        found: dict[str, list[tuple[int, int]]] = {}
        for number, start, end in ReferenceMatcher(self.patterns(language)).spans(text):
            found.setdefault(words[number], []).append((start, end))
        (reason,) = judged.reasons.to_pylist()
        count, density, characters = (judged.scores[name][0].as_py() for name in self.scores[:3])
        threshold = self.config.thresholds[language]
        return Explanation(reason, count, density, characters, threshold, found)

    def keywords(self, language: str) -> KeywordList:
        """Return the language's list."""
        if language not in self._lists:
            self._lists[language] = self.config.load_list(language)
        return self._lists[language]

    def patterns(self, language: str) -> PatternSet:
        """Return what is looked for in texts of a language."""
        variants = self.keywords(language).variants
        return compile_patterns(
            variants, self.config.match[language], spaced=LANGUAGES[language].spaced
        )


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column's numbers, NaN for null: less than no threshold."""
    values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return values


@dataclass(frozen=True)
class Scores:
    """A document's scores: distinct keywords (MKC) and density (DENS), a share of characters."""

    keyword_count: int
    density: float


def decide(texts: pa.ChunkedArray, language: str, config: MedicalFilterConfig) -> pa.Table:
    """Return one row a text, null texts as empty ones: keep, reason and the filter's scores."""
    judge_batch = _filter_of(config.model_dump_json())
    whole = pc.fill_null(texts, "").cast(pa.large_string()).combine_chunks()
    judged = judge_batch(whole, language)
    columns = {
        "keep": judged.reasons.is_null(),
        "reason": pc.fill_null(judged.reasons, KEPT),
    }
    return pa.table(columns | dict(judged.scores))


def judge(text: str | None, language: str, config: MedicalFilterConfig) -> tuple[str, Scores]:
    """Return the reason of the decision on one document, "kept" for one that stays, and scores."""
    (row,) = decide(pa.chunked_array([[text]], pa.string()), language, config).to_pylist()
    return row["reason"], Scores(row["keyword_count"], row["density"] or 0.0)


@cache
def _filter_of(config_json: str) -> MedicalFilter:
    """Return a filter, built once in each process."""
    return MedicalFilter(MedicalFilterConfig.model_validate_json(config_json))
