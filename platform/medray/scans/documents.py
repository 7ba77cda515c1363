"""PDF files and images behind one door: how many pages, and each page's text layer or pixels."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
import PIL.ImageOps
import pypdfium2

from medray.scans.engines import Image
from medray.scans.text_layer import TextLayer, text_layer_of

_POINTS_PER_INCH = 72
# A poster or a wrong page size would render to gigabytes; A2 at 200 dpi is 4677 px high.
_LONGEST_SIDE_PX = 5000

# What the two libraries raise for bytes that they cannot read. Pillow's truncated files, its
# UnidentifiedImageError and libtiff's complaints are OSError; SyntaxError is a broken PNG chunk.
READ_ERRORS = (
    pypdfium2.PdfiumError,
    OSError,
    SyntaxError,
    PIL.Image.DecompressionBombError,
)


class Document(Protocol):
    """An open document; ``page_index`` counts from 0."""

    @property
    def page_count(self) -> int: ...

    def text_layer(self, page_index: int, language_code: str) -> TextLayer | None:
        """Return the page's own text, or ``None`` when OCR must read it."""
        ...

    def image(self, page_index: int, dpi: int) -> Image:
        """Return the page as height x width x 3, RGB."""
        ...

    def close(self) -> None: ...


class _Pdf:
    def __init__(self, path: Path) -> None:
        self._pdf = pypdfium2.PdfDocument(path)
        self.page_count = len(self._pdf)

    def text_layer(self, page_index: int, language_code: str) -> TextLayer | None:
        with contextlib.closing(self._pdf[page_index]) as page:
            return text_layer_of(page, language_code)

    def image(self, page_index: int, dpi: int) -> Image:
        with contextlib.closing(self._pdf[page_index]) as page:
            scale = min(dpi / _POINTS_PER_INCH, _LONGEST_SIDE_PX / max(page.get_size()))
            bitmap = page.render(scale=scale, rev_byteorder=True)
            pixels: Image = bitmap.to_numpy()[:, :, :3].copy()  # the bitmap's memory goes with it
            bitmap.close()
        return pixels

    def close(self) -> None:
        self._pdf.close()


class _Images:
    """One image, or the many of a TIFF; each is read at the resolution that it was scanned at."""

    def __init__(self, path: Path) -> None:
        self._file = PIL.Image.open(path)
        try:
            self.page_count: int = getattr(self._file, "n_frames", 1)
        except TypeError as error:  # Pillow's answer to a TIFF that ends between two frames
            self._file.close()
            raise OSError(f"truncated image: {error}") from error

    def text_layer(self, page_index: int, language_code: str) -> TextLayer | None:
        return None

    def image(self, page_index: int, dpi: int) -> Image:
        self._file.seek(page_index)
        upright = PIL.ImageOps.exif_transpose(self._file).convert("RGB")
        upright.thumbnail((_LONGEST_SIDE_PX, _LONGEST_SIDE_PX))
        return np.asarray(upright)

    def close(self) -> None:
        self._file.close()


def open_document(path: Path) -> Document:
    """Open a PDF, PNG, JPEG or TIFF by its content, whatever its suffix.

    Raises one of ``READ_ERRORS``, of which ``FileNotFoundError`` is one.
    """
    with path.open("rb") as file:
        is_pdf = b"%PDF-" in file.read(1024)  # readers allow for that much in front of it
    return _Pdf(path) if is_pdf else _Images(path)
