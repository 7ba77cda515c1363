"""Charts as SVG text: no script, no font, no file from elsewhere.

Words are SVG text in the viewer's own fonts, so six scripts show wherever they show at all; ink is
``currentColor``, so a chart inside a page follows the page's light or dark colours, and a chart
opened alone follows the viewer's. Bars have titles, which readers and pointers find.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

# Okabe and Ito's palette, told apart by colour-blind readers too, on white and on black.
PALETTE = ("#E69F00", "#56B4E9", "#CC79A7", "#D55E00", "#9C8F00", "#8A8A8A", "#0072B2")
KEPT_COLOUR, DROPPED_COLOUR = "#009E73", "#999999"
FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', 'DejaVu Sans', sans-serif"
# Inside a page the rule of :root does not match; alone, the svg element is the root.
STYLE = (
    "<style>svg:root{color:#1d2733}@media (prefers-color-scheme:dark)"
    "{svg:root{color:#e6ebf0;background:#1a222b}}</style>"
)
ROW = 22.0
# Widths of characters at 12 px: as much as the widest usual fonts take.
NARROW_CHARACTER, WIDE_CHARACTER = 6.8, 12.5
LONGEST_LABEL = 160.0


def stacked_bars(
    title: str, rows: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]
) -> str:
    """Return one bar a row, 100 % long, parted by the shares of its counts, with a legend.

    ``rows``: by label, by the name of a part, a count; ``colours``: by name, in drawing order.
    """
    drawn = {label: _cut(label) for label in rows}
    width, left = 640.0, 12 + max((_width(label) for label in drawn.values()), default=0.0)
    room = width - left - 30
    present = [name for name in colours if any(row.get(name) for row in rows.values())]
    legend, top = _legend(present, colours, width)
    body = [legend]
    for number, (label, row) in enumerate(rows.items()):
        y = top + number * ROW
        body.append(_text(left - 8, y + 14, drawn[label], anchor="end"))
        total, x = sum(row.values()), left
        for name in present:
            count = row.get(name, 0)
            length = room * count / total if total else 0.0
            if count:
                tip = f"{label}, {name}: {count:,} of {total:,} ({100 * count / total:.2f} %)"
                body.append(_bar(x, y + 2, length, ROW - 6, colours[name], tip))
            x += length
    bottom = top + len(rows) * ROW
    for percent in (0, 25, 50, 75, 100):
        x = left + percent / 100 * room
        body += _tick(x, bottom, f"{percent} %")
    return _svg(title, width, bottom + 24, body)


def histogram(
    title: str,
    counts: Mapping[str, Sequence[int]],
    ticks: Mapping[int, str],
    colours: Mapping[str, str],
    mark: float | None = None,
) -> str:
    """Return counts of several groups over the same bins, on the scale of log10(1 + count).

    Logarithmic, for a filter drops a hundred documents for one that it keeps, and both must show.
    ``counts``: by group, one number a bin, all of one length; ``ticks``: labels at bins' left
    edges; ``mark``: a place on the axis, in bins, to draw a line at (a threshold).
    """
    width, bottom, left = 330.0, 138.0, 40.0
    bins = max(1, *(len(values) for values in counts.values()))
    present = [name for name in counts if any(counts[name])]
    legend, top = _legend(present, colours, width)
    # One decade at least, so that a single document is a bar and not the axis.
    decades = max(1, math.ceil(max((_height(max(counts[n])) for n in present), default=0.0)))
    scale, step = (bottom - top) / decades, (width - left - 16) / bins
    body = [legend]
    for decade in range(0, decades + 1, math.ceil((decades + 1) / 5)):
        y = bottom - _height(10**decade) * scale
        if y >= top - 1:
            body.append(_line(left, y, width - 16, y, faint=True))
            body.append(_text(left - 4, y + 4, short_number(10**decade), anchor="end", soft=True))
    for name in present:
        heights = [_height(value) * scale for value in counts[name]]
        body.append(_outline(heights, left, bottom, step, colours[name]))
    body.append(_line(left, bottom, width - 16, bottom))
    for place, label in ticks.items():
        body += _tick(left + place * step, bottom, label)
    if mark is not None:
        body.append(_line(left + mark * step, top, left + mark * step, bottom, dashed=True))
    return _svg(title, width, bottom + 24, body)


def bars(title: str, rows: Sequence[tuple[str, int, int]], colours: tuple[str, str]) -> str:
    """Return one bar a row of (label, whole, part): the whole's length, the part within it."""
    width = 330.0
    left = 12 + max((_width(_cut(label)) for label, _, _ in rows), default=0.0)
    longest = max((whole for _, whole, _ in rows), default=0) or 1
    room = width - left - 50
    body = []
    for number, (label, whole, part) in enumerate(rows):
        y = 4 + number * ROW
        tip = f"{label}: {part:,} of {whole:,}" if part != whole else f"{label}: {whole:,}"
        body.append(_text(left - 8, y + 14, _cut(label), anchor="end"))
        body.append(_bar(left, y + 2, room * whole / longest, ROW - 6, colours[1], tip))
        if part:
            body.append(_bar(left, y + 2, room * part / longest, ROW - 6, colours[0], tip))
        end = left + room * whole / longest
        body.append(_text(end + 5, y + 14, short_number(whole), soft=True))
    return _svg(title, width, 8 + len(rows) * ROW, body)


