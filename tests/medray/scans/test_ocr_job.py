"""The ocr job over real Ray: good pages, a broken document, a language whose engine is missing."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from medray.errors import InputError
from medray.pipeline import Run
from medray.progress import Reporter
from medray.recipe import Recipe, StageConfig
from medray.runtime import RayRuntime
from medray.scans import ocr
from medray.scans.engines import EngineUnavailable
from medray.storage.artifact import Artifact
from medray.storage.location import Location

MISSING = "Tesseract has no rus.traineddata: apt-get install tesseract-ocr-rus"


class JoinedRay(RayRuntime):
    """The Ray that the tests started already."""

    def connect(self) -> None:
        pass


def run_ocr(workspace: Path, log: io.StringIO | None = None, **fields: Any) -> Artifact:
    config: StageConfig = ocr.OcrConfig.model_validate({"job": "ocr", **fields})
    recipe = Recipe(name="test", seed=0, stages={"ocr": config})
    reporter = Reporter(True, log or io.StringIO())
    run = Run(recipe, {"ocr": ocr.JOB}, Location.of(workspace), {}, JoinedRay(), reporter)
    return run.execute()[0].artifact


@pytest.fixture
def no_tesseract(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without Tesseract's Russian data."""

    def unavailable(code: str, choice: str = "auto") -> Any:
        raise EngineUnavailable(MISSING)

    monkeypatch.setattr(ocr, "installed_engine", unavailable)
    return monkeypatch


@pytest.mark.usefixtures("ray_local")
def test_pages_and_a_broken_document(tmp_path: Path, samples: Path) -> None:
    shutil.copy(samples / "scans" / "fr" / "fr_textbook.pdf", tmp_path / "book.pdf")
    (tmp_path / "broken.pdf").write_bytes((tmp_path / "book.pdf").read_bytes()[:5000])
    inputs = [{"language": "fr", "files": str(tmp_path / "*.pdf")}]
    made = run_ocr(tmp_path / "w", inputs=inputs, pages_per_shard=1)
    row = made.manifest.results["languages"]["fr"]
    assert row["pages"] == 3
    assert row["statuses"] == {"ok": 2, "document_error": 1}
    assert row["confidence"] > 0.9
    pages = [pq.read_table(f.path) for f in (made / "pages" / "fr").files()]
    rows = sorted((r for page in pages for r in page.to_pylist()), key=lambda r: r["url"])
    assert [r["url"] for r in rows] == ["book.pdf#page=1", "book.pdf#page=2"]
    assert all(len(r["text"]) > 500 for r in rows)
    decisions = [pq.read_table(f.path) for f in (made / "decisions" / "fr").files()]
    failed = [r for d in decisions for r in d.to_pylist() if not r["keep"]]
    assert [(r["document"], r["reason"]) for r in failed] == [("broken.pdf", "document_error")]
    assert failed[0]["error"]


def test_a_missing_engine_fails_with_its_remedy(
    no_tesseract: pytest.MonkeyPatch, tmp_path: Path, samples: Path
) -> None:
    inputs = [{"language": "ru", "files": str(samples / "scans" / "ru" / "*.pdf")}]
    with pytest.raises(InputError, match="apt-get install tesseract-ocr-rus"):
        run_ocr(tmp_path / "w", inputs=inputs)


def test_a_missing_engine_may_be_left_out_until_it_is_there(
    no_tesseract: pytest.MonkeyPatch, tmp_path: Path, samples: Path, ray_local: None
) -> None:
    fields = {
        "inputs": [{"language": "ru", "files": str(samples / "scans" / "ru" / "*.pdf")}],
        "without_engine": "leave_out",
    }
    made = run_ocr(tmp_path / "w", **fields)
    assert made.manifest.results["left_out"] == [{"language": "ru", "pages": 2, "reason": MISSING}]
    again = io.StringIO()
    run_ocr(tmp_path / "w", again, **fields)
    assert "skipped" in again.getvalue()

    no_tesseract.undo()
    try:
        ocr.engine_of("ru", "auto")
    except EngineUnavailable as error:
        pytest.skip(str(error))
    log = io.StringIO()
    made = run_ocr(tmp_path / "w", log, **fields)
    assert "rebuilt: input engine/ru changed" in log.getvalue()
    assert made.manifest.results["left_out"] == []
    assert made.manifest.counts["pages"] == 2
