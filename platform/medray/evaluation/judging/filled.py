"""Reading filled sheets back: letters to systems, cells to marks, each doubt with its place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from medray.errors import InputError
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import PREFERENCE, Dimension
from medray.evaluation.judging.sheet_key import SheetKey
from medray.evaluation.judging.sheets import CHOICE, REMARK, TIE, fields_of
from medray.evaluation.judging.spreadsheet import read_table
from medray.storage.location import Location

Table = Mapping[tuple[int, str], "Row"]


@dataclass(frozen=True)
class Row:
    """A sheet's row: ``where`` it stands, for messages, and its cells by column."""

    where: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Remark:
    """What a rater wrote beside an answer; ``system`` is empty where it is of the whole item."""

    rater: str
    item_id: str
    system: str
    text: str


@dataclass(frozen=True)
class Filled:
    """``missing``: rater -> marks that are not there; a ranking counts an item's answers as one."""

    marks: list[Mark] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)


def import_sheets(
    places: Sequence[Location], key: SheetKey, *, allow_missing: bool = False
) -> Filled:
    """Return what people marked on filled sheets, by system.

    InputError, with file, row and column, for a sheet of another key, a rater given twice, an item
    or answer that is none or stands twice, a mark off its scale, and, unless ``allow_missing``, for
    a missing mark. Of an item that is not ranked whole no rank counts.
    """
    filled = Filled()
    given: dict[str, Location] = {}
    first_missing = ""
    for place in places:
        sheet, table = _read(place, key)
        rater = key.raters[sheet]
        if sheet in given:
            raise InputError(
                f"{place}: a sheet of rater {rater}, whose sheet {given[sheet]} is too; give each "
                "rater's once"
            )
        given[sheet] = place
        found = list(_marks(place, table, key, sheet))
        filled.marks.extend(mark for mark in found if isinstance(mark, Mark))
        missing = [mark for mark in found if isinstance(mark, str)]
        filled.missing[rater] = len(missing)
        first_missing = first_missing or next(iter(missing), "")
        filled.remarks.extend(_remarks(table, key, sheet))
    if first_missing and not allow_missing:
        count = sum(filled.missing.values())
        raise InputError(
            f"{first_missing}: no mark ({count} missing in all); fill it in, or count "
            "without it by --allow-missing"
        )
    return filled


def _read(place: Location, key: SheetKey) -> tuple[str, Table]:
    """Return a file's sheet and its rows by item's place and letter; the letter empty of pairs."""
    pairwise = key.protocol.kind == "pairwise"
    fields = [CHOICE] if pairwise else [f.name for f in fields_of(key.protocol, len(key.systems))]
    needed = ["sheet", "item", *([] if pairwise else ["answer"]), *fields]
    table: dict[tuple[int, str], Row] = {}
    sheet = ""
    for number, cells in read_table(place, needed):
        where = f"{place}: row {number}"
        said = cells["sheet"].strip()
        if said not in key.raters:
            raise InputError(
                f"{where}: column sheet: {said!r} is no sheet of this key; give the key.json that "
                "was written with the sheets"
            )
        sheet = sheet or said
        if said != sheet:
            raise InputError(
                f"{where}: column sheet: {said}, where the rows before are of {sheet}; give each "
                "rater's sheet in a file of its own"
            )
        item = _item(where, cells["item"], key)
        letter = "" if pairwise else _letter(where, cells["answer"], key, sheet, item)
        if (item, letter) in table:
            raise InputError(
                f"{where}: column item: {item + 1}{letter} stands twice; keep one of the rows"
            )
        table[item, letter] = Row(where, cells)
    if not table:
        raise InputError(f"{place}: row 2: holds no row; fill in the sheet")
    return sheet, table


def _item(where: str, said: str, key: SheetKey) -> int:
    number = _plain(said).removesuffix(".0")
    if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= len(key.items)):
        raise InputError(f"{where}: column item: no item {said!r}; there are 1 to {len(key.items)}")
    return int(number) - 1


def _letter(where: str, said: str, key: SheetKey, sheet: str, item: int) -> str:
    letters = key.letters(sheet, item)
    letter = _plain(said).upper()
    if letter not in letters:
        raise InputError(
            f"{where}: column answer: no answer {said!r}; there are {', '.join(letters)}"
        )
    return letter


def _marks(place: Location, table: Table, key: SheetKey, sheet: str) -> Iterator[Mark | str]:
    """Yield each mark, or where one is missing."""
    for item, item_id in enumerate(key.items):
        letters = key.letters(sheet, item)
        mark_of = partial(Mark, key.raters[sheet], "human", key.protocol.name, item_id)
        gone = f"{place}: item {item + 1}"
        if key.protocol.kind == "pairwise":
            row = table.get((item, ""))
            value = _preference(row, letters, key.systems[0]) if row else None
            where = f"{row.where if row else gone}: column {CHOICE}"
            yield where if value is None else mark_of(key.systems[0], PREFERENCE, value)
            continue
        for dimension in fields_of(key.protocol, len(key.systems)):
            rows = {system: table.get((item, letter)) for letter, system in letters.items()}
            values = {system: _value(row, dimension) for system, row in rows.items()}
            open_ = [
                f"{row.where if row else gone}: column {dimension.name}"
                for system, row in rows.items()
                if values[system] is None
            ]
            known = {system: value for system, value in values.items() if value is not None}
            if key.protocol.kind == "ranking":
                open_, known = open_[:1], {} if open_ else _mean_ranks(known)
            yield from open_
            for system, value in known.items():
                yield mark_of(system, dimension.name, value)


def _preference(row: Row, letters: Mapping[str, str], model: str) -> float | None:
    """Return 1 where the model is chosen, 0 where the other is, 0.5 of a tie."""
    said = _plain(row.cells[CHOICE])
    if not said:
        return None
    if said.casefold() == TIE:
        return 0.5
    if said.upper() not in letters:
        raise InputError(
            f"{row.where}: column {CHOICE}: {said!r}; write {', '.join(letters)} or {TIE}"
        )
    return 1.0 if letters[said.upper()] == model else 0.0


def _value(row: Row | None, dimension: Dimension) -> float | None:
    said = _plain(row.cells[dimension.name]) if row else ""
    if row is None or not said:
        return None
    try:
        # The comma of French, Spanish and Russian spreadsheets.
        value = float(said.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not dimension.holds(value):
        scale = f"{dimension.low:g} to {dimension.high:g} in steps of {dimension.step:g}"
        raise InputError(
            f"{row.where}: column {dimension.name}: {said!r} is off the scale; write {scale}"
        )
    return value


def _mean_ranks(ranks: Mapping[str, float]) -> dict[str, float]:
    """Return 1, 2, 3 ..., shared ranks as the mean of those they take: 1, 1, 2 is 1.5, 1.5, 3."""
    given = list(ranks.values())
    return {
        system: sum(other < rank for other in given) + (given.count(rank) + 1) / 2
        for system, rank in ranks.items()
    }


def _remarks(table: Table, key: SheetKey, sheet: str) -> Iterator[Remark]:
    for (item, letter), row in table.items():
        if text := row.cells.get(REMARK, "").strip():
            system = key.letters(sheet, item).get(letter, "")
            yield Remark(key.raters[sheet], key.items[item], system, text)


def _plain(cell: str) -> str:
    """Return a cell without blanks around it, its full-width signs plain: ３ is 3."""
    return unicodedata.normalize("NFKC", cell).strip()
