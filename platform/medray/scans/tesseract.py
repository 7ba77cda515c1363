"""Tesseract 5 through tesserocr: the engine for Russian, and a second opinion for the others."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import PIL.Image

from medray.languages import language
from medray.scans.engines import EngineUnavailable, Image, Line, Quad, RecognitionError

_DEBIAN_TESSDATA = "/usr/share/tesseract-ocr"
_RENDER_DPI = 200  # what Tesseract assumes of a page that names no resolution; it would guess 70


def installed_version(language_code: str) -> str:
    """Return the version of tesserocr where it and a language's model are installed.

    Raises ``EngineUnavailable``.
    """
    _folder_with(language(language_code).tesseract_name, None)
    try:
        return importlib.metadata.version("tesserocr")
    except importlib.metadata.PackageNotFoundError as error:
        raise EngineUnavailable("tesserocr is not installed: pip install tesserocr") from error


class TesseractEngine:
    """Reads one language; one instance holds about 0.3 GB and uses one thread.

    The model file is looked for in ``tessdata_dir``, else in ``TESSDATA_PREFIX``, else where
    Debian puts it. Raises ``EngineUnavailable`` when there is none for ``language_code``.
    """

    name = "tesseract"

    def __init__(self, language_code: str, tessdata_dir: Path | None = None) -> None:
        model_name = language(language_code).tesseract_name
        folder = _folder_with(model_name, tessdata_dir)
        tesserocr = _load_with_one_thread()
        try:
            self._api = tesserocr.PyTessBaseAPI(
                path=f"{folder}/",
                lang=model_name,
                psm=tesserocr.PSM.AUTO,
                oem=tesserocr.OEM.LSTM_ONLY,
            )
        except RuntimeError as error:
            raise EngineUnavailable(
                f"Tesseract cannot load {folder}/{model_name}.traineddata: "
                f"apt-get install --reinstall {_debian_package(model_name)}"
            ) from error
        self._line_level = tesserocr.RIL.TEXTLINE
        self._iterate = tesserocr.iterate_level
        self.version = f"{self._api.Version()} {model_name}"

    def read(self, image: Image) -> list[Line]:
        """Return the lines of ``image`` (height x width x 3, RGB); ``RecognitionError``."""
        self._api.SetImage(PIL.Image.fromarray(image))
        self._api.SetSourceResolution(_RENDER_DPI)
        try:
            if not self._api.Recognize():
                raise RecognitionError("Tesseract: recognition failed")
            return self._lines()
        finally:
            self._api.Clear()

    def _lines(self) -> list[Line]:
        results = self._api.GetIterator()
        if results is None:  # an empty page has no iterator
            return []
        lines = []
        for result in self._iterate(results, self._line_level):
            if result.Empty(self._line_level):
                continue
            text = result.GetUTF8Text(self._line_level).strip()
            baseline = result.Baseline(self._line_level)
            if text and baseline is not None:
                quad = _quad(baseline, result.RowAttributes())
                lines.append(Line(quad, text, result.Confidence(self._line_level) / 100))
        return lines


def _folder_with(model_name: str, tessdata_dir: Path | None) -> Path:
    """Return the first folder that holds the model; only the given one when one is given."""
    candidates = [tessdata_dir] if tessdata_dir else _usual_folders()
    for folder in candidates:
        if (folder / f"{model_name}.traineddata").is_file():
            return folder
    looked = ", ".join(str(folder) for folder in candidates) or f"{_DEBIAN_TESSDATA}/*/tessdata"
    raise EngineUnavailable(
        f"no {model_name}.traineddata in {looked}: apt-get install {_debian_package(model_name)}, "
        "or set TESSDATA_PREFIX"
    )


def _usual_folders() -> list[Path]:
    prefix = os.environ.get("TESSDATA_PREFIX")
    newest_first = sorted(Path(_DEBIAN_TESSDATA).glob("*/tessdata"), reverse=True)
    return ([Path(prefix)] if prefix else []) + newest_first


def _debian_package(model_name: str) -> str:
    return f"tesseract-ocr-{model_name.replace('_', '-')}"


def _load_with_one_thread():  # type: ignore[no-untyped-def]  # tesserocr has no types
    """Import tesserocr with OpenMP held to one thread.

    Without the limit a page takes 4.5 CPU-s instead of 1.2 and eight times the wall time: the
    threads wait on each other. libgomp reads the variable once, when the library loads, so it is
    put back at once: training in the same process keeps its threads.
    """
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        import tesserocr
    except ImportError as error:
        raise EngineUnavailable(
            f"tesserocr cannot load ({error}): pip install tesserocr"
        ) from error
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before
    return tesserocr


def _quad(baseline: tuple[tuple[float, float], tuple[float, float]], row: dict[str, float]) -> Quad:
    """Return the corners of a line from its baseline and its row's font height.

    Tesseract's own box hugs the ink, so that `score` comes out .7 as high as `body`; and a
    tilted line's box is higher than the line. The row's height is the same for all lines of a
    font. ``row["descenders"]`` is negative.
    """
    (x0, y0), (x1, y1) = baseline
    below = -row["descenders"]
    above = row["row_height"] - below
    return (x0, y0 - above), (x1, y1 - above), (x1, y1 + below), (x0, y0 + below)
