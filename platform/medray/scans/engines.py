"""The seam of text recognition: what an OCR engine is, and which one reads which language."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from medray.languages import language

Image = npt.NDArray[np.uint8]
Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
EngineChoice = Literal["auto", "paddle", "tesseract"]


class EngineUnavailable(RuntimeError):  # noqa: N818 - a state of the machine, not a fault
    """An engine cannot start on this machine; the message is one line that names the remedy."""


class RecognitionError(RuntimeError):
    """An engine's native library refused one page; the next page may well be read."""


@dataclass(frozen=True)
class Line:
    """One recognised line of print.

    ``quad`` holds its corners in pixels, clockwise from the top left in reading direction, so a
    tilted line keeps its angle. ``confidence`` lies in 0..1.
    """

    quad: Quad
    text: str
    confidence: float


class OcrEngine(Protocol):
    """Reads the lines of one page; their order says nothing, ``layout`` finds the reading order."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def read(self, image: Image) -> list[Line]:
        """Return the lines of ``image`` (height x width x 3, RGB); ``RecognitionError``."""
        ...


@functools.cache
def paddle_engine(
    cache_dir: Path | None = None,
    detection_dir: Path | None = None,
    recognition_dir: Path | None = None,
) -> OcrEngine:
    """Return this process's PaddleOCR engine of these folders; built once, about 0.5 s."""
    from medray.scans.paddle import PaddleEngine  # loads native libraries

    return PaddleEngine(cache_dir, detection_dir, recognition_dir)


@functools.cache
def tesseract_engine(language_code: str, tessdata_dir: Path | None = None) -> OcrEngine:
    """Return this process's Tesseract engine of one language; built once."""
    from medray.scans.tesseract import TesseractEngine  # loads native libraries

    return TesseractEngine(language_code, tessdata_dir)


def engine_name(
    language_code: str, choice: EngineChoice = "auto", own_model: bool = False
) -> Literal["paddle", "tesseract"]:
    """Return which engine reads a language.

    ``auto`` is PaddleOCR, and Tesseract for Russian: PaddleOCR's bundled recogniser has no
    Cyrillic letter and answers with plausible Latin ones. Raises ``KeyError`` for an unknown
    language, and ``ValueError`` for ``paddle`` with a language that its recogniser cannot write,
    unless an ``own_model`` is given.
    """
    spoken = language(language_code)
    readable_by_paddle = spoken.paddle_name is not None or own_model
    if choice == "paddle" and not readable_by_paddle:
        raise ValueError(
            f"PaddleOCR's bundled recogniser has no letters for {spoken.exam_name}; "
            "choose tesseract, or give recognition_dir"
        )
    return "paddle" if choice != "tesseract" and readable_by_paddle else "tesseract"


def installed_engine(language_code: str, choice: EngineChoice = "auto") -> str:
    """Return name and version of the engine that reads a language, without loading its models.

    Raises what ``engine_name`` raises, and ``EngineUnavailable`` where a library or the
    language's data is missing.
    """
    if engine_name(language_code, choice) == "tesseract":
        from medray.scans.tesseract import installed_version

        return f"tesseract {installed_version(language_code)}"
    from medray.scans.paddle_weights import installed_version as paddle_version

    return f"paddle {paddle_version()}"


def engine_for(
    language_code: str,
    choice: EngineChoice = "auto",
    *,
    cache_dir: Path | None = None,
    detection_dir: Path | None = None,
    recognition_dir: Path | None = None,
    tessdata_dir: Path | None = None,
) -> OcrEngine:
    """Return the engine that reads ``language_code``, one instance per process.

    ``detection_dir`` and ``recognition_dir`` are PaddleOCR model folders of your own
    (inference.onnx, inference.yml). Raises what ``engine_name`` raises, and
    ``EngineUnavailable``.
    """
    if engine_name(language_code, choice, recognition_dir is not None) == "paddle":
        return paddle_engine(cache_dir, detection_dir, recognition_dir)
    return tesseract_engine(language_code, tessdata_dir)
