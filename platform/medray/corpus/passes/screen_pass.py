"""The third pass: what deduplication left is checked against benchmarks and de-identified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medray.corpus.decontamination import DecontaminateConfig, Decontamination
from medray.corpus.decontamination.building import VERSIONS, build_index
from medray.corpus.decontamination.evidence import JudgedByBenchmarks
from medray.corpus.dedup.deduplicate import DedupResult
from medray.corpus.deidentification.deidentify import Deidentify, DeidentifyConfig
from medray.corpus.documents import DOCUMENT_COLUMNS
from medray.corpus.passes.chain import count_reasons, send_through
from medray.corpus.passes.filter_pass import count_characters
from medray.corpus.passes.walker import Pass, Walker
from medray.corpus.steps import Step
from medray.corpus.tokens.sample import TextShard
from medray.recipe import Config
from medray.storage.location import Location
from medray.storage.parquet_shards import read_batches, whole_file
from medray.storage.shards import Receipt, Shard, ShardOutput

SOURCES = pa.schema(
    [("language", pa.string()), ("source", pa.string()), ("documents", pa.int64()),
     ("characters", pa.int64())]
)  # fmt: skip
MERGED_AT_ONCE = 64


class ScreenPassConfig(Config):
    """What is taken out of documents that are otherwise wanted."""

    decontaminate: DecontaminateConfig = Field(default=DecontaminateConfig())
    deidentify: DeidentifyConfig = Field(default=DeidentifyConfig())


def screen(
    walker: Walker,
    filtered: Pass,
    receipts: Sequence[Receipt],
    unique: Pass,
    duplicates: DedupResult,
    config: ScreenPassConfig,
    benchmarks: Mapping[str, str],
) -> tuple[Pass, list[Receipt]]:
    """Screen every document that the second pass left.

    ``receipts``: the first pass's. ``benchmarks``: the identities of the benchmarks' files.
    """
    identity = {
        "config": config.model_dump(mode="json"),
        "benchmarks": dict(benchmarks),
        "versions": VERSIONS,
    }
    with walker.begin("screened", identity, after=unique) as one:
        index = one.folder / "index"
        build_index(config.decontaminate, walker.context.files, index)
        shards = [
            whole_file(r.shard_id, filtered.table("kept", r.shard_id), r.language)
            for r in receipts
            if r.counts.get("kept")
        ]
        work = partial(screen_shard, config=config, duplicates=duplicates, index=index)
        return one, walker.walk(one, shards, work)


def screen_shard(
    shard: Shard, config: ScreenPassConfig, duplicates: DedupResult, index: Location
) -> Iterator[ShardOutput]:
    """Yield pieces of ``documents``, ``decisions``, ``sources`` and ``contamination``.

    ``shard`` is one table ``kept`` of the first pass; ``decisions`` are of the documents seen
    here. ``sources`` counts the documents and characters of each source that are left, for
    balancing; a source may stand there repeatedly. ``contamination`` tells every paragraph that
    was removed. So a document is its kept text without those paragraphs, its spans replaced.
    """
    steps = _built(config.model_dump_json(), index)
    removed = duplicates.removed(shard.file)["removed_id"].combine_chunks()
    for documents in read_batches(shard, DOCUMENT_COLUMNS.names):
        is_removed = pc.is_in(documents["document_id"], value_set=removed)
        unique = documents.filter(pc.invert(is_removed))
        passed = send_through(steps, unique, shard.language)
        decisions = passed.decisions.drop_columns(["url", "source"])
        counts = {f"screened_{reason}": n for reason, n in count_reasons(decisions).items()}
        counts["characters"] = count_characters(passed.documents)
        judged = passed.judged[steps[0].name]
        assert isinstance(judged, JudgedByBenchmarks)
        tables = {
            "contamination": judged.evidence(unique["document_id"]),
            "documents": passed.documents,
            "decisions": decisions,
            "sources": _count_sources(passed.documents, shard.language),
        }
        yield ShardOutput(tables, counts)


@cache
def _built(config_json: str, index: Location) -> tuple[Step, ...]:
    config = ScreenPassConfig.model_validate_json(config_json)
    return (Decontamination(config.decontaminate, index), Deidentify(config.deidentify))


def _count_sources(documents: pa.Table, language: str) -> pa.Table:
    sized = pa.table(
        {"source": documents["source"], "characters": pc.utf8_length(documents["text"])}
    )
    counted = sized.group_by("source", use_threads=False).aggregate(
        [("characters", "count"), ("characters", "sum")]
    )
    columns = {
        "language": pa.array([language] * counted.num_rows, pa.string()),
        "source": counted["source"],
        "documents": counted["characters_count"],
        "characters": counted["characters_sum"],
    }
    return pa.table(columns).cast(SOURCES)


def merge_sources(tables: Iterable[pa.Table]) -> pa.Table:
    """Return SOURCES with one row for each language's source."""
    remaining, total = iter(tables), SOURCES.empty_table()
    while some := list(islice(remaining, MERGED_AT_ONCE)):
        grouped = pa.concat_tables([total, *some]).group_by(SOURCES.names[:2], use_threads=False)
        total = grouped.aggregate([(name, "sum") for name in SOURCES.names[2:]])
        total = total.rename_columns(SOURCES.names)
    return total


def documents_of(screened: Pass, receipts: Sequence[Receipt]) -> list[Shard]:
    """Return the tables ``documents`` that hold any text, as shards."""
    return [
        whole_file(r.shard_id, screened.table("documents", r.shard_id), r.language)
        for r in receipts
        if r.counts["characters"]
    ]


def texts_of(screened: Pass, receipts: Sequence[Receipt]) -> list[TextShard]:
    """Return the same tables with their sizes, for drawing samples."""
    return [
        TextShard(
            r.shard_id,
            r.language,
            screened.table("documents", r.shard_id),
            r.counts.get("screened_kept", 0),
            r.counts["characters"],
        )
        for r in receipts
        if r.counts["characters"]
    ]
