from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.benchmarks.answers import answer_sets, options_in_text, options_of
from medray.evaluation.benchmarks.declaration import Answers, Options

FOUR = {"A": "one", "B": "two", "C": "three", "D": "four"}


def sets(
    value: Any, options: dict[str, str] | None = None, lettered: bool = False, **how: Any
) -> list[tuple[str, ...]]:
    return answer_sets(value, Answers(column="x", **how), lettered, options or {})


@pytest.mark.parametrize(
    ("value", "how", "found"),
    [
        ("b", {}, [("B",)]),
        (["a", "c"], {}, [("A", "C")]),
        ("A, C", {"separator": ","}, [("A", "C")]),
        ("A,,A", {"separator": ","}, [("A",)]),
        (2, {"counts_from": 1}, [("B",)]),
        ("0", {"counts_from": 0}, [("A",)]),
        ("1,3", {"counts_from": 1, "separator": ","}, [("A", "C")]),
        (["a or d"], {"or_word": " or "}, [("A",), ("D",)]),
        ("a, b or d", {"or_word": " or ", "separator": ","}, [("A", "B"), ("D",)]),
        (["a", "c"], {"or_word": " or "}, [("A", "C")]),
        ("The right answer is B: two.", {"read": "letters"}, [("B",)]),
        ("The right answer is A: one, C: three.", {"read": "letters"}, [("A", "C")]),
        ("正しい答えは D: four です", {"read": "letters"}, [("D",)]),
        ("The right answer is D: anything.", {"read": "letters"}, [("D",)]),
        ("(C).", {"read": "letters"}, [("C",)]),
    ],
)
def test_letters(value: Any, how: dict[str, Any], found: list[tuple[str, ...]]) -> None:
    assert sets(value, FOUR, lettered=True, **how) == found


@pytest.mark.parametrize(
    ("value", "options", "how", "found"),
    [
        ("1", {}, {"names": {"1": "yes", "0": "no"}}, [("yes",)]),
        ("Entailment.", {}, {"lower": True, "suffix": "."}, [("entailment",)]),
        (
            "The diagnosis result is GERD.",
            {},
            {"lower": True, "prefix": "the diagnosis result is", "suffix": "."},
            [("gerd",)],
        ),
        # The suffix is the list's, not that of each name in it.
        (
            "E. coli sp., S. aureus.",
            {},
            {"separator": ", ", "suffix": "."},
            [("E. coli sp.", "S. aureus")],
        ),
        ("There is nothing.", {}, {"suffix": ".", "nothing": ["There is nothing"]}, [()]),
        (["", "b"], {}, {}, [("b",)]),
        (None, {}, {}, [()]),
        (
            "1. resisting cell death; Inducing Angiogenesis",
            {
                "Inducing angiogenesis": "",
                "Evading growth suppressors": "",
                "Resisting cell death": "",
            },
            {"read": "option_names"},
            [("Inducing angiogenesis", "Resisting cell death")],
        ),
    ],
)
def test_labels_and_texts(
    value: Any, options: dict[str, str], how: dict[str, Any], found: list[tuple[str, ...]]
) -> None:
    assert sets(value, options, **how) == found


@pytest.mark.parametrize(
    ("value", "how", "told"),
    [
        ("2", {"names": {"1": "yes"}}, "'2' is none of 1"),
        (5, {"counts_from": 1}, "answer 5: there are 4 options"),
        (0, {"counts_from": 1}, "answer 0: there are 4 options"),
        ("x", {"counts_from": 1}, "invalid literal"),
        ("It is the third.", {"read": "letters"}, "no letter of an option stands in"),
    ],
)
def test_what_cannot_be_read_is_told(value: Any, how: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        sets(value, FOUR, lettered=True, **how)


@pytest.mark.parametrize(
    ("row", "how", "found"),
    [
        ({"x": {"a": "one", "b": "two"}}, {"column": "x"}, {"A": "one", "B": "two"}),
        ({"x": ["one", 2]}, {"column": "x"}, {"A": "one", "B": "2"}),
        (
            {"x": [{"t": "one"}, {"t": "two"}]},
            {"column": "x", "text": "t"},
            {"A": "one", "B": "two"},
        ),
        ({"o1": "one", "o2": "two"}, {"columns": ["o1", "o2"]}, {"A": "one", "B": "two"}),
        ({}, {"fixed": {"yes": "", "no": ""}}, {"yes": "", "no": ""}),
        ({}, {"of_answers": True}, {}),
        ({"x": "Q?\nOptions: A: one\tB: two\t"}, {"in_text": "x"}, {"A": "one", "B": "two"}),
        ({"x": []}, {"column": "x"}, {}),
    ],
)
def test_options(row: dict[str, Any], how: dict[str, Any], found: dict[str, str]) -> None:
    options = options_of(row, Options(**how))
    assert options == found
    assert list(options) == list(found)


def test_more_options_than_letters_are_not_cut() -> None:
    with pytest.raises(ValueError, match="11 options; there are letters for 10"):
        options_of({"x": list("abcdefghijk")}, Options(column="x"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Question: Which?\nOptions: A: one\tB: two three\tE: five\t",
            {"A": "one", "B": "two three", "E": "five"},
        ),
        ("質問: どれか。\nオプション: A: 甲\tB: 乙", {"A": "甲", "B": "乙"}),
        # The question itself may hold a letter with a colon.
        ("Vitamin A: which?\nB: no\nOptions: A: one\tB: two", {"A": "one", "B": "two"}),
        ("Which?\nA: one\nB: two\nC: three", {"A": "one", "B": "two", "C": "three"}),
        ("Which?\nA: one\nand more\nB: two", {"A": "one\nand more", "B": "two"}),
    ],
)
def test_options_that_stand_in_a_text(text: str, found: dict[str, str]) -> None:
    assert options_in_text(text) == found


@pytest.mark.parametrize("text", ["", "Which?", "A: one", "B: one\tC: two"])
def test_a_text_without_options_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no options stand in the text"):
        options_in_text(text)


plain = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r:"), min_size=1).filter(
    lambda text: text.strip()
)


@given(st.lists(plain, min_size=2, max_size=8), plain)
def test_options_as_meds_ins_writes_them_are_found_again(texts: list[str], question: str) -> None:
    letters = dict(zip("ABCDEFGH", texts, strict=False))
    written = "\t".join(f"{letter}: {text}" for letter, text in letters.items())
    found = options_in_text(f"Question: {question}\nOptions: {written}\t")
    assert found == {letter: text.strip() for letter, text in letters.items()}
