"""The ocr job: scanned and digital documents -> pages of text, in shards over the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from medray.errors import InputError
from medray.inputs import LanguageFiles
from medray.languages import LANGUAGES
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import StageConfig
from medray.scans.engines import EngineChoice, EngineUnavailable, engine_for, installed_engine
from medray.scans.pages import PageRecord, count_pages, read_pages
from medray.storage.location import Location, content_identity
from medray.storage.mapping import run_shards
from medray.storage.scratch import temporary_folder
from medray.storage.shards import Receipt, Shard, ShardOutput, shard_id_of, sum_counts

# What a page's text must be to go on to a corpus.
GOOD = ("text_layer", "ok")
STATUSES = (
    "text_layer",
    "ok",
    "blank",
    "low_confidence",
    "wrong_script",
    "page_error",
    "document_error",
)
_DECISION_COLUMNS = pa.schema(
    [
        ("document", pa.string()),
        ("page_number", pa.int32()),
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("confidence", pa.float32()),
        ("engine", pa.string()),
        ("engine_version", pa.string()),
        ("header", pa.list_(pa.string())),
        ("footer", pa.list_(pa.string())),
        ("error", pa.string()),
        ("text", pa.string()),
        ("seconds", pa.float32()),
    ]
)
_PAGE_COLUMNS = pa.schema(
    [
        ("text", pa.string()),
        ("timestamp", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
    ]
)


class ScanInput(LanguageFiles):
    """PDF or image files of one language."""


class OcrConfig(StageConfig):
    """Configuration of the ocr job."""

    job: Literal["ocr"]
    inputs: list[ScanInput] = Field(min_length=1)
    engine: EngineChoice = Field(default="auto", description="auto: Tesseract for ru, else Paddle")
    dots_per_inch: int = Field(default=200, ge=72, le=600, description="rendering resolution")
    pages_per_shard: int = Field(default=16, ge=1)
    without_engine: Literal["fail", "leave_out"] = Field(
        default="fail", description="what to do with a language whose engine is not installed"
    )


def engine_of(code: str, choice: EngineChoice) -> str:
    """Return the name and version of the engine that will read a language here.

    Raises EngineUnavailable where it is not installed, InputError where it cannot read that
    language at all. Loads no model, so a run that skips everything stays quick.
    """
    try:
        return installed_engine(code, choice)
    except ValueError as error:
        raise InputError(f"engine {choice} for {code}: {error}") from error


def depends_on(config: OcrConfig) -> dict[str, str]:
    """Return which engine reads each language here: installing a missing one, or another version,
    makes the stage and all that follows run again."""
    engines = {}
    for entry in config.inputs:
        try:
            engines[f"engine/{entry.language}"] = engine_of(entry.language, config.engine)
        except EngineUnavailable:
            engines[f"engine/{entry.language}"] = "missing"
    return engines


def check(config: OcrConfig, context: StageContext) -> None:
    """Find every input file, and every engine where none may be missing."""
    for number, entry in enumerate(config.inputs):
        context.files(entry.files, f"inputs.{number}.files")
        try:
            engine_of(entry.language, config.engine)
        except EngineUnavailable as error:
            if config.without_engine == "fail":
                raise InputError(f"stages.{context.name}.inputs.{number}: {error}") from error


def run(config: OcrConfig, context: StageContext) -> StageResult:
    """Read every page; tables ``decisions/<language>`` and ``pages/<language>`` of each shard."""
    shards: list[Shard] = []
    left_out = []
    for number, entry in enumerate(config.inputs):
        files = context.files(entry.files, f"inputs.{number}.files")
        mine = plan(files, entry.language, config.pages_per_shard)
        try:
            engine_of(entry.language, config.engine)
            shards += mine
        except EngineUnavailable as error:
            if config.without_engine == "fail":
                raise InputError(f"stages.{context.name}.inputs.{number}: {error}") from error
            pages = sum(shard.rows for shard in mine)
            left_out.append({"language": entry.language, "pages": pages, "reason": str(error)})
            context.log.event(f"left out {pages} pages in {entry.language}: {error}")
    receipts: list[Receipt] = []
    if shards:
        context.ray.connect()
        work = partial(read_shard, choice=config.engine, dots_per_inch=config.dots_per_inch)
        report = partial(context.log.progress, "page shards")
        cpus = context.ray.cpus_per_core
        receipts = run_shards(
            "ocr", shards, work, context.output, cpus_per_task=cpus, on_receipt=report
        )
    results = {
        "languages": _by_language(receipts, config.engine),
        "statuses": [status for status in STATUSES if sum_counts(receipts).get(status)],
        "left_out": left_out,
    }
    return StageResult(sum_counts(receipts), results)


def plan(files: Sequence[Location], language: str, pages_per_shard: int) -> list[Shard]:
    """Cut documents into ranges of pages. One that cannot be opened is a shard of one page,
    whose record will say why."""
    shards = []
    for file in files:
        identity = content_identity(file)
        with _local(file) as path:
            pages = max(1, count_pages(path))
        for first in range(0, pages, pages_per_shard):
            end = min(first + pages_per_shard, pages)
            shard_id = shard_id_of(f"ocr|{language}", identity, first, end)
            shards.append(Shard(shard_id, file, identity, first, end, first, end - first, language))
    return shards


@contextmanager
def _local(file: Location) -> Iterator[Path]:
    """Yield a path on this machine with the file's content; PDF readers want to seek."""
    if file.is_local:
        yield file.local_path()
        return
    with temporary_folder() as folder:
        path = folder / file.name
        path.write_bytes(file.read_bytes())
        yield path


