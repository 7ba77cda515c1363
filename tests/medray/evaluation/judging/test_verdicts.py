from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.judging.verdicts import read_verdict

# (the judge's words, what they mean, by which rule)
READ = [
    ("Output (a)", "first", "whole"),
    ("Output (b)", "second", "whole"),
    ("Tie", "tie", "whole"),
    (' **Output (B)**.\n', "second", "whole"),
    ('"output (a)"', "first", "whole"),
    ("(b)", "second", "whole"),
    ("It's a tie.", "tie", "whole"),
    ("Both are good. Final verdict: [[A]]", "first", "brackets"),
    ("I first thought [[A]], but no: [[B]]", "second", "brackets"),
    ("Output (a) is better. [[C]]", "tie", "brackets"),
    ("Output (a)\n\nHere the answer is more complete than output (b).", "first", "line"),
    ("Output (a):\nToo short.\n\nOutput (b):\nGood.\n\nOutput (b)", "second", "line"),
    ("Output (a) because it is comprehensive.", "first", "begins"),
    ("Tie, because both say the same.", "tie", "begins"),
    ("Output (b). It names the dose.", "second", "begins"),
    ("Output (a) is better", "first", "stated"),
    ("Output (a) is better than Output (b)", "first", "stated"),
    ("Output (b) is the better choice.", "second", "stated"),
    ("In my view Assistant B's answer is clearly superior", "second", "stated"),
    ("Output (a) is worse than output (b).", "second", "stated"),
    ("I prefer Output (b), as it is not wrong.", "second", "stated"),
    ("The better choice is: Output (a)", "first", "stated"),
    ("My verdict: **Output (b)**, for its depth", "second", "stated"),
    ("Both outputs are equally good, so it is a tie", "tie", "stated"),
    ("Output (a) better matches the instruction", "first", "stated"),
    ("Assistant B offers a far superior response", "second", "stated"),
    ("I would call it a tie", "tie", "stated"),
    ("It is not a tie: I prefer Output (a)", None, "unparsed"),
    ("It is not a tie. I prefer Output (a)", "first", "stated"),
    (
        "Output (a) is better in detail, but Output (b) is better in safety. "
        "Overall, Output (b) is better.",
        "second",
        "stated",
    ),
]  # fmt: skip
UNREADABLE = [
    "",
    "I am sorry, I cannot compare these.",
    "Output (a) explains the mechanism and Output (b) lists the doses.",
    "Output (b) is wrong about the dose.",
    "Output (a) is not better than Output (b)",
    "I do not prefer Output (a)",
    "If Output (a) is better, the reader will know.",
    "Is Output (a) better? Is Output (a) the best?",
    "Output (a) is better in detail. Output (b) is better in safety.",
    "Neither Output (a) is better nor is Output (b).",
    "There is no tie here",
    "It is tied to the diet.",
    "The patient should untie the bandage and tie it again.",
    "Output (c)",
    "C",
    "Output (a)\nOutput (b)",
]


@pytest.mark.parametrize(("text", "choice", "rule"), READ)
def test_a_verdict_is_read_by_its_rule(text: str, choice: str | None, rule: str) -> None:
    found = read_verdict(text)
    assert (found.choice, found.rule) == (choice, rule)


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_says_nothing_is_unparsed_and_no_tie(text: str) -> None:
    assert read_verdict(text).choice is None


@pytest.mark.parametrize(
    ("text", "correct", "published"),
    [
        ("Output (a)", "first", "first"),
        ("Output (b).", "second", "second"),
        ("Tie", "tie", "tie"),
        ("Output (a) is better", "first", None),
        ("output (a)", "first", None),
        ("Output (a) is better, it is no Tie", "first", "tie"),
        ("I would say Tie", "tie", "tie"),
        ("Verdict: [[B]]", "second", "second"),
        ("", None, None),
    ],
)
def test_as_published_keeps_the_defects(text: str, correct: str, published: str | None) -> None:
    assert read_verdict(text).choice == correct
    assert read_verdict(text, "as-published").choice == published


WORDS = [
    "better",
    "worse",
    "not ",
    " is ",
    "I prefer ",
    "Overall, ",
    "because ",
    ". ",
    ", ",
    ":",
    "**",
    "(",
    "\n",
]
PARTS = st.sampled_from(["Output (a)", "Output (b)", "Tie", "[[A]]", "[[C]]", *WORDS])


@given(st.one_of(st.text(), st.lists(PARTS, max_size=12).map("".join)))
def test_no_text_raises_and_none_without_a_choice_has_a_rule(text: str) -> None:
    for mode in ("correct", "as-published"):
        found = read_verdict(text, mode)  # type: ignore[arg-type]
        assert (found.choice is None) == (found.rule == "unparsed")


def swapped(text: str) -> str:
    for one, other in (("(a)", "(b)"), ("[[A]]", "[[B]]")):
        text = text.replace(one, "\0").replace(other, one).replace("\0", other)
    return text


@given(st.lists(PARTS, max_size=12).map("".join))
def test_swapping_the_names_mirrors_the_verdict(text: str) -> None:
    mirror = {"first": "second", "second": "first", "tie": "tie", None: None}
    for mode in ("correct", "as-published"):
        one, other = read_verdict(text, mode), read_verdict(swapped(text), mode)  # type: ignore[arg-type]
        assert other.choice == mirror[one.choice]
        assert other.rule == one.rule


def test_a_long_answer_takes_no_long_time() -> None:
    for piece in ("Output (a) ", "the much far ", "**", "((((", "both \n", "is a "):
        text = piece * (40_000 // len(piece))
        start = time.perf_counter()
        read_verdict(text)
        assert time.perf_counter() - start < 2