def short_number(value: float) -> str:
    """Return 999, 1.2k, 35k, 4.1M or 7G, as wide as an axis has room for."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,950 rounds to 1.0M, not to 1000k.
        if value >= limit * 0.99995:
            scaled = value / limit
            digits = f"{scaled:.1f}".removesuffix(".0") if scaled < 9.95 else f"{scaled:.0f}"
            return digits + unit
    return f"{value:g}"


def _height(count: int) -> float:
    """Return a bar's height in decades: log10(1 + count), so that nothing is 0 and one shows."""
    return math.log10(1 + count)


def _outline(heights: Sequence[float], left: float, bottom: float, step: float, colour: str) -> str:
    points = [f"M{left:.1f},{bottom:.1f}"]
    for number, height in enumerate(heights):
        points.append(f"V{bottom - height:.1f}H{left + (number + 1) * step:.1f}")
    path = "".join([*points, f"V{bottom:.1f}Z"])
    return (
        f'<path d="{path}" fill="{colour}" fill-opacity="0.25" stroke="{colour}" '
        'stroke-width="1.6" stroke-linejoin="round"/>'
    )


def _tick(x: float, bottom: float, label: str) -> list[str]:
    text = _text(x, bottom + 17, label, anchor="middle", soft=True)
    return [_line(x, bottom, x, bottom + 4), text]


def _legend(names: Sequence[str], colours: Mapping[str, str], width: float) -> tuple[str, float]:
    """Return the legend and where the space below it begins; it breaks into lines as needed."""
    parts, x, y = [], 4.0, 4.0
    for name in names:
        needed = 22 + _width(name)
        if x > 4 and x + needed > width:
            x, y = 4.0, y + 18
        parts.append(_bar(x, y, 11, 11, colours[name], name))
        parts.append(_text(x + 16, y + 10, name))
        x += needed + 6
    return "".join(parts), (y + 22 if names else y)


def _width(text: str) -> float:
    """Estimate a text's width at 12 px; characters from U+2E80 on are East Asian, and wide."""
    return sum(WIDE_CHARACTER if ord(c) >= 0x2E80 else NARROW_CHARACTER for c in text)


def _cut(label: str) -> str:
    """Return as much of a label as leaves the bars their room."""
    if _width(label) <= LONGEST_LABEL:
        return label
    kept = label
    while kept and _width(kept) + WIDE_CHARACTER > LONGEST_LABEL:
        kept = kept[:-1]
    return f"{kept}…"


def _text(x: float, y: float, text: str, anchor: str = "start", soft: bool = False) -> str:
    look = ' fill-opacity="0.75" font-size="11"' if soft else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{look}>{escape(text)}</text>'


def _bar(x: float, y: float, width: float, height: float, colour: str, tip: str) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height:.1f}" '
        f'fill="{colour}"><title>{escape(tip)}</title></rect>'
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, faint: bool = False, dashed: bool = False
) -> str:
    look = ' stroke-opacity="0.2"' if faint else ' stroke-opacity="0.7"'
    look += ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="currentColor"{look}/>'
    )


def _svg(title: str, width: float, height: float, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(title)}" '
        f'fill="currentColor" font-family="{escape(FONT)}" font-size="12">'
        f"<title>{escape(title)}</title>{STYLE}{''.join(body)}</svg>"
    )
