from __future__ import annotations

from pathlib import Path

import pytest

from medray.corpus.keywords import load_keywords
from medray.corpus.matching import AhoCorasickMatcher, fold
from medray.errors import InputError
from medray.languages import LANGUAGES


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_200_distinct_keywords(code: str) -> None:
    words = load_keywords(code).words
    assert len(words) == len(set(words)) == 200
    assert all(word.strip() == word != "" for word in words)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_keyword_is_found_in_a_text_that_holds_it(code: str) -> None:
    words = load_keywords(code).words
    matcher = AhoCorasickMatcher(words, "substring")
    found = {number for number, _, _ in matcher.spans("\n".join(words).upper())}
    found |= {number for number, _, _ in matcher.spans("\n".join(words))}
    assert found == set(range(200))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "words.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_of_ones_own_is_read_in_its_order(tmp_path: Path) -> None:
    path = write(tmp_path, "# comment\n\n  Fever \ncough\r\n\tДИАБЕТ\n")
    keywords = load_keywords("ru", path)
    assert keywords.words == ("fever", "cough", "диабет")
    assert keywords.language == "ru"


# Case-folding would turn these into what no folded text holds: "µ" into Greek "μ", "ß" into "ss".
@pytest.mark.parametrize("word", ["µmol", "maß", "ﬁèvre"])
def test_a_keyword_is_folded_as_the_text_is(tmp_path: Path, word: str) -> None:
    words = load_keywords("en", write(tmp_path, word)).words
    assert words == (fold(word),)
    assert AhoCorasickMatcher(words, "boundary").spans(f"5 {word} a day")


def test_a_keyword_given_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"words\.txt: keyword given twice: cough, fever$"):
        load_keywords("en", write(tmp_path, "fever\ncough\nFEVER\nCough\npain\n"))


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment\n"])
def test_an_empty_list_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"words\.txt: holds no keyword"):
        load_keywords("en", write(tmp_path, text))


def test_the_fingerprint_changes_with_any_keyword(tmp_path: Path) -> None:
    prints = {
        load_keywords(code, write(tmp_path, text)).fingerprint
        for code in ("en", "fr")
        for text in ("a\nb\n", "a\nc\n", "b\na\n")
    }
    assert len(prints) == 6
    again = load_keywords("en", write(tmp_path, "# note\nA\n\nB\n")).fingerprint
    assert again in prints
