"""What a person reads of a corpus: the page with its charts, and the sheet for the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

import pyarrow as pa

from medray.corpus.decontamination.sample import write_sample
from medray.corpus.dedup.deduplicate import DedupResult
from medray.corpus.passes.walker import Pass
from medray.corpus.reports.audit import AuditConfig, Sample, merge_samples
from medray.corpus.reports.audit_sheet import to_csv, to_html
from medray.corpus.reports.report import Details, charts, render
from medray.corpus.reports.statistics import Summary, merge, summarise_clusters
from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet
from medray.storage.shards import Receipt

FOLDER = "report"


def write_report(
    output: Location,
    corpus: str,
    concluded: Pass,
    duplicates: DedupResult,
    details: Details,
) -> Summary:
    """Write ``report/corpus.html``, its charts and ``summary.json``; return the summary."""
    clusters = summarise_clusters(duplicates.cluster_sizes)
    summary = merge([merge(_summaries(concluded)), clusters])
    folder = output / FOLDER
    for file in folder.files():
        if file.name.endswith(".svg"):
            file.delete_file()
    (folder / "summary.json").write_json(summary.to_json())
    (folder / "corpus.html").write_bytes(render(corpus, summary, details).encode())
    for name, picture in charts(summary, details).items():
        (folder / f"{name}.svg").write_bytes(picture.encode())
    return summary


def _summaries(concluded: Pass) -> Iterator[Summary]:
    for _, file in concluded.tables("summary"):
        yield Summary.from_json(json.loads(_read(file)["json"][0].as_py()))


def write_audit(
    output: Location,
    corpus: str,
    concluded: Pass,
    receipts: Sequence[Receipt],
    config: AuditConfig,
) -> Sample:
    """Write ``report/audit.csv`` and ``report/audit.html``, the sheets to mark."""
    sentences: dict[str, int] = {}
    for receipt in receipts:
        told = sentences.get(receipt.language, 0) + receipt.counts.get("sentences", 0)
        sentences[receipt.language] = told
    samples = merge_samples(_samples(concluded), config)
    sample = Sample(samples.rows, {code: n for code, n in sorted(sentences.items()) if n})
    _keep_marks(output / FOLDER / "audit.csv", to_csv(sample))
    (output / FOLDER / "audit.html").write_bytes(to_html(sample, corpus).encode())
    return sample


def _keep_marks(sheet: Location, new: bytes) -> None:
    """Write a sheet; one that somebody marked where it lay stays beside it, under its hash."""
    if sheet.is_file() and (old := sheet.read_bytes()) != new:
        name = f"audit-{hashlib.sha256(old).hexdigest()[:8]}.csv"
        (sheet.parent / name).write_bytes(old)
    sheet.write_bytes(new)


def write_contamination(output: Location, corpus: str, screened: Pass, seed: int) -> None:
    """Write ``report/contamination.csv`` and ``.html``: a sample of what benchmarks took out."""
    tables = (_read(file) for _, file in screened.tables("contamination"))
    write_sample(tables, output / FOLDER, corpus, seed)


def _read(file: Location) -> pa.Table:
    with open_parquet(file) as parquet:
        return parquet.read()


def _samples(concluded: Pass) -> Iterator[Sample]:
    for _, file in concluded.tables("audit"):
        yield Sample(_read(file), {})
