"""What a match is, by the reference matcher: the other engines are held to it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.medical.matching.patterns import Match, compile_patterns
from medray.corpus.medical.matching.reference import ReferenceMatcher


def cut(text: str, word: str, match: Match) -> list[str]:
    """What stands in the text under each occurrence of a keyword."""
    patterns = compile_patterns([word.split("|")], match, spaced=True)
    return [text[start:end] for _, start, end in ReferenceMatcher(patterns).spans(text)]


def test_substring_prefix_and_boundary() -> None:
    text = "Cardiac, pericardial and cardia_1 CARDIA."
    assert cut(text, "cardia", "substring") == ["Cardia", "cardia", "cardia", "CARDIA"]
    assert cut(text, "cardia", "prefix") == ["Cardia", "cardia", "CARDIA"]
    assert cut(text, "cardia", "boundary") == ["CARDIA"]


def test_punctuation_ends_a_word_and_a_letter_of_any_script_does_not() -> None:
    assert cut("(боль), боль- «Боль»", "боль", "boundary") == ["боль", "боль", "Боль"]
    assert cut("обезболь", "боль", "prefix") == []
    assert cut("éfever ßfever ガfever ²fever", "fever", "prefix") == []
    assert cut("l'hypertension d’hypertension", "hypertens", "prefix") == ["hypertens"] * 2


def test_a_keyword_that_begins_with_a_sign_needs_no_word_before_it() -> None:
    assert cut("x-ray", "-ray", "boundary") == ["-ray"]
    assert cut("a+b", "a+", "boundary") == ["a+"]


@pytest.mark.parametrize("match", ["substring", "prefix", "boundary"])
def test_a_combining_mark_belongs_to_the_word_and_to_its_letter(match: Match) -> None:
    assert cut("e\u0301 e", "e", match) == ["e"]
    assert cut("カ\u3099ン カン", "カ", match) == ["カ"] * (match != "boundary")
    assert cut("x\u0301fever", "fever", match) == ["fever"] * (match == "substring")
    assert cut("cafe\u0301 CAFÉ", "café", match) == ["cafe\u0301", "CAFÉ"]


@given(st.text("eéèaсйиガカ b", max_size=30), st.text("eéaйガ", min_size=1, max_size=2))
def test_a_decomposed_text_holds_what_the_composed_one_holds(text: str, word: str) -> None:
    for match in ("substring", "prefix", "boundary"):
        composed = cut(unicodedata.normalize("NFC", text), word, match)
        decomposed = cut(unicodedata.normalize("NFD", text), word, match)
        assert [unicodedata.normalize("NFC", found) for found in decomposed] == composed


def test_full_width_letters_and_digits_are_found() -> None:
    assert cut("ＤＮＡとdnaとＤna", "DNA", "substring") == ["ＤＮＡ", "dna"]
    assert cut("ＣＯＶＩＤ－１９ covid-19 ＣＯＶＩＤ-１９", "covid-19", "boundary") == [
        "ＣＯＶＩＤ－１９",
        "covid-19",
        "ＣＯＶＩＤ-１９",
    ]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("kg", "\u212aG"),
        ("mass", "MAſſ"),
        ("maß", "MAẞ"),
        ("λόγος", "ΛΌΓΟΣ"),
        ("µmol", "Μmol"),
        ("İstanbul", "İSTANBUL"),
    ],
)
def test_case_is_folded_character_by_character(word: str, text: str) -> None:
    for match in ("substring", "prefix", "boundary"):
        assert cut(text, word, match) == [text]


@pytest.mark.parametrize(("word", "text"), [("i", "İ"), ("i", "ı"), ("ss", "ß"), ("ﬁ", "fi")])
def test_a_letter_that_would_grow_is_itself_alone(word: str, text: str) -> None:
    assert cut(text, word, "substring") == []


def test_variants_are_one_keyword() -> None:
    patterns = compile_patterns([["anemia", "anaemia"], ["fever"]], "prefix", spaced=True)
    found = ReferenceMatcher(patterns).spans("Anaemia, anemias; FEVER")
    assert [number for number, _, _ in found] == [0, 0, 1]


def test_places_are_those_of_the_text_where_lower_case_grows() -> None:
    text = "İİ carcinogenesis İ"
    assert cut(text, "carcinogenesis", "mmedlm") == ["carcinogenesis"]
