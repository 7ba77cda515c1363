"""The HTML pages of the corpus stage: their templates, and how they write numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

NOTHING = "–"


@cache
def environment() -> jinja2.Environment:
    """Return the templates' environment: every value is escaped, a missing one is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("medray.corpus.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "estimate": estimate}
    made.globals |= {"percent": percent}
    return made


def number(value: float | None) -> str:
    """Return a count with narrow blanks between thousands, or a dash for None."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\u202f")


def percent(part: float, whole: float) -> str:
    """Return "12.3 %": two digits that say something where it is small, a dash of nothing."""
    if not whole:
        return NOTHING
    share = 100 * part / whole
    if share == 0 or share >= 9.95:
        return f"{share:.1f} %"
    return f"{share:.2g} %" if share >= 0.001 else "< 0.001 %"


def estimate(cell: Mapping[str, Any]) -> str:
    """Return "98.0 % [93.0, 99.4]" of {value, low, high}, or a dash where nothing was measured."""
    if cell["value"] is None:
        return NOTHING
    value, low, high = (100 * cell[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"
