"""The numbers of the corpus report, taken from a summary's counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from medray.corpus.balance import BalancePlan, BalanceRow
from medray.corpus.reports.statistics import (
    DENSITY_EDGES,
    JACCARD_EDGES,
    LENGTH_EDGES,
    STEPS,
    Summary,
)
from medray.languages import LANGUAGES

Row = dict[str, Any]
KEPT, DROPPED = "kept", "dropped"
OTHER = "all others"
# A histogram's axis ends where this share of every language's kept documents lies before it.
SHOWN_SHARE = 0.995
# Densities are read in steps of 5 %, ten bins of DENSITY_EDGES.
DENSITY_TICK_BINS = 10


def languages_in(summary: Summary) -> list[str]:
    """Return the languages that have documents, in their usual order."""
    present = {row["language"] for row in summary.rows("funnel")}
    return [code for code in LANGUAGES if code in present]


def steps_in(summary: Summary) -> list[str]:
    """Return the steps that sent documents away, in the order in which documents meet them."""
    present = {row["step"] for row in summary.rows("funnel") if row["step"] is not None}
    return [step for step in STEPS if step in present] + sorted(present - set(STEPS))


def by_step(summary: Summary) -> dict[str, dict[str, int]]:
    """Return documents by language and by the step that sent them away, or "kept"."""
    counts: dict[str, dict[str, int]] = {code: defaultdict(int) for code in languages_in(summary)}
    for row in summary.rows("funnel"):
        counts[row["language"]][row["step"] or KEPT] += row["documents"]
    return {code: dict(row) for code, row in counts.items()}


def remaining(summary: Summary) -> list[Row]:
    """Return one row a language: documents given, left after every step, and the corpus's size."""
    steps, counts = steps_in(summary), by_step(summary)
    sizes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in summary.rows("funnel"):
        for name in ("characters", "copies", "corpus_characters"):
            sizes[row["language"]][name] += row[name]
    rows = []
    for code, row in counts.items():
        left = documents = sum(row.values())
        after = []
        for step in steps:
            left -= row.get(step, 0)
            after.append(left)
        rows.append({"language": code, "documents": documents, "after": after, **sizes[code]})
    return rows


def total_of(rows: Iterable[Row]) -> Row:
    """Return the sum of the rows of ``remaining``."""
    listed = list(rows)
    names = ("documents", "characters", "copies", "corpus_characters")
    total: Row = {name: sum(row[name] for row in listed) for name in names}
    return total | {
        "after": [sum(left) for left in zip(*(r["after"] for r in listed), strict=True)]
    }


def reasons(summary: Summary) -> list[Row]:
    """Return one row for each step and reason: documents by language, in the steps' order."""
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in summary.rows("funnel"):
        if row["step"] is not None:
            counts[row["step"], row["reason"]][row["language"]] += row["documents"]
    place = {step: number for number, step in enumerate(steps_in(summary))}
    found = [
        {"step": step, "reason": reason, "documents": dict(row), "total": sum(row.values())}
        for (step, reason), row in counts.items()
    ]
    return sorted(found, key=lambda row: (place[row["step"]], -row["total"], row["reason"]))


def sources(summary: Summary, most: int) -> list[Row]:
    """Return the ``most`` sources with the most documents, the rest as one row, "all others".

    ``reached`` counts the documents that came as far as the search for duplicates, ``duplicates``
    those of them that it sent away.
    """
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    before = set(STEPS[: STEPS.index("duplicates")])
    for row in summary.rows("funnel"):
        into = counts[row["language"], row["source"] or ""]
        into["documents"] += row["documents"]
        into["kept"] += row["documents"] if row["step"] is None else 0
        into["reached"] += row["documents"] if row["step"] not in before else 0
        into["duplicates"] += row["documents"] if row["step"] == "duplicates" else 0
        into["corpus_characters"] += row["corpus_characters"]
    ordered = sorted(counts, key=lambda key: (-counts[key]["documents"], key))
    rows: list[Row] = [
        {"language": code, "source": source, **counts[code, source]}
        for code, source in ordered[:most]
    ]
    if rest := ordered[most:]:
        names = ("documents", "kept", "reached", "duplicates", "corpus_characters")
        other = {name: sum(counts[key][name] for key in rest) for name in names}
        rows.append({"language": None, "source": f"{OTHER} ({len(rest):,})", **other})
    return rows


def histogram_of(summary: Summary, name: str) -> dict[str, dict[str, list[int]]]:
    """Return, by language, kept and dropped documents in every bin of lengths or densities."""
    bins = len(LENGTH_EDGES) if name == "lengths" else len(DENSITY_EDGES)
    counts = {code: {KEPT: [0] * bins, DROPPED: [0] * bins} for code in languages_in(summary)}
    for row in summary.rows(name):
        counts[row["language"]][KEPT if row["kept"] else DROPPED][row["bin"]] += row["documents"]
    return counts


