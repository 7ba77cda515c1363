from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.corpus.keywords import load_keywords
from medray.corpus.matching import AhoCorasickMatcher
from medray.corpus.medical_filter import (
    REASONS,
    MedicalFilterConfig,
    Scores,
    Threshold,
    decide,
    judge,
    score,
)
from medray.languages import LANGUAGES

MATCHER = AhoCorasickMatcher(["heart", "heart attack", "fever"], "prefix")
CONFIG = MedicalFilterConfig()


def test_the_count_is_of_distinct_keywords() -> None:
    assert score("Fever, fever and fevers.", MATCHER, "coverage").keyword_count == 1
    assert score("Fever after a heart attack", MATCHER, "coverage").keyword_count == 3


def test_coverage_counts_a_character_once_and_sum_counts_it_twice() -> None:
    text = "heart attack" + " " * 8  # 20 characters, 12 of them in a keyword, 5 in two
    assert score(text, MATCHER, "coverage") == Scores(2, 12 / 20)
    assert score(text, MATCHER, "sum") == Scores(2, 17 / 20)


def test_keywords_that_touch_or_cross_are_covered_once() -> None:
    matcher = AhoCorasickMatcher(["abc", "cde", "efg"], "substring")
    assert score("abcdefg...", matcher, "coverage").density == 0.7
    assert score("abcdefg...", matcher, "sum").density == 0.9


def test_a_text_without_keywords_scores_nothing() -> None:
    assert score("", MATCHER, "coverage") == Scores(0, 0.0)
    assert score("nothing here", MATCHER, "sum") == Scores(0, 0.0)


@settings(max_examples=100)
@given(st.text("hearttackfev ", max_size=60))
def test_coverage_is_a_share_and_never_above_the_sum(text: str) -> None:
    matcher = AhoCorasickMatcher(["he", "hea", "ear", "fe", "e"], "substring")
    coverage, total = score(text, matcher, "coverage"), score(text, matcher, "sum")
    assert 0 <= coverage.density <= min(1, total.density)
    assert coverage.keyword_count == total.keyword_count
    assert (coverage.density == 0) == (coverage.keyword_count == 0)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_text_of_keywords_is_kept_and_the_same_diluted_is_not(code: str) -> None:
    words = " ".join(load_keywords(code).words[:10])
    assert judge(words, code, CONFIG)[0] == "kept"
    assert judge(words + " 。" * 50 * len(words), code, CONFIG)[0] == "keyword_density"
    assert judge(load_keywords(code).words[0], code, CONFIG)[0] == "keyword_count"


@pytest.mark.parametrize("text", [None, "", " \n\t\u3000"])
def test_an_empty_document_is_its_own_reason(text: str | None) -> None:
    assert judge(text, "en", CONFIG) == ("empty", Scores(0, 0.0))


def test_a_score_equal_to_the_threshold_is_enough() -> None:
    text = " ".join(load_keywords("en").words[:5])
    scores = judge(text, "en", CONFIG)[1]
    exact = Threshold(keyword_count=scores.keyword_count, density=scores.density)
    assert judge(text, "en", MedicalFilterConfig(thresholds={"en": exact}))[0] == "kept"
    above = Threshold(keyword_count=scores.keyword_count + 1, density=scores.density)
    assert judge(text, "en", MedicalFilterConfig(thresholds={"en": above}))[0] == "keyword_count"


def test_the_thresholds_are_those_that_mmedlm_published() -> None:
    assert {c: (t.keyword_count, t.density) for c, t in CONFIG.thresholds.items()} == {
        "en": (5, 0.04),
        "zh": (5, 0.05),
        "ja": (5, 0.05),
        "fr": (4, 0.04),
        "ru": (4, 0.02),
        "es": (4, 0.04),
    }


def test_a_recipe_names_only_the_languages_that_it_changes() -> None:
    config = MedicalFilterConfig.model_validate(
        {"thresholds": {"en": {"keyword_count": 9, "density": 0.5}}, "match": {"fr": "boundary"}}
    )
    assert config.thresholds["en"].keyword_count == 9
    assert config.thresholds["zh"] == CONFIG.thresholds["zh"]
    assert (config.match["fr"], config.match["zh"]) == ("boundary", "substring")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"thresholds": {"de": {"keyword_count": 1, "density": 0}}}, "no language de; there are"),
        ({"match": {"de": "prefix"}}, "no language de"),
        ({"match": {"en": "regex"}}, "boundary"),
        ({"thresholds": {"en": {"keyword_count": 0, "density": 0.1}}}, "greater than or equal"),
        ({"thresholds": {"en": {"keyword_count": 1, "density": 1.1}}}, "less than or equal to 1"),
        ({"density": "share"}, "coverage"),
    ],
)
def test_a_wrong_configuration_is_told(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MedicalFilterConfig.model_validate(fields)


def test_decide_gives_one_row_a_text() -> None:
    medical = " ".join(load_keywords("en").words[:10])
    texts = pa.chunked_array([[medical, None], ["", "A walk in the park."]])
    table = decide(texts, "en", CONFIG)
    assert table["keep"].to_pylist() == [True, False, False, False]
    assert table["reason"].to_pylist() == ["kept", "empty", "empty", "keyword_count"]
    assert table["characters"].to_pylist() == [len(medical), 0, 0, 19]
    assert table["keyword_count"].to_pylist()[0] >= 10
    assert 0.5 < table["density"].to_pylist()[0] <= 1
    assert set(table["reason"].to_pylist()) <= set(REASONS)


def test_decide_of_nothing_has_the_same_columns() -> None:
    some = decide(pa.chunked_array([["a"]]), "en", CONFIG)
    none = decide(pa.chunked_array([], pa.string()), "en", CONFIG)
    assert none.num_rows == 0
    assert none.schema == some.schema
