"""Reading scanned pages: ``read_pages`` against its recogniser alone on the rendered images.

``read_pages`` opens the document, looks for a text layer, renders, recognises, finds the reading
order and judges the page; the recogniser gets the ready image. 1 - ratio is the share of the time
that medray adds to it. Both recognisers run in one thread, so pages per CPU-s is per core.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

from measure import compare
from texts import SAMPLES

from medray.scans.documents import open_document
from medray.scans.engines import EngineChoice, EngineUnavailable, OcrEngine, engine_for
from medray.scans.pages import RENDER_DPI, PageRecord, read_pages

# Tesseract reads English too, so that the two engines stand side by side on one page.
CASES: tuple[tuple[str, EngineChoice], ...] = (
    ("en", "paddle"),
    ("en", "tesseract"),
    ("zh", "paddle"),
    ("ru", "tesseract"),
)


def read_first_page(path: Path, code: str, engine: OcrEngine) -> list[PageRecord]:
    """Return the first page's record, alone in a list."""
    return list(read_pages(path, 1, 1, code, lambda _: engine))


def main() -> None:
    print("bench_scans: the first page of each sample scan")
    for code, choice in CASES:
        try:
            engine = engine_for(code, choice)
        except EngineUnavailable as error:
            print(f"\n{code}, {choice}: left out: {error}")
            continue
        path = SAMPLES / "scans" / code / f"{code}_textbook.pdf"
        with closing(open_document(path)) as document:
            image = document.image(0, RENDER_DPI)
        compare(
            f"{code}, {engine.name}: {image.shape[1]} x {image.shape[0]} pixels",
            {
                "medray read_pages": partial(read_first_page, path, code, engine),
                f"{engine.name} alone": partial(engine.read, image),
            },
            1,
            "pages",
            rounds=3,
        )


if __name__ == "__main__":
    main()
