"""Answer files: a model's output to each item, matched to the items by their ids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, get_args

from medray.errors import InputError
from medray.evaluation.benchmarks.item import Item
from medray.storage.location import Location
from medray.storage.rows import Row, read_rows

_ID_COLUMNS = ("id", "item_id")
# What the model was given the likelihood of: the options' letters (or labels), or their texts.
Scored = Literal["letters", "texts"]


@dataclass(frozen=True)
class Prediction:
    """One row. ``output``: text, or a tag a token; ``likelihoods``: option -> natural log."""

    output: str | tuple[str, ...] | None = None
    likelihoods: Mapping[str, float] = field(default_factory=dict)
    scored: Scored = "letters"


NO_PREDICTION = Prediction()


def read_predictions(
    place: Location, items: Sequence[Item], *, all_answered: bool = False
) -> list[Prediction]:
    """Return each item's prediction, in their order; ``NO_PREDICTION`` where the file has none.

    A row of the JSON Lines (or JSON list) is ``{"id", "output"}``; output is text, or a list with a
    tag for each token of the item. Beside it or in its place may stand ``likelihoods``, option ->
    log-likelihood, with ``scored``: "letters" (the default) or "texts". Other keys are left alone.

    ``InputError``, with file and row, for an id that no item has, one that is there twice, and a
    value of another form; with ``all_answered``, for an item without a row.
    """
    known = {item.item_id: item for item in items}
    found: dict[str, Prediction] = {}
    for number, row in enumerate(read_rows(place), start=1):
        where = f"{place}: row {number}"
        name = _item_id(row, where)
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.9)
            hint = f"; did you mean {near[0]}" if near else f"; ids are like {next(iter(known))}"
            raise InputError(f"{where}: no item {name!r} in this split{hint}")
        if name in found:
            raise InputError(f"{where}: item {name} stands twice; keep one")
        found[name] = _prediction(row, known[name], where)
    missing = [name for name in known if name not in found]
    if all_answered and missing:
        raise InputError(f"{place}: {len(missing)} items have no row, the first {missing[0]}")
    return [found.get(item.item_id, NO_PREDICTION) for item in items]


def _item_id(row: Row, where: str) -> str:
    name = next((row[column] for column in _ID_COLUMNS if column in row), None)
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise InputError(f'{where}: no id; write {{"id": ..., "output": ...}}')
    return str(name)


def _prediction(row: Row, item: Item, where: str) -> Prediction:
    output, likelihoods = row.get("output"), row.get("likelihoods")
    if output is None and likelihoods is None:
        if "output" in row:
            return NO_PREDICTION  # null: asked, and not answered
        raise InputError(f"{where}: item {item.item_id} has neither output nor likelihoods")
    scored = row.get("scored", "letters")
    if scored not in get_args(Scored):
        raise InputError(f"{where}: scored is {scored!r}; write letters or texts")
    return Prediction(_output(output, item, where), _likelihoods(likelihoods, item, where), scored)


def _output(value: Any, item: Item, where: str) -> str | tuple[str, ...] | None:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise InputError(f"{where}: output is neither a text nor a list of tags")
    if not item.tokens:
        raise InputError(f"{where}: output is a list, but this benchmark marks no tokens")
    if len(value) != len(item.tokens):
        raise InputError(
            f"{where}: {len(value)} tags, but item {item.item_id} has {len(item.tokens)} tokens"
        )
    return tuple(value)


def _likelihoods(value: Any, item: Item, where: str) -> dict[str, float]:
    if value is None:
        return {}
    if not item.options or not isinstance(value, Mapping) or set(value) != set(item.options):
        options = ", ".join(item.options) or "none"
        raise InputError(f"{where}: likelihoods must name exactly the options: {options:.200}")
    for option, number in value.items():
        plain = isinstance(number, int | float) and not isinstance(number, bool)
        if not plain or math.isnan(number) or number > 0:
            raise InputError(f"{where}: likelihood of {option}: {number!r} is no log-likelihood")
    return {option: float(number) for option, number in value.items()}
