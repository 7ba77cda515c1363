from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.keywords import load_keywords
from medray.corpus.matching import AhoCorasickMatcher, Match, Matcher, ReferenceMatcher, fold
from medray.languages import LANGUAGES

MODES: tuple[Match, ...] = get_args(Match)
# Few letters, so that keywords meet the text; with capitals, blanks, hyphens, underscores, digits,
# a letter that lowers to two ("İ"), combining marks, a final sigma, Han, kana and an emoji.
ALPHABET = "abAB -_1éÉ\u0301İıßσςΣжЖ症状ガガ、😀"
WORDS = st.lists(
    st.text(ALPHABET, min_size=1, max_size=4).map(fold), min_size=1, max_size=8, unique=True
)


def cut(text: str, matcher: Matcher) -> list[str]:
    """What stands in the folded text under each span."""
    return [fold(text)[start:end] for _, start, end in matcher.spans(text)]


@settings(max_examples=300)
@given(WORDS, st.text(ALPHABET, max_size=40), st.sampled_from(MODES))
def test_the_automaton_equals_the_reference(words: list[str], text: str, match: Match) -> None:
    found = AhoCorasickMatcher(words, match).spans(text)
    assert found == ReferenceMatcher(words, match).spans(text)
    assert all(fold(text)[start:end] == words[number] for number, start, end in found)


@settings(max_examples=100)
@given(WORDS, st.text(max_size=60), st.sampled_from(MODES))
def test_the_automaton_equals_the_reference_on_any_unicode(
    words: list[str], text: str, match: Match
) -> None:
    text += "".join(words) + text
    assert AhoCorasickMatcher(words, match).spans(text) == ReferenceMatcher(words, match).spans(
        text
    )


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_automaton_equals_the_reference_on_whole_documents(code: str, samples: Path) -> None:
    lines = (samples / "sources" / code / "documents.jsonl").read_text(encoding="utf-8")
    text = "\n".join(json.loads(line)["text"] for line in lines.splitlines())
    words = load_keywords(code).words
    for match in MODES:
        found = AhoCorasickMatcher(words, match).spans(text)
        assert found == ReferenceMatcher(words, match).spans(text)
        assert found


@given(st.text(max_size=60))
def test_folding_keeps_every_position(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    assert fold(folded) == folded


def test_folding_leaves_alone_what_would_grow() -> None:
    assert fold("İSTANBUL Fever") == "İstanbul fever"
    assert fold("ЖАР") == "жар"


MATCHERS = [AhoCorasickMatcher, ReferenceMatcher]


@pytest.mark.parametrize("matcher", MATCHERS)
def test_prefix_boundary_and_substring(matcher: type[AhoCorasickMatcher]) -> None:
    text = "Cardiac, pericardial and cardia_1 CARDIA."
    words = ["cardia"]
    assert len(matcher(words, "substring").spans(text)) == 4
    starts = [start for _, start, _ in matcher(words, "prefix").spans(text)]
    assert starts == [0, 25, 34]
    assert matcher(words, "boundary").spans(text) == [(0, 34, 40)]


@pytest.mark.parametrize("matcher", MATCHERS)
def test_overlapping_keywords_are_all_found(matcher: type[AhoCorasickMatcher]) -> None:
    found = matcher(["心肌", "心肌梗死", "梗死", "肌梗"], "substring").spans("急性心肌梗死")
    assert found == [(0, 2, 4), (1, 2, 6), (3, 3, 5), (2, 4, 6)]
    assert matcher(["aa"], "substring").spans("aaaa") == [(0, 0, 2), (0, 1, 3), (0, 2, 4)]


@pytest.mark.parametrize("matcher", MATCHERS)
def test_punctuation_ends_a_word_and_a_letter_of_any_script_does_not(
    matcher: type[AhoCorasickMatcher],
) -> None:
    assert cut("(боль), боль-", matcher(["боль"], "boundary")) == ["боль", "боль"]
    assert cut("обезболь", matcher(["боль"], "prefix")) == []
    assert cut("éfever", matcher(["fever"], "prefix")) == []


@pytest.mark.parametrize("matcher", MATCHERS)
def test_a_keyword_that_begins_with_a_sign_needs_no_word_before_it(
    matcher: type[AhoCorasickMatcher],
) -> None:
    assert cut("x-ray", matcher(["-ray"], "boundary")) == ["-ray"]


@pytest.mark.parametrize("matcher", MATCHERS)
def test_an_empty_text_holds_nothing(matcher: type[AhoCorasickMatcher]) -> None:
    assert matcher(["a"], "substring").spans("") == []
