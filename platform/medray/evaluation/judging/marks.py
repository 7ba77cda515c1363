"""Marks of raters, people and model judges alike: one value a rater, answer and dimension."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from medray.errors import InputError
from medray.evaluation.judging.entries import read_rows
from medray.evaluation.judging.pairwise import Pair
from medray.evaluation.judging.protocol import PREFERENCE
from medray.storage.location import Location


@dataclass(frozen=True)
class Mark:
    """One mark.

    ``value``: on the dimension's scale; of a ranking the rank, shared ones as their mean; of a
    pairwise judgement the model's score (1 win, 0.5 tie, 0 lose; of two orders their mean), told
    of the model alone. ``protocol``: its name, with which marks are kept apart.
    """

    rater: str
    kind: Literal["human", "model"]
    protocol: str
    item_id: str
    system: str
    dimension: str
    value: float


def of_pairs(pairs: Iterable[Pair], judge: str, protocol: str, model: str) -> list[Mark]:
    """Return a model judge's pairwise verdicts as marks; an unparsed item has none."""
    return [
        Mark(judge, "model", protocol, pair.item_id, model, PREFERENCE, pair.mean_score)
        for pair in pairs
        if pair.mean_score is not None
    ]


def write_marks(place: Location, marks: Sequence[Mark]) -> None:
    """Write one JSON object a line."""
    lines = [json.dumps(asdict(mark), ensure_ascii=False) + "\n" for mark in marks]
    place.write_bytes("".join(lines).encode())


def read_files(places: Sequence[Location]) -> list[Mark]:
    """Return the marks of several files, of one protocol.

    InputError, with file and row, for what is no mark, for a mark that stands twice, and for
    another protocol than the first file's.
    """
    found: dict[tuple[str, str, str, str], Mark] = {}
    protocol = ""
    for place in places:
        for number, row in enumerate(read_rows(place), start=1):
            where = f"{place}: row {number}"
            mark = _mark(where, dict(row))
            protocol = protocol or mark.protocol
            if mark.protocol != protocol:
                raise InputError(
                    f"{where}: marks by the protocol {mark.protocol}, where the first are by "
                    f"{protocol}; give files of one protocol"
                )
            key = (mark.rater, mark.item_id, mark.system, mark.dimension)
            if key in found:
                raise InputError(
                    f"{where}: {mark.rater} marks item {mark.item_id}, {mark.system}, "
                    f"{mark.dimension} twice; give each rater's marks once"
                )
            found[key] = mark
    return list(found.values())


def _mark(where: str, row: dict[str, Any]) -> Mark:
    try:
        mark = Mark(**row)
    except TypeError as error:
        raise InputError(
            f"{where}: no mark ({error}); give the marks.jsonl that medray judge wrote"
        ) from error
    texts = (mark.rater, mark.protocol, mark.item_id, mark.system, mark.dimension)
    if (
        not all(isinstance(text, str) for text in texts)
        or mark.kind not in ("human", "model")
        or isinstance(mark.value, bool)
        or not isinstance(mark.value, int | float)
    ):
        raise InputError(f"{where}: no mark; give the marks.jsonl that medray judge wrote")
    return mark