def read_shard(shard: Shard, choice: EngineChoice, dots_per_inch: int) -> Iterator[ShardOutput]:
    """Read the pages of one shard: all into ``decisions``, the good ones into ``pages``."""
    with _local(shard.file) as path:
        factory = partial(engine_for, choice=choice)
        first, last = shard.first_unit + 1, shard.end_unit
        try:
            records = list(read_pages(path, first, last, shard.language, factory, dots_per_inch))
        except EngineUnavailable as error:  # on this node, though the driver's has it
            raise InputError(f"{shard.file}: {error}") from error
    good = [record for record in records if record.status in GOOD]
    counts = {"pages": len(records), "characters": sum(len(r.text) for r in good)}
    counts |= {s: n for s in STATUSES if (n := sum(r.status == s for r in records))}
    recognised = [r.confidence for r in records if r.confidence is not None]
    # Counts are whole numbers, so that they add up exactly; a confidence is kept in 1/10,000.
    counts["recognised"] = len(recognised)
    counts["confidence_sum_e4"] = round(sum(recognised) * 10_000)
    tables = {
        f"decisions/{shard.language}": _decisions(records),
        f"pages/{shard.language}": _pages(good),
    }
    yield ShardOutput(tables, counts)


def _decisions(records: Sequence[PageRecord]) -> pa.Table:
    rows = [
        {
            "document": record.document,
            "page_number": record.page_number,
            "keep": record.status in GOOD,
            "reason": record.status,
            "confidence": record.confidence,
            "engine": record.engine,
            "engine_version": record.engine_version,
            "header": list(record.header),
            "footer": list(record.footer),
            "error": record.error,
            "text": record.text,
            "seconds": record.seconds,
        }
        for record in records
    ]
    return pa.Table.from_pylist(rows, schema=_DECISION_COLUMNS)


def _pages(records: Sequence[PageRecord]) -> pa.Table:
    """Return pages as documents with CulturaX's columns, which the curate job reads."""
    rows = [
        {
            "text": record.text,
            "timestamp": "",
            "url": f"{record.document}#page={record.page_number}",
            "source": "scans",
        }
        for record in records
    ]
    return pa.Table.from_pylist(rows, schema=_PAGE_COLUMNS)


def _by_language(receipts: Sequence[Receipt], choice: EngineChoice) -> dict[str, Any]:
    table = {}
    for code in LANGUAGES:
        counts = sum_counts(r for r in receipts if r.language == code)
        if counts:
            recognised = counts["recognised"]
            table[code] = {
                "engine": engine_of(code, choice),
                "pages": counts["pages"],
                "statuses": {status: counts[status] for status in STATUSES if status in counts},
                "characters": counts["characters"],
                "confidence": counts["confidence_sum_e4"] / recognised / 10_000
                if recognised
                else None,
            }
    return table


JOB = Job("ocr", 1, "pages", OcrConfig, run, check, depends_on, local_disk=False)
