"""Why one document stayed or went, from the decisions alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.dataset as dataset

from medray.corpus.documents import KEPT
from medray.corpus.folders import CorpusFolders
from medray.corpus.medical.filter_config import MedicalFilterConfig
from medray.corpus.medical.keywords import KeywordList
from medray.errors import InputError
from medray.storage.location import Location

# Told before the rest, in this order.
_FIRST = ("document_id", "language", "source", "url", "text_hash")
_TOLD_APART = ("keep", "step", "reason", "copies", "keywords", "spans", "retained_id", "jaccard")


def find_decision(corpus: Location, document_id: str) -> dict[str, Any]:
    """Return a document's row of the table of decisions; InputError where there is none.

    Reads the ids of the whole table, but only those row groups that can hold this one.
    """
    folder = CorpusFolders.read(corpus).decisions
    table = dataset.dataset(folder.path, filesystem=folder.filesystem, format="parquet")
    rows = table.to_table(filter=dataset.field("document_id") == document_id).to_pylist()
    if not rows:
        raise InputError(
            f"--explain {document_id}: no such document in {folder}; its id is in the column "
            "document_id there, beside url"
        )
    row: dict[str, Any] = rows[0]
    return row


def explain(
    row: Mapping[str, Any], config: MedicalFilterConfig, keywords: KeywordList
) -> Iterator[str]:
    """Yield lines that tell a decision: what became of the document, and every score."""
    for name in _FIRST:
        value = row[name].hex() if isinstance(row[name], bytes) else row[name]
        yield f"{name}: {value}"
    if row["keep"]:
        yield f"{KEPT}: it stands in the corpus {row['copies']} times"
    else:
        yield f"went at step {row['step']}: {row['reason']}"
    if row["keyword_count"] is not None:
        yield from _filter_lines(row, config, keywords)
    if row["retained_id"] is not None:
        like = "equal" if row["reason"] == "exact_duplicate" else "nearly equal"
        yield f"{like} to {row['retained_id']}: Jaccard similarity {row['jaccard']:.3f}"
    for name, value in row.items():
        if value is not None and name not in (*_FIRST, *_TOLD_APART, *_FILTER):
            yield f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}"
    for span in row["spans"] or []:
        yield f"de-identified: {span['kind']} at characters {span['start']} to {span['end']}"


_FILTER = ("keyword_count", "density", "characters")


def _filter_lines(
    row: Mapping[str, Any], config: MedicalFilterConfig, keywords: KeywordList
) -> Iterator[str]:
    code = row["language"]
    threshold = config.thresholds[code]
    density = 0.0 if row["density"] is None else row["density"]
    yield (
        f"medical filter: {row['keyword_count']} distinct keywords "
        f"(at least {threshold.keyword_count}), density {density:.4f} "
        f"(at least {threshold.density:g}; match {config.match[code]}, "
        f"{config.density[code]}), {row['characters']} characters"
    )
    found = [keywords.words[number] for number in row["keywords"] or []]
    yield f"keywords of list {keywords.fingerprint}: {', '.join(found) or 'none'}"
