"""Judges' answers that another program wrote down, to be measured without asking anybody."""

from __future__ import annotations

from medray.errors import InputError
from medray.evaluation.judging.entries import read_rows
from medray.evaluation.judging.pairwise import Pair, outcome
from medray.evaluation.judging.verdicts import Mode, read_verdict
from medray.storage.location import Location

_ID_COLUMNS = ("id", "item_id", "model_output_id")
_TEXT_COLUMNS = ("response", "output", "answer")


def read_recorded(
    model_first: Location, reference_first: Location, mode: Mode = "correct"
) -> list[Pair]:
    """Return the items of two files of a judge's answers: the model's output shown first, and last.

    JSON or JSON Lines; a row has ``response`` (``output``, ``answer``) and, where one file has it,
    ``model_output_id`` (``id``, ``item_id``), by which the rows are paired; else rows are paired by
    their place, as AlpaCare's files are. InputError for files that do not pair.
    """
    first, second = (_texts(place) for place in (model_first, reference_first))
    for one, other, place in (
        (first, second, reference_first),
        (second, first, model_first),
    ):
        if missing := [item for item in one if item not in other]:
            raise InputError(
                f"{place}: no answer about item {missing[0]}, which the other file has; give both "
                "orders of the same items"
            )
    return [
        Pair(
            item,
            outcome(read_verdict(text, mode).choice, model_first=True),
            outcome(read_verdict(second[item], mode).choice, model_first=False),
        )
        for item, text in first.items()
    ]


def _texts(place: Location) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, row in enumerate(read_rows(place), start=1):
        text_column = next((name for name in _TEXT_COLUMNS if name in row), None)
        if text_column is None:
            raise InputError(f"{place}: row {number}: no {' or '.join(_TEXT_COLUMNS)}")
        item = next((str(row[name]) for name in _ID_COLUMNS if name in row), str(number))
        if item in texts:
            raise InputError(f"{place}: row {number}: item {item} stands twice; keep one")
        texts[item] = str(row[text_column] or "")
    return texts
