"""Rows of a file that another program wrote: a JSON list, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from medray.errors import InputError
from medray.storage.location import Location

Row = Mapping[str, Any]


def read_rows(place: Location) -> list[Row]:
    """Return the objects of a JSON list or of JSON Lines; InputError with the line otherwise."""
    try:
        text = place.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: cannot be read ({error})") from error
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: no JSON ({error})") from error
    else:
        # Not str.splitlines, which also cuts at U+2028, which answers hold.
        lines = enumerate(text.split("\n"), start=1)
        rows = [_object(place, number, line) for number, line in lines if line.strip()]
    if wrong := [n for n, row in enumerate(rows, start=1) if not isinstance(row, dict)]:
        raise InputError(f"{place}: row {wrong[0]} is no object; write {{...}} a row")
    if not rows:
        raise InputError(f"{place}: holds no row")
    return list(rows)


def _object(place: Location, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: line {number}: no JSON ({error}); one object a line") from error
