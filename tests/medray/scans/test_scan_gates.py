"""A page's status from its text and confidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.languages import LANGUAGES
from medray.scans.gates import page_status, script_share

ENGLISH = "The patient was given aspirin for chest pain and improved."
RUSSIAN = "Больной жалуется на одышку и боль в груди."
JAPANESE = "患者は胸の痛みを訴え、ACE阻害薬を投与された。"


@pytest.mark.parametrize(
    ("text", "confidence", "language", "status"),
    [
        (ENGLISH, 0.97, "en", "ok"),
        (RUSSIAN, 0.95, "ru", "ok"),
        (JAPANESE, 0.97, "ja", "ok"),
        ("", 0.0, "en", "blank"),
        (". - ;", 0.99, "en", "blank"),
        ("IV", 0.99, "en", "blank"),
        (ENGLISH, 0.84, "en", "low_confidence"),
        # What a recogniser without Cyrillic letters makes of Russian.
        ("Bo6HOH Ka6yeTcR Ha oAbIWKy", 0.81, "ru", "wrong_script"),
        (RUSSIAN, 0.99, "fr", "wrong_script"),
        (ENGLISH, 0.99, "zh", "wrong_script"),
        ("1234 5678 90", 0.99, "en", "wrong_script"),
    ],
)
def test_status(text: str, confidence: float, language: str, status: str) -> None:
    assert page_status(text, confidence, language) == status


@given(st.text(), st.sampled_from(list(LANGUAGES)))
def test_script_share_is_a_share(text: str, language: str) -> None:
    assert 0.0 <= script_share(text, language) <= 1.0
