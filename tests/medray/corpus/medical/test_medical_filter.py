from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.medical.filter_config import MedicalFilterConfig, Threshold
from medray.corpus.medical.keywords import KeywordList, load_keywords
from medray.corpus.medical.matching.ladder import ENGINES, Engine, available, choose_engine
from medray.corpus.medical.matching.reference import ReferenceMatcher
from medray.corpus.medical.medical_filter import REASONS, MedicalFilter, Scores, decide, judge
from medray.languages import LANGUAGES

CONFIG = MedicalFilterConfig()


def filter_of(*words: str, least: int = 1, share: float = 0.0, **fields: Any) -> MedicalFilter:
    """A filter of English with its own keywords and thresholds; ``a|b`` are variants of one."""
    thresholds = {"en": {"keyword_count": least, "density": share}}
    config = MedicalFilterConfig.model_validate({"thresholds": thresholds, **fields})
    entries = tuple(tuple(word.split("|")) for word in words)
    return MedicalFilter(config, {"en": KeywordList("en", entries)})


def judged(medical_filter: MedicalFilter, *texts: str) -> list[tuple[Any, ...]]:
    """Reason, keyword_count, density, characters and keywords' numbers of each text."""
    said = medical_filter(pa.array(texts, pa.string()), "en")
    assert list(said.scores) == list(medical_filter.scores)
    columns = [said.reasons, *said.scores.values()]
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def counts(medical_filter: MedicalFilter, *texts: str) -> list[int]:
    return [row[1] for row in judged(medical_filter, *texts)]


HEART = filter_of("heart", "heart attack", "fever|pyrexia")


def test_the_count_is_of_distinct_keywords() -> None:
    assert counts(HEART, "Fever, fever and fevers.", "Fever after a heart attack") == [1, 3]
    assert counts(HEART, "fever and pyrexia", "reheart, afever") == [1, 0]


@pytest.mark.parametrize(("density", "share"), [("coverage", 12 / 20), ("sum", 17 / 20)])
def test_coverage_counts_a_character_once_and_sum_counts_it_twice(
    density: str, share: float
) -> None:
    made = filter_of("heart", "heart attack", density={"en": density})
    text = "heart attack" + " " * 8  # 20 characters, 12 of them in a keyword, 5 in two
    assert judged(made, text) == [(None, 2, np.float32(share), 20, [0, 1])]


def test_keywords_that_touch_or_cross_are_covered_once() -> None:
    (row,) = judged(filter_of("abc", "abcd", "cde", "efg"), "abcdefg...")
    assert row[2] == pytest.approx(0.4)  # prefix: only what begins the word counts
    every = filter_of("abc", "cde", "efg", match={"en": "substring"})
    (row,) = judged(every, "abcdefg...")
    assert row[2] == pytest.approx(0.7)


def test_characters_are_code_points_in_every_script() -> None:
    text = "é症😀\u0301 fever"
    assert judged(HEART, text) == [(None, 1, np.float32(5 / 10), 10, [2])]


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_text_of_keywords_is_kept_and_the_same_diluted_is_not(code: str) -> None:
    words = " ".join(load_keywords(code).words[:10])
    assert judge(words, code, CONFIG)[0] == "kept"
    assert judge(words + " 。" * 50 * len(words), code, CONFIG)[0] == "keyword_density"
    assert judge(load_keywords(code).words[0], code, CONFIG)[0] == "keyword_count"


@pytest.mark.parametrize("text", ["", " ", " \n\t\u3000\x1c\xa0"])
def test_an_empty_document_is_its_own_reason_and_has_no_density(text: str) -> None:
    assert judged(HEART, text) == [("empty", 0, None, len(text), [])]
    assert judge(text, "en", CONFIG) == ("empty", Scores(0, 0.0))


def test_a_text_without_keywords_scores_nothing() -> None:
    assert judged(HEART, "nothing here", "\u200b") == [
        ("keyword_count", 0, 0.0, 12, []),
        ("keyword_count", 0, 0.0, 1, []),
    ]


def test_a_score_equal_to_the_threshold_is_enough() -> None:
    text = "fever heart".ljust(300)  # 10 of 300 characters; 1/30 has no exact float
    for density, reason in ((1 / 30, None), (np.nextafter(1 / 30, 1), "keyword_density")):
        made = filter_of("fever", "heart", least=2, share=float(density))
        assert judged(made, text)[0][0] == reason
    made = filter_of("fever", "heart", least=3)
    assert judged(made, text)[0][0] == "keyword_count"


