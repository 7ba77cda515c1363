"""The last word on every row of the input: one table that joins what all passes said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.balance import BalanceConfig, BalancePlan, Group, copies, plan_balance
from medray.corpus.dedup.deduplicate import DedupResult
from medray.corpus.documents import BALANCED_OUT, DECISIONS, KEPT
from medray.corpus.medical.keywords import KeywordList
from medray.corpus.passes.chain import count_reasons
from medray.corpus.passes.screen_pass import merge_sources
from medray.corpus.passes.walker import Pass, Walker
from medray.corpus.reports.audit import AuditConfig, merge_samples, sample_sentences
from medray.corpus.reports.statistics import merge, summarise, summarise_keywords
from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet, read_batches, whole_file
from medray.storage.shards import Receipt, Shard, ShardOutput

KEYWORD_COUNTS = pa.schema(
    [("language", pa.string()), ("keyword", pa.string()), ("documents", pa.int64()),
     ("kept_documents", pa.int64())]
)  # fmt: skip


@dataclass(frozen=True)
class Conclusion:
    """What the earlier passes left and what is still to be decided; small, so tasks carry it.

    ``rates``: expected copies of a document by (language, source), None where every document
    stands once. ``keywords``: each language's list, in the order of the numbers in ``decisions``.
    """

    filtered: Pass
    screened: Pass
    duplicates: DedupResult
    rates: Mapping[Group, float] | None
    keywords: Mapping[str, KeywordList]
    seed: int
    audit: AuditConfig


def conclude_shard(shard: Shard, conclusion: Conclusion) -> Iterator[ShardOutput]:
    """Yield tables ``decisions`` (DECISIONS), ``summary`` and ``audit`` of one shard of the input.

    ``summary`` has one row: the shard's statistics as JSON.
    """
    language, name = shard.language, shard.shard_id
    decisions = _read(conclusion.filtered.table("decisions", name))
    decisions = _join_duplicates(decisions, conclusion, name)
    screened = conclusion.screened.table("decisions", name)
    if screened.is_file():
        decisions = _join_screening(decisions, _read(screened))
    decisions = _join_copies(decisions, language, conclusion)
    keep = pc.equal(decisions["reason"], KEPT)
    columns = {column: decisions[column] for column in decisions.column_names}
    columns |= {"keep": keep, "language": pa.array([language] * len(keep), pa.string())}
    final = pa.table(
        {
            field.name: columns.get(field.name, pa.nulls(len(keep), field.type))
            for field in DECISIONS
        }
    ).cast(DECISIONS)
    counts = {f"final_{reason}": count for reason, count in count_reasons(final).items()}
    counts["copies"] = int(pc.sum(final["copies"]).as_py() or 0)
    keywords = count_keywords(final, language, conclusion.keywords[language].words)
    summary = merge([summarise(final), summarise_keywords(keywords)])
    tables = {"decisions": final, "summary": summary.to_table()}
    yield ShardOutput(tables, counts)
    documents = conclusion.screened.table("documents", name)
    if documents.is_file():
        yield _audit(documents, final, language, conclusion)


def _read(file: Location) -> pa.Table:
    with open_parquet(file) as parquet:
        return parquet.read()


def _join_duplicates(decisions: pa.Table, conclusion: Conclusion, name: str) -> pa.Table:
    removed = conclusion.duplicates.removed(conclusion.filtered.table("kept", name))
    places = _places(decisions, removed["removed_id"])
    decisions = _override(decisions, places, removed["reason"], "duplicates")
    for column in ("retained_id", "jaccard"):
        decisions = decisions.append_column(column, removed[column].take(places))
    return decisions


def _join_screening(decisions: pa.Table, screened: pa.Table) -> pa.Table:
    places = _places(decisions, screened["document_id"])
    gone = pc.not_equal(screened["reason"], KEPT)
    went = screened.filter(gone)
    for name in screened.column_names:
        if name not in ("document_id", "step", "reason"):
            decisions = decisions.append_column(name, screened[name].take(places))
    return _override(
        decisions, _places(decisions, went["document_id"]), went["reason"], "decontamination"
    )


def _places(decisions: pa.Table, ids: pa.ChunkedArray) -> pa.Array:
    """Return of each decision where its document stands in ``ids``, null where it does not."""
    return pc.index_in(decisions["document_id"], value_set=ids.combine_chunks()).combine_chunks()


def _override(
    decisions: pa.Table, places: pa.Array, reasons: pa.ChunkedArray, step: str
) -> pa.Table:
    """Give the rows that have a place the reason at it."""
    found = pc.is_valid(places)
    new = pc.if_else(found, reasons.take(places), decisions["reason"])
    steps = pc.if_else(found, step, decisions["step"])
    names = decisions.column_names
    decisions = decisions.set_column(names.index("reason"), "reason", new)
    return decisions.set_column(names.index("step"), "step", steps)


def _join_copies(decisions: pa.Table, language: str, conclusion: Conclusion) -> pa.Table:
    """Add ``copies``: 0 of what does not stay, else what the balance gives, which may be 0 too."""
    stays = pc.equal(decisions["reason"], KEPT).to_numpy()
    number = stays.astype(np.int32)
    if conclusion.rates is not None:
        sources = decisions["source"].to_numpy(zero_copy_only=False)
        for source in sorted(set(sources[stays])):
            rows = np.flatnonzero(stays & (sources == source))
            ids = decisions["document_id"].take(pa.array(rows))
            rate = conclusion.rates[(language, source)]
            number[rows] = copies(ids, rate, conclusion.seed).to_numpy()
    out = pa.array(stays & (number == 0))
    names = decisions.column_names
    reasons = pc.if_else(out, BALANCED_OUT, decisions["reason"])
    steps = pc.if_else(out, "balance", decisions["step"])
    decisions = decisions.set_column(names.index("reason"), "reason", reasons)
    decisions = decisions.set_column(names.index("step"), "step", steps)
    return decisions.append_column("copies", pa.array(number))


def count_keywords(decisions: pa.Table, language: str, words: tuple[str, ...]) -> pa.Table:
    """Return KEYWORD_COUNTS: of each keyword, how many documents and kept documents hold it."""

    def numbers_of(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        flat = pc.list_flatten(rows["keywords"]).to_numpy().astype(np.int64)
        return np.bincount(flat, minlength=len(words))

    counted = numbers_of(decisions)
    kept = numbers_of(decisions.filter(decisions["keep"]))
    columns = [[language] * len(words), list(words), counted, kept]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=KEYWORD_COUNTS)


def _audit(
    documents: Location, final: pa.Table, language: str, conclusion: Conclusion
) -> ShardOutput:
    in_corpus = final.filter(final["keep"])["document_id"].combine_chunks()
    batches = read_batches(whole_file("audit", documents, language), ("document_id", "text"))
    sample = merge_samples(
        (
            sample_sentences(
                batch.filter(pc.is_in(batch["document_id"], value_set=in_corpus)),
                language,
                conclusion.audit,
            )
            for batch in batches
        ),
        conclusion.audit,
    )
    return ShardOutput({"audit": sample.rows}, {"sentences": sum(sample.sentences.values())})


def conclude(
    walker: Walker, shards: Sequence[Shard], conclusion: Conclusion, balance: BalanceConfig | None
) -> tuple[Pass, list[Receipt], BalancePlan | None]:
    """Balance what is left, if so wanted, and write the final decisions of every row."""
    identity = {
        "balance": balance.model_dump(mode="json") if balance else None,
        "audit": conclusion.audit.model_dump(mode="json"),
        "seed": conclusion.seed,
    }
    with walker.begin("decisions", identity, after=conclusion.screened) as one:
        plan = None
        if balance is not None:
            sources = walker.fold(conclusion.screened, "sources", merge_sources)
            plan = plan_balance(count_sources(sources), balance)
            conclusion = replace(conclusion, rates=plan.rates)
            for shortfall in plan.shortfalls:
                walker.context.log.event(f"balance: {shortfall}")
        work = partial(conclude_shard, conclusion=conclusion)
        return one, walker.walk(one, shards, work), plan


def count_sources(tables: Iterable[pa.Table]) -> dict[Group, tuple[int, int]]:
    """Return (documents, characters) of every (language, source) that SOURCES tables count."""
    return {
        (row["language"], row["source"]): (row["documents"], row["characters"])
        for row in merge_sources(tables).to_pylist()
    }
