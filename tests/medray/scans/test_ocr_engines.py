"""Both engines under the same protocol; the model folders; what is missing is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medray.scans.engines import EngineUnavailable, OcrEngine, engine_for
from medray.scans.layout import reading_order
from medray.scans.paddle import PaddleEngine
from medray.scans.paddle_weights import bundled_model_dirs
from medray.scans.tesseract import TesseractEngine

EngineOrSkip = Callable[..., OcrEngine]
PARAGRAPHS = [
    "A young man was admitted with fever and a stiff neck. His pulse was regular, and there was "
    "no rash on the skin.",
    "The cerebrospinal fluid was cloudy. Treatment began at once, before the results were known.",
]


@pytest.mark.parametrize("choice", ["paddle", "tesseract"])
def test_engine_reads_a_page(
    choice: str,
    engine_or_skip: EngineOrSkip,
    draw: Callable[..., Image.Image],
    error_rate: Callable[[str, str], float],
) -> None:
    engine = engine_or_skip("en", choice)
    image = np.asarray(draw("en", PARAGRAPHS, 2).convert("RGB"))
    lines = engine.read(image)
    assert engine.name == choice
    assert engine.version
    assert engine is engine_or_skip("en", choice)  # one instance per process
    assert lines == engine.read(image)
    for line in lines:
        assert line.text.strip()
        assert 0.0 <= line.confidence <= 1.0
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line.quad
        assert 0 <= min(x0, x3) < max(x1, x2) <= image.shape[1]
        assert 0 <= min(y0, y1) < max(y2, y3) <= image.shape[0]
        assert x1 > x0 and y3 > y0  # clockwise from the top left
    page = reading_order(lines, image.shape[1], image.shape[0], "en")
    assert error_rate(page.text, " ".join([PARAGRAPHS[0][:20], *PARAGRAPHS])) < 0.05


@pytest.mark.parametrize("choice", ["paddle", "tesseract"])
def test_engine_finds_nothing_on_an_empty_page(choice: str, engine_or_skip: EngineOrSkip) -> None:
    assert engine_or_skip("en", choice).read(np.full((400, 300, 3), 255, np.uint8)) == []


def test_russian_goes_to_tesseract_and_the_rest_to_paddle(engine_or_skip: EngineOrSkip) -> None:
    assert engine_or_skip("ru").name == "tesseract"
    assert {engine_or_skip(code).name for code in ("en", "zh", "ja", "fr", "es")} == {"paddle"}


def test_paddle_without_cyrillic_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="Russian; choose tesseract"):
        engine_for("ru", "paddle")


def test_missing_language_model_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="apt-get install tesseract-ocr-chi-sim"):
        TesseractEngine("zh", tmp_path)


def test_missing_weights_of_ones_own_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text("Global:\n  something: else\n")
    with pytest.raises(EngineUnavailable, match=r"no Global\.model_name"):
        PaddleEngine(tmp_path / "cache", tmp_path, tmp_path)


def test_model_folders_built_by_many_at_once_are_whole(tmp_path: Path) -> None:
    build = (
        "import sys; from pathlib import Path; "
        "from medray.scans.paddle_weights import bundled_model_dirs; "
        "print(*bundled_model_dirs(Path(sys.argv[1])))"
    )

    def run(_: int) -> str:
        command = [sys.executable, "-c", build, str(tmp_path / "cache")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor(3) as pool:
        answers = set(pool.map(run, range(3)))
    detection, recognition = bundled_model_dirs(tmp_path / "cache")
    assert answers == {f"{detection} {recognition}\n"}
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(
        [detection.name, recognition.name]
    )
    for folder in (detection, recognition):
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["inference.onnx", "inference.yml"]


def test_reading_loads_no_native_library_before_it_is_needed() -> None:
    check = (
        "import sys, medray.scans.pages; "
        "print([n for n in ('cv2', 'paddleocr', 'onnxruntime', 'tesserocr') if n in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True
    )
    assert answer.stdout == "[]\n"
