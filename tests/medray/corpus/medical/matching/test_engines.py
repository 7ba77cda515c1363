"""Every engine finds what the definition finds, in all match modes."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.medical.keywords import load_keywords
from medray.corpus.medical.matching.characters import WORD as WORD_FLAG
from medray.corpus.medical.matching.characters import flags_of
from medray.corpus.medical.matching.compiled import FOUND_ROOM
from medray.corpus.medical.matching.ladder import (
    ENGINES,
    Engine,
    available,
    build_matcher,
    choose_engine,
)
from medray.corpus.medical.matching.patterns import Match, PatternSet, compile_patterns
from medray.corpus.medical.matching.protocol import Scan
from medray.corpus.medical.matching.reference import ReferenceMatcher, Span
from medray.languages import LANGUAGES

MODES: tuple[Match, ...] = get_args(Match)
FAST = [engine for engine in ENGINES if engine != "reference" and available(engine)]
# Few letters, so that keywords meet the text; with capitals, blanks, hyphens, underscores, digits,
# letters of two cases in three forms, of one in two characters, combining marks of letters and of
# kana, a variation selector, full-width letters, Han, kana and an emoji.
ALPHABET = "abAB -_1éÉe\u0301İıi\u0307ßẞsſSkK\u212aςσΣµμжЖй症状ガカ\u3099Ａａ１、😀\ufe0f"
WORD = st.text(ALPHABET, min_size=1, max_size=4).map(str.strip).filter(bool)
KEYWORDS = st.lists(st.lists(WORD, min_size=1, max_size=2), min_size=1, max_size=6)
TEXTS = st.lists(st.text(ALPHABET, max_size=40), max_size=4)


def rows(scan: Scan) -> list[tuple[int, int, int, list[int]]]:
    """A scan as one tuple a text: count, covered, summed, keywords found."""
    ends = np.cumsum([0, *scan.keyword_count])
    found = [scan.found[start:end].tolist() for start, end in pairwise(ends)]
    columns = (scan.keyword_count.tolist(), scan.covered.tolist(), scan.summed.tolist(), found)
    return list(zip(*columns, strict=True))


def check(engine: Engine, patterns: PatternSet, texts: pa.Array) -> Scan:
    """Hold an engine equal to the reference; return what the reference found."""
    expected = ReferenceMatcher(patterns).scan(texts)
    assert rows(build_matcher(patterns, engine).scan(texts)) == rows(expected)
    return expected


# hyperscan takes milliseconds to compile a database: fewer examples for it.
@pytest.mark.parametrize(
    ("engine", "examples"), [(e, 30 if e == "hyperscan" else 150) for e in FAST]
)
def test_an_engine_equals_the_reference(engine: Engine, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(KEYWORDS, TEXTS, st.sampled_from(MODES), st.booleans(), st.booleans())
    def equals(
        words: list[list[str]], texts: list[str], match: Match, spaced: bool, large: bool
    ) -> None:
        texts = [*texts, " ".join(word for entry in words for word in entry), ""]
        kind = pa.large_string() if large else pa.string()
        check(engine, compile_patterns(words, match, spaced), pa.array(texts, kind))

    equals()


@pytest.mark.parametrize("engine", FAST)
def test_an_engine_equals_the_reference_on_any_unicode(engine: Engine) -> None:
    @settings(max_examples=20 if engine == "hyperscan" else 100, deadline=None)
    @given(
        st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4),
        st.text(max_size=40),
        st.sampled_from(MODES),
    )
    def equals(words: list[str], text: str, match: Match) -> None:
        texts = pa.array([text + "".join(words).upper() + text, text.join(words)])
        check(engine, compile_patterns([[word] for word in words], match, True), texts)

    equals()


@cache
def documents(folder: Path) -> pa.Array:
    """Some documents of a folder, as a slice of a longer array."""
    file = min(folder.glob("*.parquet"))
    return pq.read_table(file, columns=["text"])["text"].combine_chunks()[100:130]


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("code", LANGUAGES)
def test_an_engine_equals_the_reference_on_real_documents(
    engine: Engine, code: str, real_data: Path
) -> None:
    texts = documents(real_data / "corpus" / code)
    variants, spaced = load_keywords(code).variants, LANGUAGES[code].spaced
    for match in ("prefix",) if engine == "hyperscan" else MODES:
        found = check(engine, compile_patterns(variants, match, spaced), texts)
        assert found.keyword_count.any()


@pytest.mark.parametrize("engine", FAST)
def test_an_engine_reads_a_slice_and_texts_without_bytes(engine: Engine) -> None:
    patterns = compile_patterns([["fever"], ["r f"]], "substring", True)
    whole = pa.array(["fever", "no", "", "fever fever", "", "fev", "er"])
    assert check(engine, patterns, whole[2:6]).keyword_count.tolist() == [0, 2, 0, 0]
    for texts in (pa.array([], pa.string()), pa.array(["", ""]), whole[2:3], whole[:0]):
        assert check(engine, patterns, texts).keyword_count.sum() == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_keyword_that_two_texts_make_up_is_in_neither(engine: Engine) -> None:
    if not available(engine):
        pytest.skip(f"{engine} is not installed")
    matcher = build_matcher(compile_patterns([["fever"]], "boundary", True), engine)
    texts = pa.array(["fev", "er", "a", "fever", "a", "fever fev", "er"])
    assert matcher.scan(texts).keyword_count.tolist() == [0, 0, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 64])
def test_the_compiled_engine_finds_what_stands_at_the_end_of_its_buffer(size: int) -> None:
    word = "abcdefghij"[:size] if size < 10 else "x" * size
    patterns = compile_patterns([[word]], "boundary", True)
    for before in ("", " ", " " * 8):
        assert check("compiled", patterns, pa.array([before + word])).found.tolist() == [0]


@given(
    KEYWORDS,
    st.text(ALPHABET, min_size=1, max_size=30),
    st.integers(0, 70),
    st.integers(1, 300),
    st.sampled_from(MODES),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_the_compiled_engine_equals_the_reference_across_its_blocks(
    words: list[list[str]], text: str, shift: int, repeats: int, match: Match, spaced: bool
) -> None:
    """It takes 64 bytes at once and 4096 of them in a row; here patterns stand across both."""
    long = "." * shift + text * repeats
    patterns = compile_patterns(words, match, spaced)
    check("compiled", patterns, pa.array(["a", long, "b" + long[::-1], text]))


@pytest.mark.parametrize("shift", range(66))
def test_a_word_begins_behind_any_letter_that_only_looks_like_one(shift: int) -> None:
    """What is skipped without asking the rules follows a letter: no sign, no other alphabet's."""
    patterns = compile_patterns([["fever"], ["жар"]], "prefix", True)
    signs = ("×", "«", "—", "҂", "、", "😀", "")
    in_words = ("Ж", "é", "z", "_", "Ѐ", "ѿ", "\u0301")
    ways = [way + word for way in (*signs, *in_words) for word in ("fever", "жар")]
    found = check("compiled", patterns, pa.array(["." * shift + way for way in ways]))
    assert found.keyword_count.tolist() == [1] * 2 * len(signs) + [0] * 2 * len(in_words)


