"""The report's charts, as SVG text that stands inside the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

# Okabe and Ito's palette, told apart by colour-blind readers too.
COLOURS = {
    "kept": "#009E73",
    "read": "#999999",
    "filter": "#56B4E9",
    "language": "#E69F00",
    "cleaning": "#F0E442",
    "duplicates": "#CC79A7",
    "decontamination": "#D55E00",
    "balance": "#0072B2",
    "loss": "#0072B2",
    "validation_loss": "#D55E00",
}


def _figure(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("svg")
    # Equal data give equal bytes: matplotlib's ids are random without a salt.
    mpl.rcParams |= {"svg.hashsalt": "medray", "svg.fonttype": "none", "font.size": 10}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    text = stream.getvalue()
    return text[text.index("<svg") :]


def loss_chart(results: Mapping[str, Any]) -> str:
    """Return the curves of training loss and, where measured, validation loss over steps."""
    figure, axes = _figure(6.4, 3.0)
    curves: dict[str, Sequence[Sequence[float]]] = {
        "loss": results["loss"],
        "validation_loss": results.get("validation_loss", []),
    }
    for name, points in curves.items():
        if points:
            steps, values = zip(*points, strict=True)
            label = name.replace("_", " ")
            marker = "o" if len(points) < 20 else ""
            axes.plot(
                steps, values, marker=marker, markersize=3.5, color=COLOURS[name], label=label
            )
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("nats per token")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False)
    return _svg(figure)


def funnel_chart(funnel: Mapping[str, Mapping[str, int]], texts: Mapping[str, str]) -> str:
    """Return one bar a language: its documents, parted by the step that sent them away.

    ``funnel``: by language, ``documents`` and how many of them ended at each key of ``texts``.
    """
    figure, axes = _figure(6.4, 0.6 + 0.4 * len(funnel))
    codes = list(funnel)[::-1]
    left = [0.0] * len(codes)
    for step in texts:
        totals = [max(1, funnel[code]["documents"]) for code in codes]
        shares = [
            100 * funnel[code][step] / total for code, total in zip(codes, totals, strict=True)
        ]
        if any(shares):
            axes.barh(codes, shares, left=left, color=COLOURS[step], label=texts[step])
            left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of documents")
    figure.legend(frameon=False, ncols=4, loc="outside upper left", fontsize=9)
    return _svg(figure)