TEXTS = st.lists(st.text("hearttackfev \u3000症", max_size=40), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    TEXTS,
    st.integers(1, 4),
    st.floats(0, 1),
    st.sampled_from(["coverage", "sum"]),
)
def test_rethresholding_equals_judging_the_text_again(
    texts: list[str], keyword_count: int, density: float, kind: str
) -> None:
    words = ("he", "hea", "ear", "fe", "e", "症")
    fields = {"match": {"en": "substring"}, "density": {"en": kind}}
    first = MedicalFilter(
        MedicalFilterConfig.model_validate(
            {"thresholds": {"en": {"keyword_count": 1, "density": 0}}} | fields
        ),
        {"en": KeywordList("en", tuple((word,) for word in words))},
    )
    said = first(pa.array(texts, pa.string()), "en")
    new = {"keyword_count": keyword_count, "density": density}
    config = MedicalFilterConfig.model_validate({"thresholds": {"en": new}} | fields)
    other = MedicalFilter(config, {"en": first.keywords("en")})
    again = other(pa.array(texts, pa.string()), "en")
    assert other.rethreshold(pa.table(dict(said.scores)), "en").equals(again.reasons)
    assert first.rethreshold(pa.table(dict(again.scores)), "en").equals(said.reasons)
    scan = ReferenceMatcher(first.patterns("en")).scan(pa.array(texts, pa.string()))
    under = scan.covered if kind == "coverage" else scan.summed
    expected = [
        "empty" if not text.strip() else "keyword_count" if count < keyword_count
        else "keyword_density" if characters / len(text) < density else None
        for text, count, characters in zip(texts, scan.keyword_count, under, strict=True)
    ]  # fmt: skip
    assert again.reasons.to_pylist() == expected


def test_a_row_that_the_filter_never_saw_has_no_reason_of_its() -> None:
    decisions = pa.table(
        {
            "keyword_count": pa.array([None, 0, 5], pa.int32()),
            "density": pa.array([None, None, 0.5], pa.float32()),
            "characters": pa.array([None, 3, 100], pa.int64()),
        }
    )
    assert HEART.rethreshold(decisions, "en").to_pylist() == [None, "empty", None]


@settings(max_examples=30, deadline=None)
@given(TEXTS)
def test_a_document_is_judged_alike_in_any_company(texts: list[str]) -> None:
    together = judged(HEART, *texts)
    assert together == [judged(HEART, text)[0] for text in texts]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_decides_alike(engine: Engine) -> None:
    if not available(engine):
        pytest.skip(f"{engine} is not installed")
    made = filter_of("heart", "heart attack", "fever|pyrexia", least=2, engine=engine)
    assert made.engine == engine
    texts = ["", "Fever after a HEART attack", "ｆｅｖｅｒ", "fever " * 9 + "heart", " "]
    assert [row[:2] for row in judged(made, *texts)] == [
        ("empty", 0), (None, 3), ("keyword_count", 1), (None, 2), ("empty", 0)
    ]  # fmt: skip
    assert MedicalFilter(CONFIG).engine == choose_engine()


def test_the_keywords_found_are_told_by_their_numbers_in_the_order_of_first_sight() -> None:
    made = filter_of("heart", "fever|pyrexia", "pain", "heart attack")
    rows = judged(made, "pain, fever, PAIN", "", "heart attack", "pyrexia fever")
    assert [row[4] for row in rows] == [[2, 1], [], [0, 3], [1]]


def test_an_explanation_tells_every_keyword_and_where_it_stands() -> None:
    made = filter_of("fever|pyrexia", "heart", "pain", least=3, share=0.1)
    text = "症 Pyrexia and FEVER, heart"
    told = made.explain(text, "en")
    assert told.reason == "keyword_count"
    assert (told.keyword_count, told.characters) == (2, 26)
    assert told.density == pytest.approx(17 / 26)
    assert told.threshold == Threshold(keyword_count=3, density=0.1)
    assert told.found == {"fever": [(2, 9), (14, 19)], "heart": [(21, 26)]}
    assert text[14:19] == "FEVER"
    assert made.explain(" ", "en").density is None


def test_a_million_documents_of_one_word_and_one_of_50_megabytes() -> None:
    words = pa.array(["fever", "quiet"] * 500_000)
    said = HEART(words, "en")
    assert said.reasons.null_count == 500_000
    assert said.scores["keywords"].to_pylist()[:3] == [[2], [], [2]]
    piece = "症状 no words of it, " * 1000
    long = piece * (50_000_000 // len(piece.encode())) + " fever"
    (row,) = judged(filter_of("fever", share=1e-7), long)
    assert row == (None, 1, np.float32(5 / len(long)), len(long), [0])


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
    assert [str(kind) for kind in none.schema.types] == [
        "bool", "string", "int32", "float", "int64", "list<item: uint16>"
    ]  # fmt: skip
