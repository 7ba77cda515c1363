"""The curate job: raw documents in; a medical, clean, unique, safe corpus of token windows out.

Every pass walks over shards and leaves tables and receipts; between shards only hashes and ids
travel. The table ``decisions`` says of each row of the input whether it stayed, and why.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from medray.corpus.balance import BalanceConfig, BalancePlan
from medray.corpus.cleaning.step import cleaning_fingerprint
from medray.corpus.decontamination.building import VERSIONS as BENCHMARK_VERSIONS
from medray.corpus.decontamination.reading import check_benchmarks
from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.deduplicate import VERSIONS, DedupResult
from medray.corpus.documents import KEPT
from medray.corpus.folders import CorpusFolders
from medray.corpus.inputs import CorpusInput
from medray.corpus.medical.keywords import KeywordList
from medray.corpus.medical.matching.ladder import choose_engine
from medray.corpus.passes.decision_pass import Conclusion, conclude
from medray.corpus.passes.duplicates_pass import remove_duplicates
from medray.corpus.passes.filter_pass import FilterPassConfig, FirstPass
from medray.corpus.passes.first_pass import do_first_pass
from medray.corpus.passes.report_pass import write_audit, write_contamination, write_report
from medray.corpus.passes.screen_pass import ScreenPassConfig, documents_of, screen, texts_of
from medray.corpus.passes.walker import Walker
from medray.corpus.passes.window_pass import cut_windows, make_tokenizer
from medray.corpus.readers import apart_by_language, check_input, plan_input
from medray.corpus.reports.audit import AuditConfig
from medray.corpus.reports.report import Details
from medray.corpus.reports.statistics import STEPS, Summary
from medray.corpus.tokens.engines import HuggingFaceEngine
from medray.corpus.tokens.tokenizer import TokenizerConfig, load_tokenizer
from medray.corpus.tokens.windows import WindowConfig
from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Config, Recipe, Reference, StageConfig, identity_config
from medray.storage.location import Location
from medray.storage.persistence import persist
from medray.storage.shards import Receipt, Shard, add_counts, sum_counts

SCANS = "scans"
# Raise it whenever the same configuration would give another corpus: a changed rule of language
# check, de-identification, balance, audit, tokenizer training or windows. Every pass is then new.
JOB_VERSION = 2


class CurateConfig(FilterPassConfig, ScreenPassConfig, StageConfig):
    """Configuration of the curate job."""

    job: Literal["curate"]
    inputs: list[CorpusInput] = Field(min_length=1, description="raw documents, by language")
    scans: Annotated[str | None, Reference(("pages",))] = Field(
        default=None, description="an ocr stage whose pages are documents too"
    )
    shard_rows: int = Field(default=20_000, ge=1, description="rows of a shard, about")
    deduplicate: DeduplicateConfig = Field(default=DeduplicateConfig())
    balance: BalanceConfig | None = Field(
        default=None, description="shares or quotas of languages and sources; absent: as they come"
    )
    audit: AuditConfig = Field(default=AuditConfig())
    tokenizer: TokenizerConfig = Field(default=TokenizerConfig())
    windows: WindowConfig = Field(default=WindowConfig())

    @property
    def languages(self) -> list[str]:
        """Return the languages that documents may be in."""
        named = {entry.language for entry in self.inputs}
        return [code for code in LANGUAGES if code in named or self.scans is not None]

    @property
    def inputs_by_origin(self) -> dict[str, CorpusInput]:
        """Return every input by the recipe's key of it, which its shards carry as ``origin``."""
        found = {f"inputs.{number}": entry for number, entry in enumerate(self.inputs)}
        for code in LANGUAGES:
            found[f"{SCANS}.{code}"] = CorpusInput(language=code, files="")
        return found


def run(config: CurateConfig, context: StageContext) -> StageResult:
    """Make the corpus. Raises InputError for unusable input, and where nothing is left of it.

    Where an object store fails in the driver's hands, it goes on from the last receipt.
    """
    return persist(lambda: _run(config, context))


