"""What lies in a row of a data file, named by a path of keys or a template of paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACE = re.compile(r"\{([^{}]+)\}")


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """Return what lies at a path of keys and list indices; ``KeyError`` names one not there.

    A path that ends in ``?`` may be missing: then None. A whole path that is itself a key of the
    row goes first (a column "No. of doses").
    """
    name = path.removesuffix("?")
    if name in row:
        return row[name]
    value: Any = row
    for key in name.split("."):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
        elif path != name:
            return None
        else:
            raise KeyError(path)
    return value


def text_at(row: Mapping[str, Any], place: str) -> str:
    """Return the text at a path, or a template's (``{context} {question}``) with its paths filled
    in; ``KeyError`` as ``value_at``."""
    if "{" in place:
        return _PLACE.sub(lambda match: text_at(row, match[1]), place)
    return text_of(value_at(row, place))


def text_of(value: Any) -> str:
    """Return a value as text: "" for null, true and false in small letters, a list by line."""
    if isinstance(value, list):
        return "\n".join(map(text_of, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def fits(
    row: Mapping[str, Any], where: Mapping[str, Any], unless: Mapping[str, Any] | None = None
) -> bool:
    """Say whether at every path of ``where`` lies the value wanted, or one of a list of them, and
    at no path of ``unless``; texts are compared, so true is "true"."""
    return all(_is(row, path, value) for path, value in where.items()) and not any(
        _is(row, path, value) for path, value in (unless or {}).items()
    )


def _is(row: Mapping[str, Any], path: str, value: Any) -> bool:
    wanted = value if isinstance(value, list) else [value]
    return text_at(row, path) in [text_of(one) for one in wanted]
