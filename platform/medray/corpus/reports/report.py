"""The corpus report: one page with what became of every document, and its charts as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medray.corpus.balance import BalancePlan
from medray.corpus.reports import plots
from medray.corpus.reports import report_tables as tables
from medray.corpus.reports.pages import environment
from medray.corpus.reports.statistics import DENSITY_EDGES, LENGTH_EDGES, Summary
from medray.languages import LANGUAGES

# What a page can hold and a person read; the summary has them all.
SOURCES_SHOWN, KEYWORDS_SHOWN, ITEMS_SHOWN, FOREIGN_SHOWN = 25, 15, 20, 15
GROUP_COLOURS = {tables.DROPPED: plots.DROPPED_COLOUR, tables.KEPT: plots.KEPT_COLOUR}


@dataclass(frozen=True)
class Details:
    """What the report tells beside the summary; what is empty has no place on the page.

    ``thresholds``: least density by language. ``alarms``: one line each. ``audit``: what
    ``audit_sheet.read_marked`` returned.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    alarms: Sequence[str] = ()
    balance: BalancePlan | None = None
    audit: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def charts(summary: Summary, details: Details) -> dict[str, str]:
    """Return the charts as SVG text, by name: each can stand alone as ``<name>.svg``."""
    return {
        **_funnels(summary),
        **_lengths(summary),
        **_densities(summary, details.thresholds),
        **_keywords(summary),
        **_duplicates(summary),
    }


def render(corpus: str, summary: Summary, details: Details) -> str:
    """Return ``corpus.html``. It loads nothing and runs nothing: styles and charts stand in it."""
    rows = tables.remaining(summary)
    return (
        environment()
        .get_template("corpus.html")
        .render(
            corpus=corpus,
            languages=LANGUAGES,
            codes=tables.languages_in(summary),
            charts=charts(summary, details),
            details=details,
            steps=tables.steps_in(summary),
            remaining=rows,
            total=tables.total_of(rows),
            reasons=tables.reasons(summary),
            lengths=_bin_table(tables.histogram_of(summary, "lengths"), LENGTH_EDGES.tolist()),
            densities=_bin_table(tables.histogram_of(summary, "densities"), _percents()),
            keywords=tables.top_keywords(summary, KEYWORDS_SHOWN),
            clusters=tables.cluster_bins(summary),
            similarities=tables.similarity_bins(summary),
            sources=tables.sources(summary, SOURCES_SHOWN),
            deidentified=tables.deidentified(summary),
            benchmarks=tables.benchmarks(summary),
            items=tables.top_items(summary, ITEMS_SHOWN),
            balance=tables.balance_rows(details.balance, SOURCES_SHOWN) if details.balance else [],
            shortfalls=details.balance.shortfalls[:SOURCES_SHOWN] if details.balance else [],
            foreign=tables.foreign(summary)[:FOREIGN_SHOWN],
        )
    )


def _funnels(summary: Summary) -> dict[str, str]:
    steps, counts = tables.steps_in(summary), tables.by_step(summary)
    if not counts:
        return {}
    colours = dict(zip(steps, plots.PALETTE * (1 + len(steps)), strict=False))
    colours = {tables.KEPT: plots.KEPT_COLOUR} | colours
    rows = {LANGUAGES[code].exam_name: row for code, row in counts.items()}
    made = {"funnel": plots.stacked_bars("All documents, by what became of them", rows, colours)}
    # The filter leaves 1 to 5 % of a web corpus: what the later steps did would not show.
    before = ("read", "filter")
    medical = {
        name: {part: count for part, count in row.items() if part not in before}
        for name, row in rows.items()
    }
    if any(part in colours for part in before):
        title = "Documents that passed the medical filter, by what became of them"
        made["funnel_medical"] = plots.stacked_bars(title, medical, colours)
    return made


def _lengths(summary: Summary) -> dict[str, str]:
    counts = tables.histogram_of(summary, "lengths")
    shown = tables.length_range(counts)
    ticks = {
        number - shown.start: plots.short_number(edge)
        for number, edge in enumerate(LENGTH_EDGES.tolist())
        if number in shown and edge in (1, 10, 100, 1000, 10**4, 10**5, 10**6, 10**7, 10**8)
    }
    made = {}
    for code, row in counts.items():
        cut = {name: row[name][shown.start : shown.stop] for name in GROUP_COLOURS}
        title = f"{LANGUAGES[code].exam_name}: documents by characters"
        made[f"length_{code}"] = plots.histogram(title, cut, ticks, GROUP_COLOURS)
    return made


def _densities(summary: Summary, thresholds: Mapping[str, float]) -> dict[str, str]:
    counts = tables.histogram_of(summary, "densities")
    end = tables.density_end(counts)
    bin_percent = 100 / len(DENSITY_EDGES)
    each = tables.DENSITY_TICK_BINS * (1 + end // 80)
    ticks = {number: f"{number * bin_percent:g} %" for number in range(0, end + 1, each)}
    made = {}
    for code, row in counts.items():
        # What lies beyond the axis stands in its last bin.
        cut = {name: [*row[name][: end - 1], sum(row[name][end - 1 :])] for name in GROUP_COLOURS}
        mark = thresholds[code] * len(DENSITY_EDGES) if code in thresholds else None
        title = f"{LANGUAGES[code].exam_name}: documents by keyword density"
        made[f"density_{code}"] = plots.histogram(title, cut, ticks, GROUP_COLOURS, mark)
    return made


def _keywords(summary: Summary) -> dict[str, str]:
    colours = (plots.KEPT_COLOUR, "#9fb3c4")
    return {
        f"keywords_{code}": plots.bars(
            f"{LANGUAGES[code].exam_name}: documents with a keyword", rows, colours
        )
        for code, rows in tables.top_keywords(summary, KEYWORDS_SHOWN).items()
    }


def _duplicates(summary: Summary) -> dict[str, str]:
    sizes = [(label, count, count) for label, count, _ in tables.cluster_bins(summary)]
    similar = tables.similarity_bins(summary)
    titles = {
        "clusters": ("Clusters of duplicates, by number of documents", sizes),
        "similarities": ("Removed documents, by similarity with the retained one", similar),
    }
    blue = ("#0072B2", "#0072B2")
    return {name: plots.bars(title, rows, blue) for name, (title, rows) in titles.items() if rows}


def _percents() -> list[str]:
    return [f"{100 * edge:.1f} %" for edge in DENSITY_EDGES.tolist()]


def _bin_table(
    counts: Mapping[str, Mapping[str, list[int]]], edges: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return one row for each bin that holds a document: where it begins, counts by language."""
    rows = []
    for number, edge in enumerate(edges):
        cells = {
            code: {name: row[name][number] for name in GROUP_COLOURS}
            for code, row in counts.items()
        }
        if any(count for cell in cells.values() for count in cell.values()):
            rows.append({"from": edge, "cells": cells})
    return rows
