"""The report: numbers of a recipe's artifacts as one dict and as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2

from medray.evaluation.charts import funnel_chart, loss_chart
from medray.languages import LANGUAGES
from medray.storage.artifact import Artifact

# What can become of a document, in the funnel's order.
STEP_TEXTS = {
    "kept": "kept",
    "read": "unreadable",
    "filter": "not medical",
    "language": "another language",
    "cleaning": "not clean text",
    "duplicates": "duplicate",
    "decontamination": "benchmark text",
    "balance": "balanced out",
}
ACCURACY_TEXTS = {
    "likelihood_accuracy": "by option likelihood",
    "generated_accuracy": "by generation",
}


def results_of(recipe: str, seed: int, parts: Mapping[str, Artifact]) -> dict[str, Any]:
    """Return the content of results.json: counts and results of each part, and ``seconds``.

    Two runs of one recipe on one machine give the same but for ``seconds``.
    """
    results: dict[str, Any] = {"recipe": recipe, "seed": seed}
    for part, artifact in parts.items():
        manifest = artifact.manifest
        results[part] = {"counts": manifest.counts, "fingerprint": manifest.fingerprint}
        results[part] |= manifest.results
    results["seconds"] = {part: artifact.manifest.seconds for part, artifact in parts.items()}
    return results


def render(recipe: str, parts: Mapping[str, Artifact]) -> str:
    """Return the page. It loads nothing from anywhere: styles and charts stand in it."""
    manifests = {part: artifact.manifest for part, artifact in parts.items()}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"estimate": _estimate, "percent": _percent, "number": _number}
    template = files("medray.evaluation") / "report.html"
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        recipe=recipe,
        parts=manifests,
        languages=LANGUAGES,
        step_texts=STEP_TEXTS,
        charts=_charts(parts),
        at_chance=_at_chance(manifests["benchmark"].results) if "benchmark" in parts else {},
    )


def _charts(parts: Mapping[str, Artifact]) -> dict[str, str]:
    charts = {}
    if "curate" in parts:
        charts["funnel"] = funnel_chart(parts["curate"].manifest.results["funnel"], STEP_TEXTS)
    for part in ("pretrain", "finetune"):
        if part in parts:
            charts[part] = loss_chart(parts[part].manifest.results)
    return charts


def _at_chance(results: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return, by the words for a way of answering, the languages that it leaves at chance.

    Those whose accuracy's interval holds that accuracy's chance; ways without any are left out.
    """
    found = {}
    for name, way in ACCURACY_TEXTS.items():
        codes = [
            code
            for code, row in results["languages"].items()
            if row[name]["n"] and row[name]["low"] <= row[name]["chance"] <= row[name]["high"]
        ]
        if codes:
            found[way] = codes
    return found


def _estimate(cell: Mapping[str, Any]) -> str:
    """Return "25.0 % [10.2, 49.5]", or a dash where nothing was measured."""
    if cell["value"] is None:
        return "–"
    value, low, high = (100 * cell[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return f"{value:,}".replace(",", "\u202f")
