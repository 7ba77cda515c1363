"""The first pass again with other thresholds, from its decisions instead of from the text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.medical.medical_filter import MedicalFilter
from medray.corpus.passes.chain import count_reasons, send_through
from medray.corpus.passes.filter_pass import FirstPass, count_characters
from medray.corpus.readers import read_documents
from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet
from medray.storage.shards import Shard, ShardOutput

Mask = npt.NDArray[np.bool_]


def rethreshold_shard(shard: Shard, first: FirstPass, before: Location) -> Iterator[ShardOutput]:
    """Yield the tables that ``filter_shard`` would make, from those that it made in ``before``.

    ``before`` is the folder of a finished first pass that differs in the filter's thresholds
    alone. Text is read again only of documents that the filter had sent away and now lets in;
    the count ``read_again`` tells how many.
    """
    decisions, kept = _table(before, "decisions", shard), _table(before, "kept", shard)
    medical_filter = first.steps()[0]
    steps = decisions["step"].to_pylist()
    reasons = medical_filter.rethreshold(decisions, shard.language).to_pylist()
    judged = np.array([step != "read" for step in steps], bool)
    goes = judged & np.array([reason is not None for reason in reasons], bool)
    had_gone = np.array([step == medical_filter.name for step in steps], bool)
    comes_in = had_gone & ~goes
    gone = _gone(decisions.filter(pa.array(goes)), medical_filter, shard.language)
    stays = decisions.filter(pa.array(~goes & ~comes_in))
    new = [_let_in(shard, first, decisions, comes_in)] if comes_in.any() else []
    all_decisions = pa.concat_tables([gone, stays, *(entry[0] for entry in new)])
    order = pc.index_in(decisions["document_id"], all_decisions["document_id"])
    all_decisions = all_decisions.take(order)
    kept = pa.concat_tables([kept, *(entry[1] for entry in new)])
    places = pc.index_in(decisions["document_id"], kept["document_id"])
    kept = kept.take(places.filter(pc.equal(all_decisions["reason"], "kept")))
    counts = {"documents": decisions.num_rows} | count_reasons(all_decisions)
    counts["kept_characters"] = count_characters(kept)
    counts["read_again"] = int(comes_in.sum())
    yield ShardOutput({"decisions": all_decisions, "kept": kept}, counts)


def _table(before: Location, name: str, shard: Shard) -> pa.Table:
    with open_parquet(before / name / f"{shard.shard_id}.parquet") as parquet:
        return parquet.read()


def _gone(decisions: pa.Table, medical_filter: MedicalFilter, language: str) -> pa.Table:
    """Return decisions of rows that the filter sends away: no later step has seen them."""
    always = ("document_id", "url", "source", "text_hash", *medical_filter.scores)
    columns = {}
    for field in decisions.schema:
        if field.name in always:
            columns[field.name] = decisions[field.name]
        else:
            columns[field.name] = pa.nulls(decisions.num_rows, field.type)
    columns["step"] = pa.array([medical_filter.name] * decisions.num_rows, pa.string())
    columns["reason"] = medical_filter.rethreshold(decisions, language)
    return pa.table(columns, schema=decisions.schema)


def _let_in(
    shard: Shard, first: FirstPass, decisions: pa.Table, comes_in: Mask
) -> tuple[pa.Table, pa.Table]:
    """Read the shard's text again and judge the rows that come in by the steps after the filter."""
    later = first.steps()[1:]
    row, new, kept = 0, [], []
    for documents in read_documents(shard, first.inputs[shard.origin]):
        rows = comes_in[row : row + documents.num_rows]
        passed = send_through(later, documents.filter(pa.array(rows)), shard.language)
        old = decisions.slice(row, documents.num_rows).filter(pa.array(rows))
        columns = {
            name: (passed.decisions if name in passed.decisions.column_names else old)[name]
            for name in decisions.column_names
        }
        new.append(pa.table(columns, schema=decisions.schema))
        kept.append(passed.documents)
        row += documents.num_rows
    return pa.concat_tables(new), pa.concat_tables(kept)
