from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.metrics.segmenters import published_tokens
from medray.languages import LANGUAGES


@pytest.mark.parametrize(
    ("text", "code", "tokens"),
    [
        (
            "The patient's DNA, 12.5 mg! Don't stop.",
            "en",
            ["The", "patient", "'s", "DNA", ",", "12.5", "mg", "!", "Do", "n't", "stop", "."],
        ),
        ("L'infarctus aigu.", "fr", ["L'infarctus", "aigu", "."]),
        ("急性心肌梗死的治疗。", "zh", ["急性", "心肌梗死", "的", "治疗", "。"]),
        ("心筋梗塞の 治療で。", "ja", ["心筋梗塞", "の", " ", "治療", "で", "。"]),
    ],
)
def test_words(text: str, code: str, tokens: list[str]) -> None:
    assert published_tokens(text, code) == tokens


@settings(max_examples=100)
@given(st.text(max_size=40), st.sampled_from(sorted(LANGUAGES)))
def test_no_text_is_too_strange(text: str, code: str) -> None:
    words = published_tokens(text, code)
    if code == "zh":  # janome drops some control characters
        assert "".join(words) == text


def test_jieba_leaves_no_cache_in_the_shared_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from medray.evaluation.metrics import segmenters

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    segmenters._jieba.cache_clear()
    assert published_tokens("心肌梗死", "zh") == ["心肌梗死"]
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
