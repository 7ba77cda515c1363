"""Words and n-grams as hashes: equal to a plain definition, and the same for ever."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.dedup.characters import (
    character_table,
    is_word_character,
    simple_fold,
    stands_alone,
)
from medray.corpus.dedup.words import hash_words, ngram_hashes

MASK = 2**64 - 1
STEP, SEED = 0x9E3779B97F4A7C15, 0x2545F4914F6CDD1D
# Case that changes length, final sigma, Kelvin, marks, digits of other scripts, Han beyond 16 bits,
# half-width kana, emoji with a variation selector, joiners, the last code points of each length.
NASTY = (
    "aZß ẞİıςΣſKé\u0301Дѐ_-'’.,9٣９Ａ中文𠀀﨑々ーカﾞｶがか☃️👍🏽\n\t"
    "\u200d\u00ad\u0000\u007f\u0080\u07ff\u0800\uffff\U0010ffff"
)
TEXTS = st.lists(st.text(st.one_of(st.sampled_from(NASTY), st.characters(codec="utf-8"))))
LANGUAGES = st.sampled_from(["en", "ru", "zh", "ja"])


def mix(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def plain_words(text: str, language: str) -> list[str]:
    """The definition of a word, character by character."""
    words, run = [], ""
    for character in text:
        if is_word_character(character) and not (
            language in ("zh", "ja") and stands_alone(character)
        ):
            run += simple_fold(character)
            continue
        words += [run] if run else []
        run = ""
        if is_word_character(character):
            words.append(simple_fold(character))
    return words + ([run] if run else [])


def plain_hash(word: str) -> int:
    value = SEED
    for character in word:
        value = (value ^ ord(character)) * STEP & MASK
        value ^= value >> 32
    return mix(value)


def plain_ngrams(words: list[int], n: int) -> list[int]:
    """Hash every n words in a row, by a sum of powers instead of a rolling one."""
    length = min(n, len(words))
    grams = [words[i : i + length] for i in range(len(words) - length + 1)] if words else []
    sums = [sum(w * pow(STEP, length - 1 - i, 2**64) for i, w in enumerate(g)) for g in grams]
    return [mix((total & MASK) ^ (length * SEED & MASK)) for total in sums]


def by_text(flat: tuple[np.ndarray, np.ndarray]) -> list[list[int]]:
    hashes, offsets = flat
    return [hashes[a:b].tolist() for a, b in pairwise(offsets)]


@given(TEXTS, LANGUAGES, st.sampled_from([pa.string(), pa.large_string()]))
def test_the_kernel_hashes_the_words_of_the_definition(
    texts: list[str], language: str, kind: pa.DataType
) -> None:
    expected = [[plain_hash(word) for word in plain_words(text, language)] for text in texts]
    assert by_text(hash_words(pa.array(texts, kind), language)) == expected


@given(TEXTS, LANGUAGES, st.integers(1, 12))
def test_a_longer_text_is_read_up_to_the_cap(texts: list[str], language: str, cap: int) -> None:
    capped = hash_words(pa.array(texts, pa.string()), language, cap)
    short = hash_words(pa.array([text[:cap] for text in texts], pa.string()), language)
    assert by_text(capped) == by_text(short)


@given(TEXTS, st.integers(0, 5))
def test_a_slice_of_an_array_gives_its_own_texts(texts: list[str], first: int) -> None:
    whole = pa.array(texts, pa.string())
    assert by_text(hash_words(whole.slice(first), "en")) == by_text(hash_words(whole, "en"))[first:]


@given(TEXTS, LANGUAGES, st.integers(1, 8))
def test_ngrams_are_those_of_the_definition(texts: list[str], language: str, n: int) -> None:
    flat = hash_words(pa.array(texts, pa.string()), language)
    expected = [plain_ngrams(words, n) for words in by_text(flat)]
    assert by_text(ngram_hashes(*flat, n)) == expected


def test_what_words_are() -> None:
    assert plain_words("Don't test_it: CANCER—ca\u0301ncer", "en") == [
        "don", "t", "test_it", "cancer", "ca\u0301ncer"
    ]  # fmt: skip
    assert plain_words("新型コロナCOVID-19が", "ja") == [*"新型コロナ", "covid", "19", "が"]
    assert plain_words("新型コロナ", "en") == ["新型コロナ"]
    assert plain_words("👍🏽 ☃️", "zh") == []


def test_case_and_punctuation_do_not_count() -> None:
    texts = pa.array(["Der Große Krebs, 1. Teil", "der GROßE krebs 1 (Teil)"])
    first, second = by_text(hash_words(texts, "fr"))
    assert first == second
    assert len(set(first)) == 5


def test_a_short_text_is_one_shingle_of_all_its_words_and_no_ngram_of_another() -> None:
    flat = hash_words(pa.array(["a b", "a b c", "", "a b c d", "b c d"]), "en")
    grams = by_text(ngram_hashes(*flat, 3))
    assert [len(g) for g in grams] == [1, 1, 0, 2, 1]
    assert grams[3] == [grams[1][0], grams[4][0]]
    assert grams[0][0] not in grams[1] + grams[3]
    with pytest.raises(ValueError, match="not 0"):
        ngram_hashes(*flat, 0)


def test_hashes_never_change() -> None:
    # They lie in files. Where this fails, raise WORDS_VERSION.
    assert by_text(hash_words(pa.array(["Cancer, 癌 ё"]), "zh")) == [
        [plain_hash("cancer"), plain_hash("癌"), plain_hash("ё")]
    ]
    assert plain_hash("cancer") == 0x3528D5E00C8FF09
    digest = hashlib.sha256(character_table().astype("<u4").tobytes()).hexdigest()
    assert digest == "de36f9d131e7bef03ee932d0f5a7c8f319de058dbdf30d3e2a3f6ea94757915e"


def test_the_table_agrees_with_this_python_on_letters_of_the_six_languages() -> None:
    letters = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿĀ-ſЀ-ѯ㐀-䶵一-龥ぁ-ゔァ-ヺ]")
    for code in range(0x10000):
        character = chr(code)
        if letters.match(character) and unicodedata.category(character)[0] in "LMN":
            assert character_table()[code], character