def _run(config: CurateConfig, context: StageContext) -> StageResult:
    for pattern in unscreened_benchmarks(config, context.recipe):
        context.log.event(f"benchmark {pattern} is asked later, but not in decontaminate.questions")
    walker, shards = Walker(context, JOB_VERSION), plan(config, context)
    lists = keyword_lists(config, context)
    first = FirstPass(_part(FilterPassConfig, config), lists, config.inputs_by_origin)
    filtered, read = do_first_pass(walker, shards, first, first_identity(config, context))
    _check_any(context, read, "kept")
    unique, duplicates = remove_duplicates(walker, filtered, config.deduplicate)
    screened, left = screen(
        walker, filtered, read, unique, duplicates, _part(ScreenPassConfig, config),
        _inputs(context, "decontaminate."),
    )  # fmt: skip
    conclusion = Conclusion(filtered, screened, duplicates, None, lists, context.seed, config.audit)
    concluded, decided, balance = conclude(walker, shards, conclusion, config.balance)
    _check_any(context, decided, "copies")
    tokenizer, gate = make_tokenizer(
        walker, screened, texts_of(screened, left), config.tokenizer,
        _tokenizer_folder(config, context), _inputs(context, "tokenizer."),
    )  # fmt: skip
    windows, cut = cut_windows(
        walker, documents_of(screened, left), concluded, tokenizer, gate.engine, config.windows
    )
    details = _details(config, duplicates, balance)
    summary = write_report(walker, concluded, duplicates, details)
    write_audit(walker, concluded, decided, config.audit)
    if not config.decontaminate.is_empty:
        write_contamination(walker, screened)
    walker.sweep()
    CorpusFolders(
        decisions=concluded.folder / "decisions",
        documents=screened.folder / "documents",
        evidence=duplicates.evidence(),
        tokenizer=tokenizer.folder,
        windows=windows.folder / "windows",
    ).write(context.output)
    table = funnel(summary, cut)
    results = {
        "funnel": table,
        "keyword_lists": {code: words.fingerprint for code, words in lists.items()},
        "matcher": choose_engine(config.filter.engine),
        "reasons": count_by_reason(summary),
        "duplicates": duplicates.counts | {"alarms": duplicates.alarms},
        "tokenizer": gate.as_results(),
        "balance": balance.to_json() if balance else None,
    }
    counts: dict[str, int] = {}
    for row in table.values():
        add_counts(counts, row)
    return StageResult(counts, results, walker.timings_s)


def funnel(summary: Summary, windows: Sequence[Receipt]) -> dict[str, dict[str, int]]:
    """Return by language: documents, those that went at each step, kept; tokens and windows."""
    table: dict[str, dict[str, int]] = {}
    for row in summary.rows("funnel"):
        counts = table.setdefault(row["language"], dict.fromkeys(("documents", *STEPS, KEPT), 0))
        counts["documents"] += row["documents"]
        counts[row["step"] or KEPT] += row["documents"]
        counts["characters"] = counts.get("characters", 0) + row["corpus_characters"]
    for code, counts in table.items():
        cut = sum_counts(receipt for receipt in windows if receipt.language == code)
        counts |= {name: cut.get(name, 0) for name in ("tokens", "windows")}
    return {code: table[code] for code in LANGUAGES if code in table}


def count_by_reason(summary: Summary) -> dict[str, dict[str, int]]:
    """Return by language how many documents have each reason that occurs."""
    table: dict[str, dict[str, int]] = {}
    for row in summary.rows("funnel"):
        counts = table.setdefault(row["language"], {})
        counts[row["reason"]] = counts.get(row["reason"], 0) + row["documents"]
    return {code: dict(sorted(table[code].items())) for code in LANGUAGES if code in table}


def plan_inputs(config: CurateConfig, context: StageContext) -> list[Shard]:
    """Return the shards of the raw documents alone."""
    shards: list[Shard] = []
    for number, entry in enumerate(config.inputs):
        origin = f"inputs.{number}"
        files = context.files(entry.files, f"{origin}.files")
        shards += plan_input("filter", entry, files, config.shard_rows, origin)
    return shards


def plan(config: CurateConfig, context: StageContext) -> list[Shard]:
    """Return the shards of all inputs; an empty corpus is an InputError."""
    shards = plan_inputs(config, context)
    if config.scans is not None:
        folder = context.artifacts[config.scans] / "pages"
        for code in LANGUAGES:
            pages = [file for file in (folder / code).files() if file.name.endswith(".parquet")]
            origin = f"{SCANS}.{code}"
            entry = config.inputs_by_origin[origin]
            shards += plan_input("filter", entry, pages, config.shard_rows, origin)
    _check_not_empty(shards, context)
    return apart_by_language("filter", shards)


