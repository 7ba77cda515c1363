"""Characters and lines that cleaning takes out, each against its definition in plain Python."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.cleaning.characters import (
    DIGIT,
    LETTER,
    SYMBOL,
    WIDE,
    character_flags,
    clean_characters,
)
from medray.corpus.cleaning.line_kernels import (
    COLUMNS,
    LETTERS,
    LINE,
    PHRASE,
    REMOVED_LINES,
    SPAM,
    STOP_WORD,
    STOP_WORDS,
)
from medray.corpus.cleaning.lines import clean_lines
from medray.corpus.cleaning.phrases import phrase_lists
from medray.corpus.cleaning.repetition import repetition
from medray.corpus.dedup.words import hash_words
from medray.languages import LANGUAGES

BREAKS = "\x0b\x0c\r\x85\u2028\u2029"


def readable(text: str) -> str:
    texts, _ = clean_characters(pa.array([text], pa.string()))
    return str(texts[0])


def lines_left(text: str, language: str = "en", repeated_columns: int = 40) -> list[str]:
    cleaned = clean_lines(pa.array([text], pa.string()), language, 200, repeated_columns, 1)
    return str(cleaned.texts[0]).split("\n")


def plainly_readable(text: str) -> str:
    """The definition: line breaks become "\\n"; controls, formats and non-characters go."""
    for mark in ("\r\n", *BREAKS):
        text = text.replace(mark, "\n")
    return "".join(c for c in text if c in "\n\t" or not goes(c))


def goes(character: str) -> bool:
    code, category = ord(character), unicodedata.category(character)
    formats = category == "Cf" and (code < 0x200 or code in (0x61C, 0x180E) or code >= 0x2000)
    stays = 0x2070 <= code < 0xFE00 or 0x10000 <= code < 0xE0000  # shorthand, music, hieroglyphs
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code < 0xFDF0
    specials = 0xFFF0 <= code < 0x10000 or code == 0x2065 or 0xE0000 <= code < 0xE0080
    return category == "Cc" or (formats and not stays) or noncharacter or specials


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\r\n\t\u200b\ufffd" + BREAKS)))
def test_characters_go_by_their_definition(text: str) -> None:
    assert readable(text) == plainly_readable(text)


def test_every_character_goes_or_stays_by_its_definition() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts, _ = clean_characters(pa.array(characters, pa.string()))
    expected = [
        "\n" if c in BREAKS else "" if goes(c) and c not in "\t\n" else c for c in characters
    ]
    assert texts.to_pylist() == expected


def test_every_line_break_becomes_one() -> None:
    assert (
        readable("a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h\r\r\ni") == "a\nb\nc\nd\ne\nf\ng\nh\n\ni"
    )


def test_what_is_seen_stays_as_it_was() -> None:
    text = "\tＤＮＡ ① ﬁ e\u0301 ½ µ\u00a0g 5\u202f% x² 漢\u3000字 葛\U000e0100 👩 α≥β"
    assert readable(text) == text


def test_what_is_unseen_goes() -> None:
    unseen = "\x00\x07\x1f\x7f\x90\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e"
    unseen += "\u2060\u2064\u2066\u2069\ufdd0\ufeff\ufff9\ufffc\uffff\U0001ffff\U000e0041"
    assert readable("a" + "b".join(unseen) + "c") == "a" + "b" * (len(unseen) - 1) + "c"


def test_replacement_characters_are_counted() -> None:
    texts, damaged = clean_characters(pa.array(["a\ufffd\ufffdb", "", "c"], pa.string()))
    assert texts.to_pylist() == ["ab", "", "c"]
    assert damaged.tolist() == [2, 0, 0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_of_the_list_takes_its_line_out(language: str) -> None:
    lists = phrase_lists(language)
    for section, dressed in ((LINE, "» {} «"), (LINE, "[{}]"), (PHRASE, "12 {} (x)")):
        for entry in lists[section]:
            for spelled in (entry, entry.upper()):
                text = f"before\n{dressed.format(spelled)}\nafter"
                assert lines_left(text, language) == ["before", "after"], entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lists_are_in_order(language: str) -> None:
    lists = phrase_lists(language)
    for section in (LINE, PHRASE, SPAM, STOP_WORD):
        entries = lists[section]
        hashes, offsets = hash_words(pa.array(entries, pa.string()), language)
        words = [
            tuple(hashes[start:end])
            for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        ]
        assert len(set(words)) == len(words)
        assert () not in words
        assert len(entries) >= 20
        if section == STOP_WORD:
            assert {len(entry) for entry in words} == {1}
        if section == PHRASE:
            assert min(len(entry) for entry in words) >= 2 or language in ("zh", "ja")


def test_a_menu_in_one_line_goes() -> None:
    text = "Home | About us > Contact - Log in\nHome remedies for a cough\n© 2019 The Publisher"
    assert lines_left(text) == ["Home remedies for a cough"]


def test_a_phrase_in_a_long_line_or_inside_a_word_stays() -> None:
    paragraph = "The privacy policy of a hospital says who may read a record. " * 4
    assert lines_left(paragraph) == [paragraph]
    assert lines_left("reuses cookies\nHomes\nloginx") == ["reuses cookies", "Homes", "loginx"]


def test_long_lines_stand_once_and_short_ones_as_often_as_they_do() -> None:
    long, short = "No evidence of an acute disease of the heart.", "negative"
    assert lines_left(f"{long}\n{short}\n  {long}\t\n{short}\n{long}!") == [
        long,
        short,
        short,
        f"{long}!",
    ]
    wide = "縦隔と肺門のリンパ節に病的な腫大は見られません。"
    assert lines_left(f"{wide}\n{wide}\n陰性\n陰性", "ja") == [wide, "陰性", "陰性"]
    assert lines_left(f"{long}\n{long}", repeated_columns=0) == [long, long]


def test_blank_lines_shrink_and_end_nowhere() -> None:
    text = "\n \t\n  a \n\n\u3000\n\nHome\n\nb\nc\n\n"
    assert lines_left(text) == ["  a ", "", "b", "c"]


def test_counts_are_of_what_is_left() -> None:
    texts = pa.array(["Home\nthe 漢字 of 12\n", "Login", "the the"], pa.string())
    cleaned = clean_lines(texts, "en", 200, 40, 1)
    assert cleaned.texts.to_pylist() == ["the 漢字 of 12", "", "the the"]
    assert cleaned.counts[:, COLUMNS].tolist() == [14, 0, 7]
    assert cleaned.counts[:, LETTERS].tolist() == [7, 0, 6]
    assert cleaned.counts[:, STOP_WORDS].tolist() == [2, 0, 2]
    assert cleaned.counts[:, REMOVED_LINES].tolist() == [1, 1, 0]
    hashes, offsets = hash_words(cleaned.texts, "en")
    assert cleaned.words.tolist() == hashes.tolist()
    assert cleaned.offsets.tolist() == offsets.tolist()


LINES = st.sampled_from(
    ["", " ", "a", "Home", "x" * 40, " " + "x" * 40, "y" * 39, "漢" * 20, "漢" * 19, "login", "b\t"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(LINES, max_size=12).map("\n".join), max_size=4))
def test_lines_go_by_their_definition(texts: list[str]) -> None:
    cleaned = clean_lines(pa.array(texts, pa.string()), "zh", 200, 40, 1)
    assert cleaned.texts.to_pylist() == [plainly_left(text) for text in texts]


def plainly_left(text: str) -> str:
    """The definition, for the lines above and the list of zh, which has no English entry."""
    seen: set[str] = set()
    left: list[str] = []
    for line in text.split("\n"):
        body = line.strip()
        columns = sum(2 if character == "漢" else 1 for character in line)
        if body and columns >= 40 and body in seen:
            continue
        if body and columns >= 40:
            seen.add(body)
        if body or (left and left[-1]):
            left.append(line if body else "")
    return "\n".join(left).rstrip("\n")


def plain_repetition(words: list[str], n: int) -> tuple[float, float]:
    """The definition of both shares."""
    grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    counts = [grams.count(gram) for gram in grams if grams.count(gram) > 1]
    covered: set[int] = set()
    for at, gram in enumerate(grams):
        if gram in grams[:at]:
            covered |= set(range(at, at + n))
    commonest = min(1.0, max(counts, default=0) * n / max(1, len(words)))
    return commonest, len(covered) / max(1, len(words))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=25), max_size=4), st.integers(1, 5))
def test_repetition_is_its_definition(texts: list[list[str]], n: int) -> None:
    joined = pa.array([" ".join(words) for words in texts], pa.string())
    commonest, repeated = repetition(*hash_words(joined, "en"), n)
    expected = np.array([plain_repetition(words, n) for words in texts]).reshape(-1, 2)
    np.testing.assert_allclose(commonest, expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(repeated, expected[:, 1], rtol=1e-6)


def test_the_classes_of_characters_are_those_of_unicode_3_2() -> None:
    """So they are the same under every Python: what came later is a symbol."""
    flags = character_flags()
    assert {flags[ord(character)] for character in "🩺😀≥<|#"} == {SYMBOL}
    assert {flags[ord(character)] for character in "aéжß"} == {LETTER}
    assert {flags[ord(character)] for character in "漢の㐀𠀀"} == {LETTER | WIDE}
    assert {flags[ord(character)] for character in "7²½Ⅳ"} == {DIGIT}
