"""Finding the entities that a generated answer lists."""

from __future__ import annotations

import json
import re

# What MedS-Ins teaches to write where there is none; its own spelling is one of the two.
EMPTY = re.compile(
    r"^\W*(?:there (?:is|are) no (?:\w+ )?ene?tit(?:y|ies)|none|no (?:\w+ )?entit(?:y|ies)"
    r"|n/?a|无|没有|なし|нет)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^[^:\n]{0,40}\b(?:entit(?:y|ies)|output|answer)\b[^:\n]{0,20}:\s*", re.IGNORECASE
)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


def entities(text: str) -> tuple[tuple[str, ...], str]:
    """Return the entities of an answer, each once, in their order, and the rule that read it.

    Rules: ``json`` (a list of strings), ``none`` (it says that there is none), ``lines`` (one a
    line or bullet), ``commas`` ("aspirin, ibuprofen."; also ";"). An empty text is ``unparsed``.
    A comma inside a name (2,4-dinitrophenol) parts nothing: only one with a blank does. One sign
    at the end of the list is dropped.
    """
    said = text.strip()
    if not said:
        return (), "unparsed"
    listed = _json_list(said)
    if listed is not None:
        return _once(listed), "json"
    said = _LABEL.sub("", said, count=1)
    if EMPTY.match(said):
        return (), "none"
    lines = [_BULLET.sub("", line) for line in said.splitlines() if line.strip()]
    if len(lines) > 1:
        return _once(lines), "lines"
    return _once(re.split(r",\s+|;\s*|[、，；]", lines[0] if lines else "")), "commas"


def _json_list(text: str) -> list[str] | None:
    start, end = text.find("["), text.rfind("]")
    if not (0 <= start < end and (start == 0 or text[0] in "{`")):
        return None
    try:
        said = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(part, str) for part in said):
        return None
    return list(said)


def _once(parts: list[str]) -> tuple[str, ...]:
    cleaned = [re.sub(r"[.;,。]$", "", part.strip()).strip().strip("\"'`") for part in parts]
    return tuple(dict.fromkeys(part for part in cleaned if part))
