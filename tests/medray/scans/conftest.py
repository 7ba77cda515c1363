"""Drawn pages, the engines where this machine has them, and the character error rate."""

from __future__ import annotations

import ctypes
import functools
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
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
    """Draw (language, paragraphs, page number) as a scanned page, titled as it begins."""

    @functools.cache
    def render(language: str, paragraphs: tuple[str, ...], page_number: int) -> Image.Image:
        try:
            return render_page(
                paragraphs[-1][:12], paragraphs[0][:20], paragraphs, language, page_number
            )
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


Rows = Sequence[tuple[Any, ...]]
UPRIGHT = (1.0, 0.0, 0.0, 1.0)


@pytest.fixture
def digital_pdf(tmp_path: Path) -> Callable[..., Path]:
    """Write pages of (x, y, text) or (x, y, text, turn) in 12-point Helvetica.

    x and y are in points from below on the left; ``turn`` is the upper part of the matrix.
    """

    def build(
        pages: Sequence[Rows], size: tuple[float, float] = (612, 792), rotation: int = 0
    ) -> Path:
        document = pypdfium2.PdfDocument.new()
        for rows in pages:
            page = document.new_page(*size)
            page.set_rotation(rotation)
            for x, y, text, *turn in rows:
                string = pdfium.FPDFPageObj_NewTextObj(document, b"Helvetica", 12)
                encoded = ctypes.create_string_buffer((text + "\0").encode("utf-16-le"))
                pdfium.FPDFText_SetText(string, ctypes.cast(encoded, pdfium.FPDF_WIDESTRING))
                pdfium.FPDFPageObj_Transform(string, *(turn[0] if turn else UPRIGHT), x, y)
                pdfium.FPDFPage_InsertObject(page, string)
            page.gen_content()
        path = tmp_path / "digital.pdf"
        document.save(path)
        document.close()
        return path

    return build
