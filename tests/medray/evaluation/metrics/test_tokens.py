from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.metrics.tokens import (
    answer_tokens,
    metric_tokens,
    published_answer_tokens,
)
from medray.languages import LANGUAGES


@pytest.mark.parametrize(
    ("text", "code", "tokens"),
    [
        ("The patient's DNA, 12.5 mg!", "en", ["the", "patient", "s", "dna", "12", "5", "mg"]),
        ("Fièvre élevée", "fr", ["fièvre", "élevée"]),
        ("Острая боль", "ru", ["острая", "боль"]),
        ("¿Qué año?", "es", ["qué", "año"]),
        ("DNA损伤，120例", "zh", ["dna", "损", "伤", "120", "例"]),
        ("βブロッカーの投与", "ja", ["β", "ブ", "ロ", "ッ", "カ", "ー", "の", "投", "与"]),
        (" .,、。 ", "ja", []),
    ],
)
def test_metric_tokens(text: str, code: str, tokens: list[str]) -> None:
    assert metric_tokens(text, code) == tokens


@pytest.mark.parametrize(
    ("text", "code", "tokens"),
    [
        ("The patient's HER2, 12.5 mg.", "en", ["the", "patients", "her2", "125", "mg"]),
        ("  «Fièvre» —  élevée ", "fr", ["fièvre", "élevée"]),
        ("¿Qué?", "es", ["qué"]),
        ("急性心肌梗死 (STEMI)。", "zh", ["急", "性", "心", "肌", "梗", "死", "stemi"]),
        ("「心筋」、10mg/日", "ja", ["心", "筋", "10mg", "日"]),
        ("…", "ru", []),
    ],
)
def test_answer_tokens(text: str, code: str, tokens: list[str]) -> None:
    assert answer_tokens(text, code) == tokens


def test_the_published_answer_tokens_keep_what_is_not_ascii() -> None:
    assert published_answer_tokens("是。 It's 1.") == ["是。", "its", "1"]


@given(st.text(st.characters(max_codepoint=127)), st.sampled_from(["en", "fr", "ru", "es"]))
def test_in_ascii_both_rules_are_one(text: str, code: str) -> None:
    assert answer_tokens(text, code) == published_answer_tokens(text)


@given(st.text(), st.sampled_from(sorted(LANGUAGES)))
def test_no_token_is_empty_or_holds_a_blank(text: str, code: str) -> None:
    for token in metric_tokens(text, code) + answer_tokens(text, code):
        assert token.split() == [token]
        assert not set(token) & set(string.punctuation) - {"_"}