def length_range(counts: Mapping[str, Mapping[str, list[int]]]) -> range:
    """Return the bins from the first to the last that holds a document of any language."""
    used = [
        b for row in counts.values() for values in row.values() for b, n in enumerate(values) if n
    ]
    return range(min(used), max(used) + 1) if used else range(1)


def density_end(counts: Mapping[str, Mapping[str, list[int]]]) -> int:
    """Return how many density bins to draw: whole steps of 5 %, to SHOWN_SHARE of the kept."""
    end = DENSITY_TICK_BINS
    for row in counts.values():
        allowed = (1 - SHOWN_SHARE) * sum(row[KEPT])
        while end < len(row[KEPT]) and sum(row[KEPT][end:]) > allowed:
            end += DENSITY_TICK_BINS
    return end


def top_keywords(summary: Summary, most: int) -> dict[str, list[tuple[str, int, int]]]:
    """Return by language the keywords in most documents: (keyword, documents, kept documents)."""
    found: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in summary.rows("keywords"):
        found[row["language"]].append((row["keyword"], row["documents"], row["kept_documents"]))
    return {
        code: sorted(found[code], key=lambda entry: (-entry[1], entry[0]))[:most]
        for code in LANGUAGES
        if code in found
    }


def cluster_bins(summary: Summary) -> list[tuple[str, int, int]]:
    """Return (sizes, clusters, documents removed): 2, 3, 4, then powers of two ("5-8", "9-16")."""
    counts: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in summary.rows("clusters"):
        size = row["size"]
        last = size if size <= 4 else 2 ** (size - 1).bit_length()
        into = counts[(size if size <= 4 else last // 2 + 1, last)]
        into[0] += row["clusters"]
        into[1] += row["clusters"] * (size - 1)
    found = []
    for (first, last), (clusters, removed) in sorted(counts.items()):
        label = f"{first}" if first == last else f"{first:,}–{last:,}"
        found.append((label, clusters, removed))
    return found


def similarity_bins(summary: Summary) -> list[tuple[str, int, int]]:
    """Return (Jaccard similarity, documents, documents) of the removed, from the least found."""
    counts = [0] * len(JACCARD_EDGES)
    for row in summary.rows("jaccards"):
        counts[row["bin"]] += row["documents"]
    first = next((number for number, count in enumerate(counts) if count), len(counts))
    edges = [*JACCARD_EDGES.tolist(), 1.0]
    return [
        (f"{edges[number]:.2f}–{edges[number + 1]:.2f}", counts[number], counts[number])
        for number in range(first, len(counts))
    ]


def benchmarks(summary: Summary) -> list[Row]:
    """Return one row a benchmark: items and documents touched, documents dropped whole."""
    found: dict[str, Row] = {}
    for row in summary.rows("benchmark_items"):
        name = row["benchmark_item"].partition("/")[0]
        into = found.setdefault(
            name, {"benchmark": name, "items_found": set(), "documents": 0, "dropped_documents": 0}
        )
        into["items_found"].add(row["benchmark_item"])
        into["documents"] += row["documents"]
        into["dropped_documents"] += row["dropped_documents"]
    rows = [row | {"items_found": len(row["items_found"])} for row in found.values()]
    return sorted(rows, key=lambda row: (-row["documents"], row["benchmark"]))


def top_items(summary: Summary, most: int) -> list[Row]:
    """Return the benchmark items that touched the most documents."""
    rows = summary.rows("benchmark_items")
    return sorted(rows, key=lambda r: (-r["documents"], r["benchmark_item"], r["language"]))[:most]


def balance_rows(plan: BalancePlan, most: int) -> list[BalanceRow]:
    """Return the plan's largest groups."""
    return sorted(plan.rows, key=lambda row: (-row.available, row.language, row.source))[:most]


def deidentified(summary: Summary) -> list[Row]:
    """Return one row a kind of tag, by language its tags in kept documents and their documents."""
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in summary.rows("deidentified"):
        found[row["kind"]][row["language"]] = row
    rows = [
        {"kind": kind, "languages": cells, "spans": sum(c["spans"] for c in cells.values())}
        for kind, cells in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["spans"], row["kind"]))


def foreign(summary: Summary) -> list[Row]:
    """Return (language, detected_language, documents) of other detected languages, most first."""
    rows = [r for r in summary.rows("detected") if r["detected_language"] != r["language"]]
    return sorted(rows, key=lambda r: (-r["documents"], r["language"], r["detected_language"]))
