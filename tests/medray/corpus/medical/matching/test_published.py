"""``mmedlm`` decides as the published script does; here its rule is written down plainly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.medical.filter_config import MedicalFilterConfig
from medray.corpus.medical.keywords import KeywordList, load_keywords
from medray.corpus.medical.matching.ladder import ENGINES, available, build_matcher
from medray.corpus.medical.medical_filter import MedicalFilter
from medray.languages import LANGUAGES

CONFIG = MedicalFilterConfig.model_validate(
    {"match": "mmedlm", "density": "sum", "thresholds": "mmedlm"}
)


def published(text: str, words: Sequence[str], code: str) -> tuple[int, int, bool]:
    """Distinct keywords, characters in them, and the decision, by the script's rule.

    It lowers the keywords after it has made them distinct. In languages with blanks it lowers the
    text and looks for long keywords anywhere and for short ones among the tokens, and accepts
    early where the long ones are enough; in the others it looks anywhere in the text as it is.
    """
    least, share = {
        "en": (5, 0.04), "zh": (5, 0.05), "ja": (5, 0.05),
        "ru": (4, 0.02), "es": (4, 0.04), "fr": (4, 0.04),
    }[code]  # fmt: skip
    keywords = [word.lower() for word in set(words)]
    distinct = characters = 0
    if code in ("zh", "ja"):
        for word in keywords:
            if word in text:
                distinct += 1
                characters += text.count(word) * len(word)
        return distinct, characters, distinct >= least and characters / len(text) >= share
    lowered = text.lower()
    long = [w for w in keywords if len(w) > 10 or (len(w) > 5 and len(w.split()) > 1)]
    for word in long:
        if word in lowered:
            distinct += 1
            characters += lowered.count(word) * len(word)
    early = distinct >= least and characters / len(text) >= share
    tokens = lowered.split()
    for word in set(keywords) - set(long):
        if word in tokens:
            copies = keywords.count(word)
            distinct += copies
            characters += copies * tokens.count(word) * len(word)
    late = distinct >= least and characters / len(text) >= share
    assert late or not early
    return distinct, characters, late


def check(
    words: Sequence[str], texts: Sequence[str], code: str, config: MedicalFilterConfig = CONFIG
) -> int:
    """Hold the filter equal to the script on texts; return how many stay."""
    lists = {code: KeywordList(code, tuple((word,) for word in words))}
    medical_filter = MedicalFilter(config, lists)
    batch = pa.array(texts, pa.string())
    scan = build_matcher(medical_filter.patterns(code), medical_filter.engine).scan(batch)
    expected = [published(text, words, code) for text in texts]
    assert scan.keyword_count.tolist() == [distinct for distinct, _, _ in expected]
    assert scan.summed.tolist() == [characters for _, characters, _ in expected]
    assert medical_filter(batch, code).reasons.is_null().to_pylist() == [
        stays for _, _, stays in expected
    ]
    return sum(stays for _, _, stays in expected)


# Words short and long by the script's lengths, phrases, some within others, in several cases.
ALPHABET = "aabAB  \n.,\u3000İiΣσςßéКк症状"
WORDS = st.lists(
    st.text(ALPHABET, min_size=1, max_size=13).map(str.strip).filter(bool),
    min_size=1,
    max_size=9,
    unique=True,
)


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if available(engine)])
def test_every_engine_decides_as_the_script(engine: str) -> None:
    config = CONFIG.model_copy(update={"engine": engine})

    @settings(max_examples=25 if engine == "hyperscan" else 150, deadline=None)
    @given(WORDS, st.text(ALPHABET, max_size=60), st.sampled_from(list(LANGUAGES)), st.data())
    def decides(words: list[str], text: str, code: str, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(words), max_size=12))
        check(words, [text, " ".join(chosen), text.join(chosen) + text], code, config)

    decides()


def test_punctuation_hides_a_short_word_and_a_phrase_counts_anywhere() -> None:
    words = ["fever", "cough", "pain", "heart", "lung", "blood pressure"]
    text = " ".join(words)
    assert check(words, [text, text.replace(" ", ", "), text.upper()], "en") == 2
    assert check(words, ["xblood pressures " * 5], "en") == 0


def test_a_short_word_given_in_two_cases_counts_twice() -> None:
    assert check(["SIDA", "sida", "pas", "foie"], ["sida pas foie"], "fr") == 1


def test_a_density_equal_to_the_threshold_is_enough() -> None:
    words = ["aaa", "bb", "cc", "ddd"]
    exact, less = "aaa bb cc ddd".ljust(250), "aaa bb cc ddd".ljust(251)
    assert check(words, [exact], "es") == 1
    assert check(words, [less], "es") == 0


@pytest.mark.parametrize("code", LANGUAGES)
def test_decisions_on_real_documents_are_the_scripts(code: str, real_data: Path) -> None:
    file = min((real_data / "corpus" / code).glob("*.parquet"))
    texts = pq.read_table(file, columns=["text"])["text"].slice(0, 100).to_pylist()
    words = list(load_keywords(code).words)
    if LANGUAGES[code].spaced:  # stems are seldom whole tokens; some of the texts' own tokens are
        tokens = {token.lower() for text in texts[::9] for token in text.split()}
        words += sorted(token for token in tokens if len(token) > 5)[::5][:300]
    assert 0 < check(list(dict.fromkeys(words)), texts, code) < len(texts)
