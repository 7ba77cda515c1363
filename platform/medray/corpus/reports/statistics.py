"""What a corpus's decisions add up to: small tables of counts that merge by adding.

A shard's decisions become a ``Summary``; summaries of any number of shards merge in any order and
grouping to the same one, because every number in them is a whole-number count under a key. So no
process ever holds more than one shard's rows and a few thousand counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# The steps in the order in which a document meets them; a kept document has none.
STEPS = ("read", "filter", "language", "cleaning", "duplicates", "decontamination", "balance")

# Upper ends of the length histogram's bins, characters: 0, then eight a decade up to 10^9, the
# whole numbers among them once. Bin b holds edges[b] <= characters < edges[b + 1].
LENGTH_EDGES = np.unique(np.append(0, np.rint(10.0 ** (np.arange(73) / 8)).astype(np.int64)))
# 200 bins of half a percent: the published thresholds, 2 to 5 %, lie on edges. In float32 like
# the column, so that a density of 0.05 falls into the bin that begins with 0.05.
DENSITY_EDGES = (np.arange(200) / 200).astype(np.float32)
# 20 bins of 5 % of the Jaccard similarity with the retained document.
JACCARD_EDGES = (np.arange(20) / 20).astype(np.float32)

# Every table of a summary: the columns that are its key, and those that add up.
TABLES: dict[str, tuple[dict[str, pa.DataType], tuple[str, ...]]] = {
    "funnel": (
        {
            "language": pa.string(),
            "source": pa.string(),
            "step": pa.string(),
            "reason": pa.string(),
        },
        ("documents", "characters", "copies", "corpus_characters"),
    ),
    "lengths": (
        {"language": pa.string(), "kept": pa.bool_(), "bin": pa.int32()},
        ("documents",),
    ),
    "densities": (
        {"language": pa.string(), "kept": pa.bool_(), "bin": pa.int32()},
        ("documents",),
    ),
    "detected": (dict.fromkeys(("language", "detected_language"), pa.string()), ("documents",)),
    "jaccards": ({"language": pa.string(), "bin": pa.int32()}, ("documents",)),
    "benchmark_items": (
        dict.fromkeys(("language", "benchmark_item"), pa.string()),
        ("documents", "dropped_documents"),
    ),
    "deidentified": (dict.fromkeys(("language", "kind"), pa.string()), ("spans", "documents")),
    "keywords": (
        dict.fromkeys(("language", "keyword"), pa.string()),
        ("documents", "kept_documents"),
    ),
    "clusters": ({"size": pa.int64()}, ("clusters",)),
}
# Concatenated before they are added up: enough to keep Arrow's own costs a call small, few enough
# to stay within some MB.
MERGED_AT_ONCE = 256


@dataclass(frozen=True)
class Summary:
    """Counts by table name (the names of ``TABLES``), each table one row a key, sorted by key."""

    tables: Mapping[str, pa.Table]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``json.dump``: by table, by column, a list."""
        return {name: table.to_pydict() for name, table in self.tables.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Mapping[str, list[Any]]]) -> Summary:
        """Return the summary that ``to_json`` wrote; KeyError where a table is missing."""
        return cls({name: pa.table(dict(data[name]), schema=_schema(name)) for name in TABLES})

    def to_table(self) -> pa.Table:
        """Return one row that holds it as JSON: a table of a shard."""
        return pa.table({"json": [json.dumps(self.to_json())]})

    @classmethod
    def from_table(cls, table: pa.Table) -> Summary:
        """Return the summary that ``to_table`` made a row of."""
        return cls.from_json(json.loads(table["json"][0].as_py()))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return a table's rows."""
        rows: list[dict[str, Any]] = self.tables[name].to_pylist()
        return rows


def merge(summaries: Iterable[Summary]) -> Summary:
    """Return the sum of summaries; of none, the empty one. Holds MERGED_AT_ONCE of them."""
    remaining = iter(summaries)
    total = Summary({name: _schema(name).empty_table() for name in TABLES})
    while batch := list(islice(remaining, MERGED_AT_ONCE)):
        total = Summary(
            {
                name: _added(name, pa.concat_tables([s.tables[name] for s in (total, *batch)]))
                for name in TABLES
            }
        )
    return total