def test_the_lead_bytes_that_the_compiled_engine_takes_for_a_words_middle_are_letters_all() -> None:
    for code_point in range(0x400, 0x480):
        assert chr(code_point).encode()[0] in (0xD0, 0xD1)
        assert flags_of(chr(code_point)) & WORD_FLAG


def test_a_text_may_hold_more_keywords_than_bytes_and_a_batch_more_than_fit_at_once() -> None:
    letters = "abcdefgh"
    words = [letters[a:b] for a in range(8) for b in range(a + 1, 9)]  # 36 in 8 bytes
    patterns = compile_patterns([[word] for word in words], "substring", True)
    texts = pa.array([letters] * (FOUND_ROOM // 36 + 2))
    scan = build_matcher(patterns, "compiled").scan(texts)
    assert set(scan.keyword_count.tolist()) == {36}
    assert len(scan.found) == 36 * len(texts)
    assert (
        rows(check("compiled", patterns, texts[:2]))
        == [(36, 8, sum(map(len, words)), scan.found[-36:].tolist())] * 2
    )


@pytest.mark.parametrize("engine", FAST)
def test_keywords_of_every_number_of_bytes_stand_side_by_side(engine: Engine) -> None:
    """The compiled engine's filter looks at fewer bytes where a short keyword asks for it."""
    words = [["é"], ["éa"], ["éab癌"], ["癌"], ["癌症"], ["癌症治療"], ["q"], ["qu"], ["quinine"]]
    patterns = compile_patterns(words, "substring", True)
    texts = pa.array(["éab癌症治療", "QUININE", "q", "É", "x癌", "癌症治", "治療"])
    assert check(engine, patterns, texts).keyword_count.tolist() == [6, 3, 1, 1, 1, 2, 0]


def spans(words: list[list[str]], text: str, match: Match) -> list[Span]:
    return ReferenceMatcher(compile_patterns(words, match, spaced=True)).spans(text)


def test_overlapping_keywords_are_all_found() -> None:
    words = [["心肌"], ["心肌梗死"], ["梗死"], ["肌梗"]]
    assert spans(words, "急性心肌梗死", "substring") == [(0, 2, 4), (1, 2, 6), (3, 3, 5), (2, 4, 6)]
    assert spans([["aa"]], "aaaa", "substring") == [(0, 0, 2), (0, 1, 3), (0, 2, 4)]
    scan = build_matcher(compile_patterns([["aa"]], "substring", True), choose_engine())
    assert rows(scan.scan(pa.array(["aaaa"]))) == [(1, 4, 6, [0])]


def test_the_fastest_engine_is_chosen_and_can_be_overridden() -> None:
    assert choose_engine() == FAST[0]
    assert choose_engine("reference") == "reference"
