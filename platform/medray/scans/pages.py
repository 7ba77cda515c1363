"""Pages of scanned and digital documents -> records of their text, one for every page asked for.

A page that cannot be read gives a record that says so: one corrupt page never costs a book, one
corrupt book never costs a batch. pdfium is not thread-safe: read in processes, not in threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from medray.languages import language
from medray.scans.documents import READ_ERRORS, Document, open_document
from medray.scans.engines import Line, OcrEngine, RecognitionError
from medray.scans.gates import RecognisedStatus, page_status
from medray.scans.layout import reading_order

PageStatus = RecognisedStatus | Literal["text_layer", "page_error", "document_error"]
RENDER_DPI = 200  # rendering a page 1.5 times larger doubled Tesseract's errors in Russian


@dataclass(frozen=True)
class PageRecord:
    """One page. ``page_number`` counts from 1; ``seconds`` is wall time.

    ``text`` is kept whatever the status says, for thresholds are better moved later than pages
    read again. ``confidence`` is the mean over characters, 0..1; ``None`` without recognition.
    ``header`` and ``footer`` are the lines taken off the text. ``error`` is one line.
    """

    document: str
    page_number: int
    status: PageStatus
    text: str = ""
    confidence: float | None = None
    engine: str | None = None
    engine_version: str | None = None
    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0


def count_pages(path: Path) -> int:
    """Return a document's number of pages; 0 when it cannot be opened.

    Plan at least one page of every document: asking for it is what records the reason.
    """
    try:
        with closing(open_document(path)) as document:
            return document.page_count
    except FileNotFoundError:
        raise
    except READ_ERRORS:
        return 0


def read_pages(
    path: Path,
    first_page: int,
    last_page: int,
    language_code: str,
    engine_factory: Callable[[str], OcrEngine],
    dpi: int = RENDER_DPI,
) -> Iterator[PageRecord]:
    """Yield one record for each page from ``first_page`` to ``last_page``, both included, from 1.

    A page with a trustworthy text layer is not recognised; ``engine_factory`` (``engine_for``)
    is called with the language only when a page needs it. A document that cannot be opened gives
    one record, ``document_error``, numbered ``first_page``. Raises ``FileNotFoundError``,
    ``EngineUnavailable``, and ``KeyError`` for an unknown language.
    """
    language(language_code)
    started = time.perf_counter()
    try:
        document = open_document(path)
    except FileNotFoundError:
        raise
    except READ_ERRORS as error:
        broken = PageRecord(path.name, first_page, "document_error", error=_one_line(error))
        yield replace(broken, seconds=time.perf_counter() - started)
        return
    with closing(document):
        for page_number in range(first_page, last_page + 1):
            page = PageRecord(path.name, page_number, "page_error")
            try:
                page = _read_page(document, page, language_code, engine_factory, dpi)
            except (*READ_ERRORS, RecognitionError) as error:
                page = replace(page, error=_one_line(error))
            yield replace(page, seconds=time.perf_counter() - started)
            started = time.perf_counter()


def _read_page(
    document: Document,
    page: PageRecord,
    language_code: str,
    engine_factory: Callable[[str], OcrEngine],
    dpi: int,
) -> PageRecord:
    """Return ``page`` filled in: from its text layer when it has a good one, else recognised."""
    if not 1 <= page.page_number <= document.page_count:
        return replace(page, error=f"there is no such page: the document has {document.page_count}")
    layer = document.text_layer(page.page_number - 1, language_code)
    if layer is not None:
        found = reading_order(layer.lines, layer.width, layer.height, language_code)
        return replace(
            page,
            status="text_layer",
            text=found.text,
            engine="pypdfium2",
            engine_version=version("pypdfium2"),
            header=found.header,
            footer=found.footer,
        )
    image = document.image(page.page_number - 1, dpi)
    if image.min() == image.max():  # an empty page of a digital document: nothing to recognise
        return replace(page, status="blank")
    engine = engine_factory(language_code)
    lines = engine.read(image)
    found = reading_order(lines, image.shape[1], image.shape[0], language_code)
    confidence = mean_confidence(lines)
    return replace(
        page,
        status=page_status(found.text, confidence, language_code),
        text=found.text,
        confidence=confidence,
        engine=engine.name,
        engine_version=engine.version,
        header=found.header,
        footer=found.footer,
    )


def mean_confidence(lines: Sequence[Line]) -> float:
    """Return the lines' mean confidence, weighted by their characters; 0 without any."""
    characters = sum(len(line.text) for line in lines)
    weighted = sum(len(line.text) * line.confidence for line in lines)
    return weighted / characters if characters else 0.0


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
