"""Drawn pages, the engines where this machine has them, and the character error rate."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from jobs.samples.render import render_page
from medray.scans.engines import EngineUnavailable, OcrEngine, engine_for

EngineOrSkip = Callable[..., OcrEngine]
Draw = Callable[[str, Sequence[str], int], Image.Image]


@pytest.fixture(scope="session")
def engine_or_skip(own_home: None) -> EngineOrSkip:
    """``engine_for``, but the test is skipped where the machine lacks the engine."""

    def build(language_code: str, choice: str = "auto") -> OcrEngine:
        try:
            return engine_for(language_code, choice)  # type: ignore[arg-type]
        except EngineUnavailable as error:
            pytest.skip(str(error))

    return build


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Draw (language, paragraphs, page number) as a scanned page titled with the first words."""

    @functools.cache
    def render(language: str, paragraphs: tuple[str, ...], page_number: int) -> Image.Image:
        try:
            return render_page(paragraphs[0][:12], "1.", paragraphs, language, page_number)
        except FileNotFoundError as error:
            pytest.skip(str(error))

    return lambda language, paragraphs, number: render(language, tuple(paragraphs), number)


def character_error_rate(recognised: str, gold: str) -> float:
    """Levenshtein distance over the gold's length, after NFKC and folding of quotes and dashes."""
    got, want = _folded(recognised), _folded(gold)
    letters = np.array([ord(character) for character in want])
    steps = np.arange(len(want) + 1)
    distances = steps
    for row, character in enumerate(got, start=1):
        best = np.minimum(distances[1:] + 1, distances[:-1] + (letters != ord(character)))
        distances = np.minimum.accumulate(np.concatenate([[row], best]) - steps) + steps
    return float(distances[-1]) / len(want)


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).translate(
        str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"})
    )
    return " ".join(folded.split())


@pytest.fixture(scope="session")
def error_rate() -> Callable[[str, str], float]:
    return character_error_rate
