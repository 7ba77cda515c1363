"""Tables of final decisions, made up: what the tests of statistics and reports share."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

SPAN = pa.struct([("kind", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
DECISIONS = pa.schema(
    [
        ("document_id", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("step", pa.string()),
        ("keyword_count", pa.int32()),
        ("density", pa.float32()),
        ("characters", pa.int64()),
        ("cleaned_characters", pa.int64()),
        ("detected_language", pa.string()),
        ("language_confidence", pa.float32()),
        ("retained_id", pa.string()),
        ("jaccard", pa.float32()),
        ("benchmark_item", pa.string()),
        ("spans", pa.list_(SPAN)),
        ("copies", pa.int32()),
    ]
)


def decision(step: str | None = None, reason: str = "kept", **fields: Any) -> dict[str, Any]:
    """Return a row; what is not named is null, but for the columns that every row has."""
    row: dict[str, Any] = dict.fromkeys(DECISIONS.names)
    row |= {"document_id": "d", "language": "en", "source": "mC4", "url": "u"}
    return row | {"keep": step is None, "step": step, "reason": reason} | fields


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=DECISIONS)


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def decisions(draw: st.DrawFn) -> dict[str, Any]:
    """Any row that the stage can write, and some that it cannot."""
    step, reason = draw(
        st.sampled_from(
            [
                (None, "kept"),
                ("filter", "keyword_count"),
                ("filter", "keyword_density"),
                ("duplicates", "near_duplicate"),
                ("decontamination", "contaminated"),
                ("balance", "balance"),
            ]
        )
    )
    kind = st.sampled_from(["NAME", "EMAIL"])
    span = st.fixed_dictionaries({"kind": kind, "start": st.just(0), "end": st.just(1)})
    return decision(
        step,
        reason,
        language=draw(st.sampled_from(["en", "zh"])),
        source=draw(_maybe(st.sampled_from(["mC4", "OSCAR", ""]))),
        density=draw(_maybe(st.floats(0, 2, width=32))),
        characters=draw(_maybe(st.integers(0, 10**12))),
        cleaned_characters=draw(_maybe(st.integers(0, 10**12))),
        detected_language=draw(_maybe(st.sampled_from(["en", "de"]))),
        jaccard=draw(_maybe(st.floats(0, 1, width=32))),
        benchmark_item=draw(_maybe(st.sampled_from(["a/1", "b/2"]))),
        spans=draw(_maybe(st.lists(span, max_size=3))),
        copies=draw(_maybe(st.integers(0, 3))),
    )
