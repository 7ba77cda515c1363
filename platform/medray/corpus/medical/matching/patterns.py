"""From keywords to patterns: what the engines look for, and where an occurrence counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.medical.matching.characters import (
    UNEVEN_LOWER,
    WORD,
    Case,
    flags_of,
    fold,
    spellings,
    to_case,
)

Match = Literal["boundary", "prefix", "substring", "mmedlm"]

# Lengths by which the published script takes a keyword for a long one, which it looks for
# anywhere; MMedLM, data_collection/filtering/filter.py.
LONG_CHARACTERS, LONG_PHRASE_CHARACTERS = 10, 5


class Rule(IntFlag):
    """Where an occurrence counts; a pattern has any number of these."""

    WORD_BEGINS = 1  # no word character stands before it
    WORD_ENDS = 2  # no word character stands after it
    LETTER_ENDS = 4  # no combining mark stands after it: its last letter is whole
    TOKEN = 8  # white space, or the text's end, stands on both sides


@dataclass(frozen=True)
class Pattern:
    """One spelling of the keyword of a number, in the case in which texts are compared."""

    keyword: int
    text: str
    rule: Rule


@dataclass(frozen=True)
class PatternSet:
    """All that an engine is built from.

    ``apart``: of one keyword's occurrences that overlap only the leftmost counts, as ``str.count``
    counts. No two patterns of one keyword are equal; patterns of two keywords may be.
    """

    patterns: tuple[Pattern, ...]
    keywords: int
    case: Case
    apart: bool


def compile_patterns(words: Sequence[Sequence[str]], match: Match, spaced: bool) -> PatternSet:
    """Return the patterns of keywords, each given as its written variants.

    ``spaced``: whether the language puts blanks between words; only ``mmedlm`` asks.

    - substring: anywhere, but for a last letter that a combining mark makes another one.
    - prefix: at a word's start. boundary: a whole word. A word is a run of letters, marks,
      numbers and underscores; a keyword's end that is none of these needs no boundary.
    - mmedlm: as the published script has it. In spaced languages texts and keywords go through
      ``str.lower``, long keywords count anywhere and short ones as a whole token of ``str.split``;
      in the others the text is taken as it is and every keyword counts anywhere. No other
      spelling is made, and a keyword's occurrences do not overlap.
    """
    if match == "mmedlm":
        return _published(words, spaced)
    patterns: dict[tuple[int, str], Pattern] = {}
    for number, variants in enumerate(words):
        for text in dict.fromkeys(fold(way) for word in variants for way in spellings(word)):
            patterns[number, text] = Pattern(number, text, _rule(text, match))
    return PatternSet(tuple(patterns.values()), len(words), "folded", apart=False)


def _rule(text: str, match: Match) -> Rule:
    rule = Rule.LETTER_ENDS
    if match in ("prefix", "boundary") and flags_of(text[0]) & WORD:
        rule |= Rule.WORD_BEGINS
    if match == "boundary" and flags_of(text[-1]) & WORD:
        rule |= Rule.WORD_ENDS
    return rule


def _published(words: Sequence[Sequence[str]], spaced: bool) -> PatternSet:
    patterns = []
    for number, variants in enumerate(words):
        for text in dict.fromkeys(word.lower() for word in variants):
            pieces = len(text.split())
            long = len(text) > LONG_CHARACTERS or (
                len(text) > LONG_PHRASE_CHARACTERS and pieces > 1
            )
            if long or not spaced:
                patterns.append(Pattern(number, text, Rule(0)))
            elif pieces == 1:  # a short phrase is never one token
                patterns.append(Pattern(number, text, Rule.TOKEN))
    case: Case = "lowered" if spaced else "exact"
    return PatternSet(tuple(patterns), len(words), case, apart=True)


def comparable(texts: pa.Array, case: Case) -> pa.Array:
    """Return texts such that character by character comparison is comparison in ``case``.

    Only ``str.lower`` asks for a change, in the rare texts that hold one of UNEVEN_LOWER.
    """
    if case != "lowered":
        return texts
    uneven = [pc.match_substring(texts, letter) for letter in UNEVEN_LOWER]
    changed = pc.or_(*uneven)
    if not pc.any(changed).as_py():
        return texts
    lowered = [text.lower() for text in texts.filter(changed).to_pylist()]
    return pc.replace_with_mask(texts, changed, pa.array(lowered, texts.type))


def origins(text: str, case: Case) -> list[int]:
    """Return, for every place between characters of ``to_case(text)``, its place in ``text``."""
    if case != "lowered":
        return list(range(len(text) + 1))
    places = [number for number, character in enumerate(text) for _ in to_case(character, case)]
    return [*places, len(text)]
