from __future__ import annotations

import pytest

from medray.languages import LANGUAGES, language

# One word of each language, of which every character is of the language's script.
WORDS = {
    "en": "fever",
    "zh": "发热",
    "ja": "はつねつ発熱ハツネツ",
    "fr": "fièvre",
    "ru": "лихорадка",
    "es": "corazón",
}


def test_there_are_the_six_languages_in_this_order() -> None:
    assert list(LANGUAGES) == ["en", "zh", "ja", "fr", "ru", "es"]
    assert all(found.code == code for code, found in LANGUAGES.items())


def test_the_exam_names_are_those_of_mmedbench() -> None:
    names = [found.exam_name for found in LANGUAGES.values()]
    assert names == ["English", "Chinese", "Japanese", "French", "Russian", "Spanish"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_word_is_of_its_own_script(code: str) -> None:
    script = language(code).script
    assert all(script.fullmatch(character) for character in WORDS[code])
    assert not any(script.fullmatch(character) for character in " .,1-×÷")


def test_only_chinese_and_japanese_have_no_blanks() -> None:
    assert [code for code, found in LANGUAGES.items() if not found.spaced] == ["zh", "ja"]


def test_kana_are_not_chinese_and_cyrillic_is_not_latin() -> None:
    assert not language("zh").script.search("ハツネツ")
    assert not language("en").script.search(WORDS["ru"])
    assert not language("ru").script.search(WORDS["fr"])


def test_an_unknown_code_names_those_that_exist() -> None:
    with pytest.raises(KeyError, match="no language 'de'; there are en, zh, ja, fr, ru, es"):
        language("de")
