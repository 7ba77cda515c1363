from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.medical.matching.characters import (
    FLAGGED_BELOW,
    LATE_MARKS,
    UNEVEN_LOWER,
    WORD,
    flag_table,
    flags_of,
    fold,
    fold_character,
    lower_character,
    spellings,
    written_as,
)

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]


# Unicode's CaseFolding.txt, status C or S; those without an entry, or with F or T alone, stay.
@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("ABCÉЖΩ", "abcéжω"),
        ("\u212a", "k"),  # Kelvin sign
        ("ſ", "s"),
        ("ς", "σ"),
        ("Σ", "σ"),
        ("µ", "μ"),  # micro sign to Greek mu
        ("\u212b", "å"),  # Angstrom sign
        ("ß", "ß"),
        ("ẞ", "ß"),
        ("İ", "İ"),
        ("ı", "ı"),
        ("ﬁ", "ﬁ"),
        ("ᾈ", "ᾀ"),
        ("Ａ", "ａ"),
        ("症状", "症状"),
    ],
)
def test_simple_case_folding(written: str, folded: str) -> None:
    assert fold(written) == folded
    assert fold(folded) == folded


@given(st.text(max_size=60))
def test_folding_keeps_every_position(text: str) -> None:
    folded = fold(text)
    assert folded == "".join(map(fold_character, text))
    assert len(folded) == len(text)
    assert fold(folded) == folded


def test_characters_of_one_letter_are_known_to_each_other() -> None:
    assert set(written_as("folded")["k"]) == {"k", "K", "\u212a"}
    assert set(written_as("folded")["σ"]) == {"σ", "Σ", "ς"}
    assert set(written_as("lowered")["σ"]) == {"σ", "Σ"}
    assert written_as("exact") == {}


def test_nothing_cased_and_no_word_lies_beyond_the_tables() -> None:
    beyond = [c for c in EVERY_CHARACTER[FLAGGED_BELOW:] if ord(c) not in LATE_MARKS]
    assert all(flags_of(c) == 0 or unicodedata.category(c) == "Co" for c in beyond)
    assert all(fold_character(c) == c == c.lower() for c in EVERY_CHARACTER[FLAGGED_BELOW:])


def test_lower_case_is_uneven_for_the_known_letters_alone() -> None:
    uneven = {c for c in EVERY_CHARACTER if len(c.lower()) != 1}
    # "Σ" is the one letter whose lower case depends on what stands beside it.
    uneven |= {c for c in EVERY_CHARACTER if ("a" + c).lower() != "a" + c.lower()}
    assert uneven == set(UNEVEN_LOWER)
    assert lower_character("İ") == "İ"


def test_the_table_holds_the_flags() -> None:
    table = flag_table()
    assert table.dtype == np.uint8
    for character in "aé_9²症ガ\u0301\u3099 \u3000\xa0\x1c.-、«😀\ufe0f\U000e0100":
        assert table[ord(character)] == flags_of(character)
    words = [c for c in "aé_9²症ガ\u0301\ufe0f .-、😀" if flags_of(c) & WORD]
    assert "".join(words) == "aé_9²症ガ\u0301\ufe0f"


def test_spellings_are_those_of_unicode_and_of_asian_keyboards() -> None:
    assert spellings("café") == ("café", "cafe\u0301", "ｃａｆé")
    assert spellings("cafe\u0301")[:2] == ("cafe\u0301", "café")
    assert spellings("ガン") == ("ガン", "カ\u3099ン")
    assert spellings("症状") == ("症状",)
    assert spellings("HbA1c") == ("HbA1c", "ＨｂＡ１ｃ")
    assert spellings("x-ray") == ("x-ray", "ｘ-ｒａｙ", "ｘ－ｒａｙ")
