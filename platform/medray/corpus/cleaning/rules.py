"""The rules by which a cleaned text goes: each a limit on one score, with a reason of its own.

Where the limits come from. The kinds of rules are those of Gopher and MassiveText (Rae et al.
2021, appendix A.1.1), C4 (Raffel et al. 2020, section 2.2) and FineWeb (Penedo et al. 2024,
section 3.6). Their limits were set on general web text and lose medical documents: on the 9,455
medical documents of six languages, Gopher's 15 % for repeated 5-grams loses 86 % of French
medicine leaflets and 59 % of Japanese pharmacists' exam papers, its 90 % for bullet lines 37 %
of Taiwanese lecture notes. The limits here were set on those documents, so that under 1 % of each
language's go, and on planted garbage, which must go (tests/medray/corpus/test_cleaning.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from medray.languages import language as language_of
from medray.recipe import Config

Share = Annotated[float, Field(ge=0, le=1)] | None
Number = Annotated[int, Field(ge=0)] | None
Mean = Annotated[float, Field(ge=0)] | None


class CleaningConfig(Config):
    """Which lines are taken out of a text, and which texts go. A limit of null is no limit.

    Columns are those of a terminal: a Han or kana character takes two, any other one. Shares are
    of the visible characters (all but blanks) unless it says otherwise.
    """

    boilerplate_columns: int = Field(
        default=200,
        ge=0,
        description="longest line that goes for a phrase of menus, cookies, rights; 0: none goes",
    )
    repeated_line_columns: int = Field(
        default=40,
        ge=0,
        description="shortest line that goes where the text had it before; 0: none goes",
    )
    blank_lines: int = Field(default=1, ge=0, description="most blank lines in a row")
    maximum_damaged_share: Share = Field(
        default=0.01, description="most characters that were U+FFFD, as a share"
    )
    minimum_characters: Number = Field(
        default=150, description="least characters of the cleaned text; half of it in zh and ja"
    )
    maximum_characters: Number = Field(
        default=10_000_000, description="most characters of a text that is cleaned (a book: 10^6)"
    )
    maximum_removed_share: Share = Field(
        default=0.5, description="most of the text in lines that were taken out"
    )
    maximum_long_run_share: Share = Field(
        default=0.4, description="most in runs of over 40 characters without a blank, as in base64"
    )
    minimum_word_characters: Mean = Field(
        default=2.4, description="least mean of characters between blanks (Gopher: 3); not zh, ja"
    )
    maximum_word_characters: Mean = Field(
        default=13, description="most of the same (Gopher: 10, which Russian passes by itself)"
    )
    minimum_letter_share: Share = Field(default=0.3, description="least share of letters")
    maximum_digit_share: Share = Field(
        default=0.5, description="most digits; the densest laboratory report had 0.32"
    )
    maximum_symbol_share: Share = Field(
        default=0.25, description="most symbols (+ < = | # * @ and the like, emoji)"
    )
    maximum_bullet_line_share: Share = Field(
        default=None, description="most lines that begin with a bullet, of all (Gopher: 0.9)"
    )
    maximum_ellipsis_line_share: Share = Field(
        default=0.3, description="most lines that end with an ellipsis, of all (Gopher: 0.3)"
    )
    maximum_menu_share: Share = Field(
        default=0.8, description="most in short lines without digit and stop, as in menus"
    )
    minimum_stop_word_share: Share = Field(
        default=0.01, description="least words that no running text does without, of all words"
    )
    maximum_commonest_ngram_share: Share = Field(
        default=0.25,
        description="most words in the commonest 2-gram, of all (Gopher: 0.2); zh, ja: 4-gram",
    )
    maximum_repeated_ngram_share: Share = Field(
        default=0.5,
        description="most words in repeated 5-grams, of all (Gopher: 0.15); zh, ja: 10-grams",
    )
    maximum_spam_phrases: Number = Field(
        default=2, description="most different phrases of the language's spam list"
    )


@dataclass(frozen=True)
class Rule:
    """A text goes for ``reason`` where ``score`` is over the limit; ``least``: under it."""

    reason: str
    score: str
    limit: str
    least: bool = False
    spaced_only: bool = False


# In this order: the first that fails gives the reason.
RULES = (
    Rule("damaged_characters", "damaged_share", "maximum_damaged_share"),
    Rule("mostly_boilerplate", "removed_share", "maximum_removed_share"),
    Rule("too_short", "cleaned_characters", "minimum_characters", least=True),
    Rule("too_long", "cleaned_characters", "maximum_characters"),
    Rule("spam", "spam_phrases", "maximum_spam_phrases"),
    Rule("unbroken_runs", "long_run_share", "maximum_long_run_share"),
    Rule("few_letters", "letter_share", "minimum_letter_share", least=True),
    Rule("many_digits", "digit_share", "maximum_digit_share"),
    Rule("many_symbols", "symbol_share", "maximum_symbol_share"),
    Rule("short_words", "word_characters", "minimum_word_characters", least=True, spaced_only=True),
    Rule("long_words", "word_characters", "maximum_word_characters", spaced_only=True),
    Rule("menu_lines", "menu_share", "maximum_menu_share"),
    Rule("bullet_lines", "bullet_line_share", "maximum_bullet_line_share"),
    Rule("ellipsis_lines", "ellipsis_line_share", "maximum_ellipsis_line_share"),
    Rule("few_stop_words", "stop_word_share", "minimum_stop_word_share", least=True),
    Rule("commonest_ngram", "commonest_ngram_share", "maximum_commonest_ngram_share"),
    Rule("repeated_ngrams", "repeated_ngram_share", "maximum_repeated_ngram_share"),
)
REASONS = tuple(rule.reason for rule in RULES)


def limit_of(rule: Rule, language: str, config: CleaningConfig) -> float | None:
    """Return a rule's limit in a language, None where it does not hold."""
    limit: float | None = getattr(config, rule.limit)
    spaced = language_of(language).spaced
    if limit is None or (rule.spaced_only and not spaced):
        return None
    halved = rule.limit == "minimum_characters" and not spaced
    return limit / 2 if halved else limit


def cleaning_reasons(
    scores: Mapping[str, pa.Array], language: str, config: CleaningConfig
) -> pa.StringArray:
    """Return each text's reason, null where it stays, from the scores alone.

    So new limits need no text, but a higher ``maximum_characters``, since longer texts were not
    measured; and the fields that say which lines go, for they change the text.
    """
    rows = len(scores["cleaned_characters"])
    reasons, stays = np.full(rows, None, object), np.ones(rows, bool)
    for rule in RULES:
        limit = limit_of(rule, language, config)
        if limit is None:
            continue
        values = scores[rule.score].to_numpy(zero_copy_only=False)
        # The scores are float32, so that a limit is compared as what a score can be.
        bound = np.float32(limit) if values.dtype == np.float32 else limit
        fails = values < bound if rule.least else values > bound
        reasons[fails & stays] = rule.reason
        stays &= ~fails
    return pa.array(reasons, pa.string())
