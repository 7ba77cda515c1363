"""Sending a batch of documents through steps, one decision for every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.documents import DOCUMENT_COLUMNS, KEPT
from medray.corpus.steps import Judged, Step


@dataclass(frozen=True)
class Passed:
    """What became of a batch.

    ``decisions`` has a row for every row given: document_id, url, source, step and reason (what
    sent the document away; null and "kept" where nothing did) and every step's scores, null where
    a step did not see the row. ``documents`` has those that stay, as the steps left them.
    ``judged`` is each step's own answer, about those rows that reached it.
    """

    decisions: pa.Table
    documents: pa.Table
    judged: Mapping[str, Judged]


def send_through(steps: Sequence[Step], documents: pa.Table, language: str) -> Passed:
    """Judge a batch by the steps in order; a document sent away by one is not seen by the next.

    ``documents``: DOCUMENT_COLUMNS and, where a reader made them, ``problem``.
    """
    count = documents.num_rows
    went_by, reasons = np.full(count, None, object), np.full(count, None, object)
    texts: pa.StringArray = _whole(documents["text"])
    if "problem" in documents.column_names:
        problems = _whole(documents["problem"])
        reasons[:] = problems.to_numpy(zero_copy_only=False)
        went_by[_true(problems.is_valid())] = "read"
    alive = np.flatnonzero(went_by == None)  # noqa: E711 - elementwise
    texts = texts.take(pa.array(alive))
    scores: dict[str, pa.Array] = {}
    judged: dict[str, Judged] = {}
    for step in steps:
        said = judged[step.name] = step(texts, language)
        for name, values in said.scores.items():
            scores[name] = _scattered(values, alive, count)
        gone = _true(said.reasons.is_valid())
        reasons[alive[gone]] = said.reasons.drop_null().to_numpy(zero_copy_only=False)
        went_by[alive[gone]] = step.name
        texts = (texts if said.texts is None else said.texts).filter(pa.array(~gone))
        alive = alive[~gone]
    reasons[alive] = KEPT
    columns = {name: documents[name] for name in ("document_id", "url", "source")}
    columns["step"] = pa.array(went_by, pa.string())
    columns["reason"] = pa.array(reasons, pa.string())
    kept = documents.select(DOCUMENT_COLUMNS.names).take(pa.array(alive))
    number = kept.column_names.index("text")
    kept = kept.set_column(number, "text", texts).combine_chunks()
    return Passed(pa.table(columns | scores), kept, judged)


def count_reasons(decisions: pa.Table) -> dict[str, int]:
    """Return how many rows have each reason."""
    counted = pc.value_counts(decisions["reason"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in counted}


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; a batch is small, so the copy, where one is needed, is."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _true(mask: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    values: npt.NDArray[np.bool_] = mask.to_numpy(zero_copy_only=False)
    return values


def _scattered(values: pa.Array, rows: npt.NDArray[np.int64], count: int) -> pa.Array:
    """Return an array of ``count`` with ``values`` at ``rows`` and null elsewhere."""
    if len(rows) == count:
        return values
    places = np.zeros(count, np.int64)
    places[rows] = np.arange(len(rows))
    absent = np.ones(count, bool)
    absent[rows] = False
    return values.take(pa.array(places, mask=absent))
