"""A score for people: lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Results = Mapping[str, Any]
# A table with more groups than this is for --json and the report.
MAXIMUM_GROUPS = 12


def lines_of(results: Results) -> Iterator[str]:
    """Yield what ``score.results_of`` returned as lines: counts, metrics, languages, groups."""
    yield (
        f"{results['benchmark']} ({results['split']}), mode {results['mode']}: "
        f"{results['items']} items, {results['missing']} missing, {results['unparsed']} unparsed"
    )
    if results["missing"]:
        yield f"missing ones are {'left out' if results['only_answered'] else 'counted as wrong'}"
    if results["as_published"]:
        yield f"as published: {results['as_published']}"
    yield f"read by: {', '.join(f'{rule} {n}' for rule, n in results['rules'].items())}"
    yield ""
    yield f"{'metric':32}{'value':>8}  {'95 % interval':17}{'n':>7}  {'guess':>6}"
    for name, cell in results["metrics"].items():
        yield _line(name, cell)
    if "macro" in results:
        yield from ["", f"mean over {len(results['languages'])} languages"]
        for name, cell in results["macro"].items():
            yield _line(name, cell)
        yield from _table("language", results["languages"])
    for name, values in results["groups"].items():
        if len(values) <= MAXIMUM_GROUPS:
            yield from _table(name, values)
        else:
            yield from ["", f"{name}: {len(values)} groups, told by --json"]
    if results["left_out"]:
        yield ""
        for name, why in results["left_out"].items():
            yield f"left out: {name}: {why}"


def run_line(run: Results) -> str:
    """Return how the answers came about, as ``running.run.told_of_run`` tells it."""
    how = f"asked {run['model']} by form {run['prompt']}, {run['way']}"
    how += f", {run['shots']} shots" if run["shots"] else ""
    how += f", the first {run['limit']} of each language" if run["limit"] else ""
    troubles = [
        f"{run[name]} {text}"
        for name, text in (
            ("refused", "refused"),
            ("cut_off", "ended at the token limit"),
            ("cut_prompts", "prompts cut"),
        )
        if run[name]
    ]
    tokens = f"{run['prompt_tokens']} + {run['completion_tokens']} tokens"
    return "; ".join([how, tokens, *troubles])


def comparison_lines(compared: Results, name: str) -> Iterator[str]:
    """Yield what ``score.compare_scores`` returned as lines."""
    yield f"less {name}, the same items; p corrected for all metrics (Holm)"
    yield f"{'metric':32}{'difference':>11}  {'95 % interval':17}{'n':>7}  {'p':>8}"
    for part, cells in compared.items():
        if part == "macro":
            yield "mean over languages"
        for metric, cell in cells.items():
            yield _comparison(metric, cell)


def _line(name: str, cell: Results) -> str:
    if cell["value"] is None:
        return f"{name:32}{'-':>8}  {'':17}{0:>7}"
    chance = f"{100 * cell['chance']:>6.1f}" if "chance" in cell else ""
    sums = ""
    if name == "points":
        sums = f"{cell['sums'][0]:g} of {cell['sums'][1]:g}"
    ends = f"{100 * cell['low']:.2f} to {100 * cell['high']:.2f}"
    return f"{name:32}{100 * cell['value']:>8.2f}  {ends:17}{cell['n']:>7}  {chance}{sums}".rstrip()


def _table(name: str, rows: Mapping[str, Results]) -> Iterator[str]:
    """Rows by group, the first metrics of each as columns."""
    metrics = list(dict.fromkeys(m for row in rows.values() for m in row["metrics"]))[:5]
    width = max(len(name), *map(len, rows)) + 2
    yield ""
    yield f"{name:{width}}{'items':>7}" + "".join(f"  {metric:>14.14}" for metric in metrics)
    for group, row in rows.items():
        cells = [row["metrics"].get(metric, {}).get("value") for metric in metrics]
        told = "".join(f"  {'-' if c is None else f'{100 * c:.2f}':>14}" for c in cells)
        yield f"{group:{width}}{row['items']:>7}{told}"


def _comparison(name: str, cell: Results) -> str:
    if cell["difference"] is None:
        return f"{name:32}{'-':>11}  {'':17}{0:>7}"
    ends = f"{100 * cell['low']:+.2f} to {100 * cell['high']:+.2f}"
    return (
        f"{name:32}{100 * cell['difference']:>+11.2f}  {ends:17}{cell['n']:>7}  "
        f"{cell['p_value_holm']:>8.4f}"
    )
