from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_decisions import decision, decisions, table
from medray.corpus.reports.statistics import (
    DENSITY_EDGES,
    LENGTH_EDGES,
    MERGED_AT_ONCE,
    TABLES,
    Summary,
    merge,
    summarise,
    summarise_clusters,
    summarise_keywords,
)

ROWS = st.lists(decisions(), max_size=12)


@given(ROWS, st.integers(0, 12))
def test_parts_merge_to_the_summary_of_the_whole(rows: list[dict[str, Any]], cut: int) -> None:
    first, second = table(*rows[:cut]), table(*rows[cut:])
    whole = summarise(pa.concat_tables([first, second]))
    assert merge([summarise(first), summarise(second)]) == whole
    assert merge([summarise(second), summarise(first)]) == whole


@given(ROWS, ROWS, ROWS)
def test_merging_asks_for_no_order_and_no_grouping(
    a: list[dict[str, Any]], b: list[dict[str, Any]], c: list[dict[str, Any]]
) -> None:
    one, two, three = (summarise(table(*rows)) for rows in (a, b, c))
    assert merge([merge([one, two]), three]) == merge([one, merge([three, two])])
    assert merge([one, merge([])]) == one


@given(ROWS)
def test_a_summary_survives_json(rows: list[dict[str, Any]]) -> None:
    summary = summarise(table(*rows))
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


@given(ROWS)
def test_every_document_is_counted_once(rows: list[dict[str, Any]]) -> None:
    summary = summarise(table(*rows))
    assert sum(row["documents"] for row in summary.rows("funnel")) == len(rows)
    measured = [row for row in rows if row["characters"] is not None]
    assert sum(row["documents"] for row in summary.rows("lengths")) == len(measured)
    kept = [row for row in rows if row["keep"]]
    tags = sum(len(row["spans"] or ()) for row in kept)
    assert sum(row["spans"] for row in summary.rows("deidentified")) == tags


def test_more_summaries_than_are_held_at_once_merge() -> None:
    one = summarise(table(decision(characters=10)))
    merged = merge(one for _ in range(2 * MERGED_AT_ONCE + 3))
    assert [row["documents"] for row in merged.rows("funnel")] == [2 * MERGED_AT_ONCE + 3]


def test_the_funnel_counts_by_language_source_step_and_reason() -> None:
    summary = summarise(
        table(
            decision(characters=100, cleaned_characters=80, copies=2),
            decision(characters=50),
            decision("filter", "keyword_count", characters=7),
            decision("balance", "balance", characters=30, cleaned_characters=30, copies=0),
            decision("read", "no_text", source=None),
            decision(language="zh", characters=5, cleaned_characters=4, copies=1),
        )
    )
    found = {
        (row["language"], row["source"], row["step"], row["reason"]): (
            row["documents"],
            row["characters"],
            row["copies"],
            row["corpus_characters"],
        )
        for row in summary.rows("funnel")
    }
    # Of the two kept in English one is cleaned to 80 characters and stands twice, and of the
    # other, never balanced, all 50 stand once.
    assert found == {
        ("en", "mC4", None, "kept"): (2, 150, 3, 210),
        ("en", "mC4", "filter", "keyword_count"): (1, 7, 0, 0),
        ("en", "mC4", "balance", "balance"): (1, 30, 0, 0),
        ("en", None, "read", "no_text"): (1, 0, 0, 0),
        ("zh", "mC4", None, "kept"): (1, 5, 1, 4),
    }


@pytest.mark.parametrize("length", [0, 1, 2, 9, 10, 11, 999_999, 10**6, 10**9, 10**12])
def test_a_length_lies_in_its_bin(length: int) -> None:
    (row,) = summarise(table(decision(characters=length))).rows("lengths")
    assert (row["documents"], row["kept"]) == (1, True)
    assert LENGTH_EDGES[row["bin"]] <= length
    assert row["bin"] == len(LENGTH_EDGES) - 1 or length < LENGTH_EDGES[row["bin"] + 1]


def test_a_density_at_the_threshold_lies_in_the_bin_that_begins_there() -> None:
    """0.04 in float32 times 200 is 7.9999998, and so one bin too low if computed so."""
    for number in range(200):
        (row,) = summarise(table(decision(density=number / 200))).rows("densities")
        assert row["bin"] == number
    (row,) = summarise(table(decision(density=1.7))).rows("densities")
    assert row["bin"] == len(DENSITY_EDGES) - 1


def test_scores_of_steps_that_did_not_see_a_row_are_left_out() -> None:
    summary = summarise(table(decision("filter", "keyword_count", density=0.01, characters=3)))
    for name in ("detected", "jaccards", "benchmark_items", "deidentified"):
        assert summary.rows(name) == []
    assert len(summary.rows("densities")) == len(summary.rows("lengths")) == 1


def test_tags_are_counted_in_kept_documents_only() -> None:
    name, email = ({"kind": kind, "start": 0, "end": 4} for kind in ("NAME", "EMAIL"))
    summary = summarise(
        table(
            decision(spans=[name, name, email]),
            decision(spans=[name]),
            decision(spans=[]),
            decision("decontamination", "contaminated", spans=[name]),
        )
    )
    assert summary.rows("deidentified") == [
        {"language": "en", "kind": "EMAIL", "spans": 1, "documents": 1},
        {"language": "en", "kind": "NAME", "spans": 3, "documents": 2},
    ]


def test_benchmark_items_tell_documents_cut_and_dropped() -> None:
    summary = summarise(
        table(
            decision(benchmark_item="exam/1"),
            decision("decontamination", "contaminated", benchmark_item="exam/1"),
        )
    )
    assert summary.rows("benchmark_items") == [
        {"language": "en", "benchmark_item": "exam/1", "documents": 2, "dropped_documents": 1}
    ]


def test_keywords_and_clusters_merge_with_the_rest() -> None:
    keywords = pa.table(
        {
            "language": ["ru", "ru"],
            "keyword": ["печень", "сердц"],
            "documents": [3, 4],
            "kept_documents": [1, 2],
        }
    )
    summary = merge(
        [
            summarise_keywords(keywords),
            summarise_keywords(keywords.slice(0, 1)),
            summarise_clusters({2: 5, 7: 1}),
            summarise(table(decision())),
        ]
    )
    assert [
        (row["keyword"], row["documents"], row["kept_documents"])
        for row in summary.rows("keywords")
    ] == [("печень", 6, 2), ("сердц", 4, 2)]
    assert summary.rows("clusters") == [{"size": 2, "clusters": 5}, {"size": 7, "clusters": 1}]
    assert len(summary.rows("funnel")) == 1


def test_dictionary_and_large_columns_give_the_same_summary() -> None:
    rows = table(decision(detected_language="en"), decision("filter", "empty", source=None))
    plain = summarise(rows)
    encoded = rows.set_column(2, "source", rows["source"].dictionary_encode())
    encoded = encoded.set_column(1, "language", rows["language"].cast(pa.large_string()))
    assert summarise(encoded) == plain


def test_an_empty_shard_adds_nothing() -> None:
    empty = summarise(table())
    assert empty == merge([])
    assert all(empty.tables[name].num_rows == 0 for name in TABLES)