def _check_not_empty(shards: Sequence[Shard], context: StageContext) -> None:
    if not any(shard.rows for shard in shards):
        raise InputError(f"stages.{context.name}.inputs: the corpus is empty: no file has a row")


def check(config: CurateConfig, context: StageContext) -> None:
    """Look at every input before any stage runs: torn files, missing columns, keyword lists."""
    for number, entry in enumerate(config.inputs):
        files = context.files(entry.files, f"inputs.{number}.files")
        check_input(entry, files, f"stages.{context.name}.inputs.{number}")
    keyword_lists(config, context)
    check_benchmarks(config.decontaminate, context.files)
    choose_engine(config.filter.engine)
    if (folder := _tokenizer_folder(config, context)) is not None:
        HuggingFaceEngine(load_tokenizer(folder))  # refuses what no engine could take
    if config.scans is None:
        _check_not_empty(plan_inputs(config, context), context)


def unscreened_benchmarks(config: CurateConfig, recipe: Recipe) -> list[str]:
    """Return the files that a benchmark stage of the recipe asks and the corpus is not freed of."""
    screened = {entry.files for entry in config.decontaminate.questions}
    asked = [
        entry.files
        for stage in recipe.stages.values()
        if stage.job == "benchmark"
        for entry in getattr(stage, "questions", ())
    ]
    return sorted(set(asked) - screened)


def keyword_lists(config: CurateConfig, context: StageContext) -> dict[str, KeywordList]:
    """Return the keyword list of every language of the inputs."""

    def locate(path: str, key: str) -> Location:
        (file, *_) = context.files(path, key)
        return file

    return {code: config.filter.load_list(code, locate) for code in config.languages}


def depends_on(config: CurateConfig) -> dict[str, str]:
    """Return what comes with medray, not with the recipe: keyword lists, rules' versions."""
    versions = {"language_check": version("py3langid")}
    cleaning = {f"cleaning/{code}": cleaning_fingerprint(code) for code in config.languages}
    versions |= {
        "deduplicate": json.dumps(VERSIONS, sort_keys=True),
        "screened": json.dumps(BENCHMARK_VERSIONS, sort_keys=True),
    }
    if any(entry.content == "html" or entry.format in ("html", "auto") for entry in config.inputs):
        versions["inputs.html"] = version("trafilatura")
    return config.filter.depends_on(config.languages) | cleaning | versions


Part = TypeVar("Part", bound=Config)


def _part(kind: type[Part], config: CurateConfig) -> Part:
    """Return those of the configuration's keys that one pass knows."""
    return kind(**{name: getattr(config, name) for name in kind.model_fields})


def _inputs(context: StageContext, prefix: str) -> dict[str, str]:
    """Return the identities of the files that keys with a prefix name."""
    return {key: value for key, value in context.inputs.items() if key.startswith(prefix)}


def first_identity(config: CurateConfig, context: StageContext) -> dict[str, Any]:
    """Return what the first pass is made from: its configuration, its files' identities."""
    read = ("inputs.", SCANS, "filter", "keywords/", "cleaning/", "language_check")
    return {
        "config": identity_config(_part(FilterPassConfig, config)),
        "inputs": [entry.model_dump(mode="json") for entry in config.inputs],
        "shard_rows": config.shard_rows,
        "files": {key: value for key, value in context.inputs.items() if key.startswith(read)},
    }


def _tokenizer_folder(config: CurateConfig, context: StageContext) -> Path | None:
    if config.tokenizer.folder is None:
        return None
    return context.folder(config.tokenizer.folder, "tokenizer.folder")


def _details(config: CurateConfig, duplicates: DedupResult, balance: BalancePlan | None) -> Details:
    thresholds = {code: config.filter.thresholds[code].density for code in config.languages}
    return Details(thresholds, duplicates.alarms, balance)


def _check_any(context: StageContext, receipts: Sequence[Receipt], name: str) -> None:
    """Raise InputError, with the counts, where a pass left nothing."""
    counts = sum_counts(receipts)
    if counts.get(name, 0) == 0:
        told = ", ".join(f"{key} {count}" for key, count in sorted(counts.items()) if count)
        raise InputError(
            f"stages.{context.name}: nothing is left of the corpus ({told}): lower "
            "filter.thresholds, or check that each input's language is right"
        )


JOB = Job(
    "curate",
    JOB_VERSION,
    "corpus",
    CurateConfig,
    run,
    check,
    depends_on,
    has_passes=True,
    local_disk=False,
)
