"""The curate job: raw documents -> medical documents -> tokenizer -> token windows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field

from medray.corpus.keywords import load_keywords
from medray.corpus.medical_filter import REASONS, MedicalFilterConfig, decide
from medray.corpus.tokenizer import load_tokenizer, train_tokenizer
from medray.corpus.windows import WindowConfig, cut
from medray.errors import InputError
from medray.inputs import LanguageFiles
from medray.languages import LANGUAGES
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Config, InputFolder, Reference, StageConfig
from medray.storage.location import Location
from medray.storage.shards import (
    Receipt,
    Shard,
    ShardOutput,
    open_parquet,
    plan_parquet,
    read_row_groups,
    run_shards,
    sum_counts,
)

# CulturaX's columns; a document needs all four.
COLUMNS = ("text", "timestamp", "url", "source")


class CorpusInput(LanguageFiles):
    """Parquet files of one language, with CulturaX's columns."""


class TokenizerConfig(Config):
    """A tokenizer to train on the kept text, or the folder of one that exists."""

    vocabulary_size: int = Field(default=32_000, ge=300, description="size where one is trained")
    folder: Annotated[str | None, InputFolder()] = Field(
        default=None, description="Hugging Face folder to take instead"
    )


class CurateConfig(StageConfig):
    """Configuration of the curate job."""

    job: Literal["curate"]
    inputs: list[CorpusInput] = Field(min_length=1, description="raw documents, by language")
    scans: Annotated[str | None, Reference(("pages",))] = Field(
        default=None, description="an ocr stage whose pages are documents too"
    )
    filter: MedicalFilterConfig = Field(default=MedicalFilterConfig())
    tokenizer: TokenizerConfig = Field(default=TokenizerConfig())
    windows: WindowConfig = Field(default=WindowConfig())
    shard_rows: int = Field(default=20_000, ge=1, description="rows of a shard, about")


def run(config: CurateConfig, context: StageContext) -> StageResult:
    """Filter, train the tokenizer, cut windows. Raises InputError for unusable input."""
    timings_s: dict[str, float] = {}
    start = time.monotonic()
    shards = plan(config, context)
    filtered = _filter(config, context, shards)
    timings_s["filter"] = _since(start)
    _check_kept(context, filtered)
    start = time.monotonic()
    _make_tokenizer(config, context, filtered)
    timings_s["tokenizer"] = _since(start)
    start = time.monotonic()
    windowed = _cut_windows(config, context, filtered)
    timings_s["windows"] = _since(start)
    counts = sum_counts(filtered) | sum_counts(windowed)
    results = {
        "funnel": _funnel(filtered, windowed),
        "keyword_lists": {i.language: load_keywords(i.language).fingerprint for i in config.inputs},
    }
    return StageResult(counts, results, timings_s)


def plan_inputs(config: CurateConfig, context: StageContext) -> list[Shard]:
    """Return the shards of the raw documents alone; reads every file's footer."""
    shards: list[Shard] = []
    for number, entry in enumerate(config.inputs):
        files = context.files(entry.files, f"inputs.{number}.files")
        shards += plan_parquet("filter", files, COLUMNS, entry.language, config.shard_rows)
    return shards


def check(config: CurateConfig, context: StageContext) -> None:
    """Read every input's footer: torn files, missing columns, an empty corpus."""
    if not any(shard.rows for shard in plan_inputs(config, context)) and config.scans is None:
        raise InputError(f"stages.{context.name}.inputs: the corpus is empty: no file has a row")


def depends_on(config: CurateConfig) -> dict[str, str]:
    """Return the keyword lists' fingerprints: they come with medray, not with the recipe."""
    codes = list(LANGUAGES) if config.scans is not None else [i.language for i in config.inputs]
    return {f"keywords/{code}": load_keywords(code).fingerprint for code in codes}


def plan(config: CurateConfig, context: StageContext) -> list[Shard]:
    """Return the shards of all inputs; an empty corpus is an InputError."""
    shards = plan_inputs(config, context)
    if config.scans is not None:
        folder = context.artifacts[config.scans] / "pages"
        for code in LANGUAGES:
            pages = [f for f in (folder / code).files() if f.name.endswith(".parquet")]
            shards += plan_parquet("filter", pages, COLUMNS, code, config.shard_rows)
    if not any(shard.rows for shard in shards):
        raise InputError(f"stages.{context.name}.inputs: the corpus is empty: no file has a row")
    return shards


def _filter(config: CurateConfig, context: StageContext, shards: list[Shard]) -> list[Receipt]:
    context.ray.connect()
    work = partial(filter_shard, config=config.filter)
    report = partial(context.log.progress, "filter shards")
    cpus, output = context.ray.cpus_per_core, context.output / "filter"
    return run_shards("filter", shards, work, output, cpus_per_task=cpus, on_receipt=report)


