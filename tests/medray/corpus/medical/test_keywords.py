from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from medray.corpus.medical.keywords import load_keywords
from medray.corpus.medical.matching.characters import fold, spellings
from medray.corpus.medical.matching.ladder import build_matcher, choose_engine
from medray.corpus.medical.matching.patterns import compile_patterns
from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.storage.location import Location


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_200_distinct_keywords(code: str) -> None:
    keywords = load_keywords(code)
    assert len(keywords.words) == 200
    ways = [{fold(way) for word in entry for way in spellings(word)} for entry in keywords.variants]
    assert len(set().union(*ways)) == sum(map(len, ways))


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_variant_of_a_keyword_is_found_as_that_keyword(code: str) -> None:
    variants = load_keywords(code).variants
    patterns = compile_patterns(variants, "boundary", LANGUAGES[code].spaced)
    texts = [word for entry in variants for word in entry]
    owners = [number for number, entry in enumerate(variants) for _ in entry]
    matcher = build_matcher(patterns, choose_engine())
    for written in (texts, [text.upper() for text in texts]):
        scan = matcher.scan(pa.array(written))
        found = [set(row) for row in split(scan.found.tolist(), scan.keyword_count.tolist())]
        assert all(owner in row for owner, row in zip(owners, found, strict=True))


def split(values: list[int], counts: list[int]) -> list[list[int]]:
    rows = []
    for count in counts:
        rows.append(values[:count])
        values = values[count:]
    return rows


def write(tmp_path: Path, text: str | bytes) -> Location:
    path = tmp_path / "words.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Location.of(path)


def test_a_list_of_ones_own_is_read_in_its_order(tmp_path: Path) -> None:
    file = write(tmp_path, "\ufeff# comment\n\n  Fever \ncough\r\n  # more\n\tДИАБЕТ | diabetes\n")
    keywords = load_keywords("ru", file)
    assert keywords.variants == (("Fever",), ("cough",), ("ДИАБЕТ", "diabetes"))
    assert keywords.words == ("Fever", "cough", "ДИАБЕТ")
    assert keywords.language == "ru"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fever\ncough\nFEVER\nCough\npain\n", "cough, fever"),
        ("fever|pyrexia\nPyrexia\n", "pyrexia"),
        ("e\u0301toile\nÉtoile\n", "étoile"),
        ("ＤＮＡ\ndna\n", "dna"),
    ],
)
def test_a_keyword_given_twice_in_any_spelling_is_told(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(InputError, match=rf"words\.txt: keyword given twice: {told}$"):
        load_keywords("en", write(tmp_path, text))


def test_where_case_counts_a_word_in_two_cases_is_two_keywords(tmp_path: Path) -> None:
    file = write(tmp_path, "SIDA\nSida\n")
    assert load_keywords("fr", file, case_counts=True).words == ("SIDA", "Sida")
    with pytest.raises(InputError, match="given twice: SIDA"):
        load_keywords("fr", write(tmp_path, "SIDA\nSIDA\n"), case_counts=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join(f"word{number}" for number in range(65_537)), "holds 65537 keywords; at most"),
        ("", "holds no keyword"),
        ("\n \n", "holds no keyword"),
        ("# only a comment\n", "holds no keyword"),
        ("fever||pain\n", r"fever\|\|pain: a variant is empty"),
        (b"fi\xe8vre\n", "cannot be read as UTF-8"),
    ],
)
def test_a_file_that_is_no_list_is_told(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=rf"words\.txt: {message}"):
        load_keywords("en", write(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.txt: cannot be read"):
        load_keywords("en", Location.of(tmp_path / "absent.txt"))


def test_the_fingerprint_changes_with_any_keyword_or_variant(tmp_path: Path) -> None:
    prints = {
        load_keywords(code, write(tmp_path, text)).fingerprint
        for code in ("en", "fr")
        for text in ("a\nb\n", "a\nc\n", "b\na\n", "a|b\n", "a|c\n", "a\n")
    }
    assert len(prints) == 12
    assert load_keywords("en", write(tmp_path, "# note\na\n\nb\n")).fingerprint in prints
