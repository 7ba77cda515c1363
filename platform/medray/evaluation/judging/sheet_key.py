"""The key of blinded sheets: which letter is which system, for each rater and item."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal

from pydantic import Field, model_validator

from medray.errors import InputError
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.protocol import Protocol
from medray.recipe import Config, check_config
from medray.storage.location import Location

KEY_NAME = "key.json"


class SheetKey(Config):
    """What turns letters back into systems. Whoever marks must not see it.

    ``raters``: sheet -> rater; ``items``: item 1, 2 ... of the sheets; ``orders``: sheet -> item's
    place -> places in ``systems`` of the answers A, B ...
    """

    version: Literal[1] = 1
    protocol: Protocol
    systems: list[str] = Field(min_length=1, max_length=len(ascii_uppercase))
    seed: int
    raters: dict[str, str] = Field(min_length=1)
    items: list[str] = Field(min_length=1)
    orders: dict[str, list[list[int]]]

    @model_validator(mode="after")
    def _is_whole(self) -> SheetKey:
        places = list(range(len(self.systems)))
        for sheet in self.raters:
            orders = self.orders.get(sheet, [])
            if len(orders) != len(self.items) or any(sorted(o) != places for o in orders):
                raise ValueError(f"orders.{sheet} has not every system of every item once")
        return self

    def letters(self, sheet: str, item: int) -> dict[str, str]:
        """Return letter -> system of an item by its place, in the order of the letters."""
        order = self.orders[sheet][item]
        return {ascii_uppercase[n]: self.systems[place] for n, place in enumerate(order)}

    def write(self, place: Location) -> None:
        place.write_bytes((self.model_dump_json(indent=1) + "\n").encode())

    @classmethod
    def read(cls, place: Location) -> SheetKey:
        """Read a key; InputError names file and key."""
        try:
            tree = json.loads(place.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"{place}: cannot be read as a key ({error}); give the {KEY_NAME} that was written "
                "with the sheets"
            ) from error
        return check_config(cls, tree, str(place), whole="key")


def draw_key(
    entries: Sequence[Entry], protocol: Protocol, raters: Sequence[str], seed: int
) -> SheetKey:
    """Draw each rater's order of the answers to each item, each order with the same chance.

    Every rater has an order of their own, so that a letter's place favours no system in the mean.
    InputError for a rater named twice, and for systems too few or too many.
    """
    # Some file systems do not tell sheet_Wang from sheet_wang.
    folded = [name.casefold() for name in raters]
    if twice := next((name for name in raters if folded.count(name.casefold()) > 1), None):
        raise InputError(f"--raters: {twice} is named twice; give each rater a name of their own")
    systems = list(entries[0].answers)
    _check_systems(systems, protocol)
    about = [protocol.model_dump(mode="json"), [[e.item_id, dict(e.answers)] for e in entries]]
    content = json.dumps([about, seed], sort_keys=True)
    sheets = {_sheet_of(content, rater): rater for rater in raters}
    return SheetKey(
        protocol=protocol,
        systems=systems,
        seed=seed,
        raters=sheets,
        items=[entry.item_id for entry in entries],
        orders={sheet: _orders(sheet, seed, len(entries), len(systems)) for sheet in sheets},
    )


def _check_systems(systems: Sequence[str], protocol: Protocol) -> None:
    if protocol.kind == "pairwise" and len(systems) != 2:
        raise InputError(f"--answers: {protocol.name} compares two systems, not {len(systems)}")
    if protocol.kind == "ranking" and len(systems) < 2:
        raise InputError(f"--answers: {protocol.name} ranks several systems, not one")
    if len(systems) > len(ascii_uppercase):
        raise InputError(f"--answers: {len(systems)} systems; a sheet has letters for 26")


def _sheet_of(content: str, rater: str) -> str:
    """Name a sheet; the letter before it keeps a spreadsheet from reading 12e45678 as a number."""
    return "s" + hashlib.sha256(json.dumps([content, rater]).encode()).hexdigest()[:12]


def _orders(sheet: str, seed: int, items: int, systems: int) -> list[list[int]]:
    generator = random.Random(f"{seed} {sheet}")
    return [generator.sample(range(systems), systems) for _ in range(items)]
