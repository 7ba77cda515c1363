"""What a person reads of a corpus: the page with its charts, and the sheet for the audit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from medray.corpus.decontamination.sample import (
    FlaggedSample,
    draw_sample_row,
    merge_flagged,
    write_sample,
)
from medray.corpus.dedup.deduplicate import DedupResult
from medray.corpus.passes.walker import Pass, Walker
from medray.corpus.reports.audit import AuditConfig, Sample, merge_sample_rows
from medray.corpus.reports.audit_sheet import to_csv, to_html
from medray.corpus.reports.report import Details, charts, render
from medray.corpus.reports.statistics import Summary, merge, merge_tables, summarise_clusters
from medray.storage.location import Location
from medray.storage.shards import Receipt

FOLDER = "report"
# Removed paragraphs that a reader is shown of each language.
FLAGGED_PER_LANGUAGE = 50


def write_report(
    walker: Walker, concluded: Pass, duplicates: DedupResult, details: Details
) -> Summary:
    """Write ``report/corpus.html``, its charts and ``summary.json``; return the summary."""
    output, corpus = walker.context.output, walker.context.recipe.name
    summaries = map(Summary.from_table, walker.fold(concluded, "summary", merge_tables))
    summary = merge([merge(summaries), summarise_clusters(duplicates.cluster_sizes)])
    folder = output / FOLDER
    for file in folder.files():
        if file.name.endswith(".svg"):
            file.delete_file()
    (folder / "summary.json").write_json(summary.to_json())
    (folder / "corpus.html").write_bytes(render(corpus, summary, details).encode())
    for name, picture in charts(summary, details).items():
        (folder / f"{name}.svg").write_bytes(picture.encode())
    return summary


def write_audit(
    walker: Walker, concluded: Pass, receipts: Sequence[Receipt], config: AuditConfig
) -> Sample:
    """Write ``report/audit.csv`` and ``report/audit.html``, the sheets to mark."""
    output, corpus = walker.context.output, walker.context.recipe.name
    sentences: dict[str, int] = {}
    for receipt in receipts:
        told = sentences.get(receipt.language, 0) + receipt.counts.get("sentences", 0)
        sentences[receipt.language] = told
    merge_rows = partial(merge_sample_rows, config=config)
    rows = merge_rows(walker.fold(concluded, "audit", merge_rows))
    sample = Sample(rows, {code: n for code, n in sorted(sentences.items()) if n})
    _keep_marks(output / FOLDER / "audit.csv", to_csv(sample))
    (output / FOLDER / "audit.html").write_bytes(to_html(sample, corpus).encode())
    return sample


def _keep_marks(sheet: Location, new: bytes) -> None:
    """Write a sheet; one that somebody marked where it lay stays beside it, under its hash."""
    if sheet.is_file() and (old := sheet.read_bytes()) != new:
        name = f"audit-{hashlib.sha256(old).hexdigest()[:8]}.csv"
        (sheet.parent / name).write_bytes(old)
    sheet.write_bytes(new)


def write_contamination(walker: Walker, screened: Pass) -> None:
    """Write ``report/contamination.csv`` and ``.html``: a sample of what benchmarks took out."""
    seed, per_language = walker.context.seed, FLAGGED_PER_LANGUAGE
    draw = partial(draw_sample_row, seed=seed, per_language=per_language)
    made_from = {"seed": seed, "per_language": per_language}
    folded = walker.fold(screened, "contamination", draw, made_from)
    sample = merge_flagged(map(FlaggedSample.from_table, folded), seed, per_language)
    write_sample(sample, walker.context.output / FOLDER, walker.context.recipe.name)