def filter_shard(shard: Shard, config: MedicalFilterConfig) -> ShardOutput:
    """Decide on every row of a shard: table ``decisions`` has all, table ``kept`` the medical."""
    rows = read_row_groups(shard, COLUMNS)
    ids = pa.array([shard.document_id(row) for row in range(rows.num_rows)], pa.string())
    decisions = decide(rows["text"], shard.language, config)
    decisions = decisions.add_column(0, "document_id", ids).append_column("url", rows["url"])
    kept = rows.add_column(0, "document_id", ids).filter(decisions["keep"])
    reasons = decisions["reason"].to_pylist()
    counts = {"documents": rows.num_rows} | {name: reasons.count(name) for name in REASONS}
    counts["kept_characters"] = sum(len(text) for text in kept["text"].to_pylist())
    return ShardOutput({"kept": kept, "decisions": decisions}, counts)


def _check_kept(context: StageContext, receipts: Sequence[Receipt]) -> None:
    counts = sum_counts(receipts)
    if counts["kept"] == 0:
        told = ", ".join(f"{name} {counts[name]}" for name in REASONS)
        raise InputError(
            f"stages.{context.name}: none of {counts['documents']} documents kept ({told}): "
            "lower filter.thresholds, or check that each input's language is right"
        )


def kept_files(output: Location, receipts: Sequence[Receipt]) -> Iterator[tuple[str, Location]]:
    """Yield (language, file of kept documents) of every shard that kept any, in plan order."""
    for receipt in receipts:
        if receipt.counts["kept"]:
            yield receipt.language, output / "filter" / "kept" / f"{receipt.shard_id}.parquet"


def _kept_texts(output: Location, receipts: Sequence[Receipt]) -> Iterator[str]:
    for _, file in kept_files(output, receipts):
        with open_parquet(file) as parquet:
            for batch in parquet.iter_batches(batch_size=1000, columns=["text"]):
                yield from batch["text"].to_pylist()


def _make_tokenizer(
    config: CurateConfig, context: StageContext, receipts: Sequence[Receipt]
) -> None:
    """Put the tokenizer into the artifact; one that a broken run finished is kept."""
    target = context.output / "tokenizer"
    if (target / "complete").is_file():
        return
    context.log.event("tokenizer: training", vocabulary_size=config.tokenizer.vocabulary_size)
    if config.tokenizer.folder is not None:
        tokenizer = load_tokenizer(context.folder(config.tokenizer.folder, "tokenizer.folder"))
    else:
        texts = _kept_texts(context.output, receipts)
        tokenizer = train_tokenizer(texts, config.tokenizer.vocabulary_size)
    tokenizer.save_pretrained(target.local_path())
    (target / "complete").write_bytes(b"")


def _cut_windows(
    config: CurateConfig, context: StageContext, receipts: Sequence[Receipt]
) -> list[Receipt]:
    shards = []
    for language, file in kept_files(context.output, receipts):
        shards += plan_parquet(
            "windows", [file], ("document_id", "text"), language, config.shard_rows
        )
    tokenizer = str((context.output / "tokenizer").local_path())
    work = partial(window_shard, tokenizer_folder=tokenizer, config=config.windows)
    report = partial(context.log.progress, "window shards")
    cpus, output = context.ray.cpus_per_core, context.output / "windows"
    return run_shards("windows", shards, work, output, cpus_per_task=cpus, on_receipt=report)


_load_tokenizer_once = cache(load_tokenizer)


def window_shard(shard: Shard, tokenizer_folder: str, config: WindowConfig) -> ShardOutput:
    """Turn a shard of kept documents into windows: document_id, language, tokens (int32)."""
    tokenizer = _load_tokenizer_once(Path(tokenizer_folder))
    rows = read_row_groups(shard, ("document_id", "text"))
    # split_special_tokens: a "</s>" that stands in a text is text, not the end of the document.
    encoded = tokenizer(
        rows["text"].to_pylist(), add_special_tokens=False, split_special_tokens=True
    )["input_ids"]
    ids: list[str] = []
    windows: list[list[int]] = []
    for document_id, tokens in zip(rows["document_id"].to_pylist(), encoded, strict=True):
        pieces = cut([*tokens, tokenizer.eos_token_id], config)
        ids += [document_id] * len(pieces)
        windows += pieces
    table = pa.table(
        {
            "document_id": pa.array(ids, pa.string()),
            "language": pa.array([shard.language] * len(ids), pa.string()),
            "tokens": pa.array(windows, pa.list_(pa.int32())),
        }
    )
    counts = {
        "windows": len(windows),
        "tokens": sum(len(tokens) + 1 for tokens in encoded),
        "window_tokens": sum(len(window) for window in windows),
    }
    return ShardOutput({"windows": table}, counts)


def _funnel(filtered: Sequence[Receipt], windowed: Sequence[Receipt]) -> dict[str, Any]:
    """Return, by language, how many documents came in, went for which reason, and stayed."""
    funnel = {}
    for code in LANGUAGES:
        counts = sum_counts(r for r in filtered if r.language == code)
        if counts:
            funnel[code] = counts | sum_counts(r for r in windowed if r.language == code)
    return funnel


def _since(start: float) -> float:
    return round(time.monotonic() - start, 2)


JOB = Job("curate", 1, "corpus", CurateConfig, run, check, depends_on)
