"""Reading marks out of a judge's answer, by named rules; what none can read is told."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medray.evaluation.judging.protocol import Dimension

_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBER = r"(-?\d+(?:\.\d+)?)"
# What follows a mark: of how many, points; not a further digit, a percent sign or a range.
_OF = r"(?:\s*/\s*(\d+(?:\.\d+)?))?(?![\d.]*\d|\s*(?:%|[-–~～至到]\s*\d))"
# "Rating: 5", "**Rating**: 5/6", "评分为5分".
_SCORE_WORD = r"(?:score|rating|mark|points|grade|评分|得分|分数|总分|打分)"
_SEPARATOR = r"[\s*_`\"'”)\]]*(?:[:=]|is|为|是)?[\s*_`\"'“(\[]*"


@dataclass(frozen=True)
class Scores:
    """``values``: by dimension, None where unreadable; ``rules``: which rule read each."""

    values: Mapping[str, float | None]
    rules: Mapping[str, str]


def read_scores(text: str, dimensions: Sequence[Dimension]) -> Scores:
    """Read one mark a dimension.

    Rules, first fit wins, for each dimension alone:

    - ``json``: the last JSON object with the dimension's name or label as a key;
    - ``line``: the last "name: 2", "标签：2", "name: 2/3";
    - ``only``: where there is one dimension: the last [[7]], "score: 7", "7/10", or a text that is
      nothing but a number.

    A value off the scale (4 of 3, 2.5 of whole marks, 7/100) is ``unparsed``, like none at all.
    """
    # Full-width digits and signs become plain ones: ３／３，：.
    plain = unicodedata.normalize("NFKC", text)
    values: dict[str, float | None] = {}
    rules: dict[str, str] = {}
    for dimension in dimensions:
        rule, said = _said(plain, dimension, alone=len(dimensions) == 1)
        fits = said is not None and dimension.holds(said)
        values[dimension.name] = said if fits else None
        rules[dimension.name] = rule if fits else "unparsed"
    return Scores(values, rules)


def _said(text: str, dimension: Dimension, *, alone: bool) -> tuple[str, float | None]:
    names = {name.casefold() for name in (dimension.name, dimension.label)}
    for written in reversed(_OBJECT.findall(text)):
        said = _of_object(written, names)
        if said is not None:
            return "json", _number(said, dimension)
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    if found := _last(rf"(?<!\w)(?:{words}){_SEPARATOR}{_NUMBER}{_OF}", text, dimension):
        return "line", found[0]
    if alone:
        patterns = (
            rf"\[\[\s*{_NUMBER}{_OF}\s*\]\]",
            rf"(?<![a-z]){_SCORE_WORD}{_SEPARATOR}{_NUMBER}{_OF}",
            rf"(?<![\d.]){_NUMBER}\s*/\s*({dimension.high:g})(?![\d.]*\d)",
            rf"^\W*{_NUMBER}{_OF}\s*(?:points?|分)?\W*$",
        )
        for pattern in patterns:
            if found := _last(pattern, text, dimension):
                return "only", found[0]
    return "unparsed", None


def _of_object(written: str, names: set[str]) -> Any:
    """Return the value under one of the names in a JSON object, or None."""
    try:
        said = json.loads(written)
    except ValueError:
        return None
    keyed = {str(key).strip().casefold(): value for key, value in said.items()}
    return next((keyed[name] for name in names if keyed.get(name) is not None), None)


def _number(said: Any, dimension: Dimension) -> float | None:
    """Return a JSON value as a number: 2, "2", "2/3", {"score": 2} is none."""
    if isinstance(said, bool):
        return None
    if isinstance(said, int | float):
        try:
            value = float(said)
        except OverflowError:
            return None
        return value if math.isfinite(value) else None
    found = _last(rf"^\s*{_NUMBER}{_OF}\s*(?:points?|分)?\s*$", str(said), dimension)
    return found[0] if found else None


def _last(pattern: str, text: str, dimension: Dimension) -> tuple[float] | None:
    """Return the last match's number; of "7/100" none, where the scale ends at 10."""
    matches = list(re.finditer(pattern, text, re.IGNORECASE))
    if not matches:
        return None
    number, of = float(matches[-1][1]), matches[-1][2]
    wrong = of is not None and float(of) != dimension.high
    return (math.nan,) if wrong else (number,)