def merge_tables(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the sum of summaries that are rows, as such a row."""
    return merge(Summary.from_table(table) for table in tables).to_table()


def summarise(decisions: pa.Table) -> Summary:
    """Return the summary of one shard's final decisions.

    A document's characters in the corpus are those after cleaning where it was cleaned, times its
    copies; where ``copies`` is null (no balancing), one for a kept document and none for another.
    """
    kept = _whole(decisions["keep"])
    language = decisions["language"]
    length = pc.fill_null(_whole(decisions["characters"]), 0)
    cleaned = pc.coalesce(_whole(decisions["cleaned_characters"]), length)
    copies = pc.coalesce(_whole(decisions["copies"]).cast(pa.int64()), kept.cast(pa.int64()))
    ones = pa.array(np.ones(decisions.num_rows, np.int64))
    funnel = {name: decisions[name] for name in ("language", "source", "step", "reason")}
    funnel |= {"documents": ones, "characters": length, "copies": copies}
    funnel["corpus_characters"] = pc.multiply(cleaned, copies)
    by_kept = {"language": language, "kept": kept, "documents": ones}
    lengths = by_kept | {"bin": _bins(decisions["characters"], LENGTH_EDGES)}
    densities = by_kept | {"bin": _bins(decisions["density"], DENSITY_EDGES)}
    jaccards = {"language": language, "bin": _bins(decisions["jaccard"], JACCARD_EDGES)}
    detected = {"language": language, "detected_language": decisions["detected_language"]}
    items = {"language": language, "benchmark_item": decisions["benchmark_item"]}
    dropped = pc.equal(decisions["step"], "decontamination").fill_null(False).cast(pa.int64())
    return _summary(
        funnel=pa.table(funnel),
        lengths=_present(lengths, "bin"),
        densities=_present(densities, "bin"),
        detected=_present(detected | {"documents": ones}, "detected_language"),
        jaccards=_present(jaccards | {"documents": ones}, "bin"),
        benchmark_items=_present(
            items | {"documents": ones, "dropped_documents": dropped}, "benchmark_item"
        ),
        deidentified=_count_spans(decisions.filter(kept)),
    )


def summarise_keywords(keywords: pa.Table) -> Summary:
    """Return the summary of one shard's table (language, keyword, documents, kept_documents)."""
    return _summary(keywords=keywords)


def summarise_clusters(sizes: Mapping[int, int]) -> Summary:
    """Return the summary of clusters of duplicates: by number of documents, how many clusters.

    A cluster is a retained document and those removed for it. Its rows lie in many shards, so the
    search for duplicates counts it (``DedupResult.cluster_sizes``), and this is added once.
    """
    counted = {"size": list(sizes), "clusters": list(sizes.values())}
    return _summary(clusters=pa.table(counted, schema=_schema("clusters")))


def _summary(**tables: pa.Table) -> Summary:
    return Summary(
        {
            name: _added(name, tables[name]) if name in tables else _schema(name).empty_table()
            for name in TABLES
        }
    )


def _schema(name: str) -> pa.Schema:
    keys, sums = TABLES[name]
    return pa.schema([*keys.items(), *((column, pa.int64()) for column in sums)])


def _added(name: str, rows: pa.Table) -> pa.Table:
    """Add up the rows of each key and sort by it, so that equal counts are equal tables."""
    keys, sums = TABLES[name]
    rows = rows.select(_schema(name).names).cast(_schema(name))
    grouped = rows.group_by(list(keys), use_threads=False).aggregate([(s, "sum") for s in sums])
    grouped = grouped.rename_columns([*keys, *sums])
    order = pc.sort_indices(grouped, [(key, "ascending") for key in keys])
    return grouped.take(order).cast(_schema(name)).combine_chunks()


def _present(columns: Mapping[str, Any], name: str) -> pa.Table:
    """Return the rows whose ``name`` is not null: those that the step which writes it saw."""
    table = pa.table(dict(columns))
    return table.filter(table[name].is_valid())


def _bins(values: pa.ChunkedArray, edges: npt.NDArray[Any]) -> pa.Array:
    """Return the number of each value's bin, null for null; the last bin is open upwards."""
    whole = _whole(values)
    numbers = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)
    bins = np.searchsorted(edges, numbers, side="right") - 1
    absent = whole.is_null().to_numpy(zero_copy_only=False)
    return pa.array(np.maximum(bins, 0).astype(np.int32), mask=absent)


def _count_spans(documents: pa.Table) -> pa.Table:
    """Return one row for each kind in each document, and one span for each."""
    spans = _whole(documents["spans"])
    rows = pc.list_parent_indices(spans)
    pairs = pa.table(
        {
            "row": rows,
            "language": _whole(documents["language"]).take(rows),
            "kind": pc.list_flatten(spans).field("kind"),
            "spans": _ones(len(rows)),
        }
    )
    by_document = pairs.group_by(["row", "language", "kind"], use_threads=False)
    counted = by_document.aggregate([("spans", "sum")]).rename_columns(
        ["row", "language", "kind", "spans"]
    )
    return counted.append_column("documents", _ones(counted.num_rows))


def _ones(count: int) -> pa.Array:
    return pa.array(np.ones(count, np.int64))


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
