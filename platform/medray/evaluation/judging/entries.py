"""What is to be judged: each question with the answers of one or several systems."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medray.errors import InputError
from medray.storage.location import Location

Row = Mapping[str, Any]
ID_COLUMNS = ("id", "item_id")
OUTPUT_COLUMNS = ("output", "response", "generated")
QUESTION_COLUMNS = ("question", "instruction", "problem_text")
REFERENCE_COLUMNS = ("reference", "rationale")


@dataclass(frozen=True)
class Entry:
    """One item. ``answers``: by system; ``reference``: the right answer or rationale, or empty."""

    item_id: str
    question: str
    reference: str
    answers: Mapping[str, str]


@dataclass(frozen=True)
class AnswerFile:
    """A system's name and where its answers lie."""

    system: str
    place: Location

    @classmethod
    def of(cls, text: str) -> AnswerFile:
        """Return NAME=FILE, or a file whose name (without ending) is the system's."""
        name, separator, path = text.partition("=")
        if separator and name and path and "/" not in name:
            return cls(name, Location.of(path))
        place = Location.of(text)
        return cls(place.name.rsplit(".", 1)[0] or place.name, place)


def read_entries(
    files: Sequence[AnswerFile], questions: Location | None = None, *, needs_reference: bool = False
) -> list[Entry]:
    """Return the items, in the order of the first file, each with every system's answer.

    A file is JSON Lines or a JSON list. A row has ``output`` (or response, generated), ``id`` (or
    item_id), and, in it or in the row of that id in ``questions``, ``question`` (or instruction
    with input; options are put below) and ``reference`` (or rationale). Where a file has no ids,
    as AlpaCare's have none, all files are paired by their rows' place, which takes files of one
    length and, where others have ids, a question in every row.

    InputError, with file and item, for a system named twice, an item that stands twice or that
    another system lacks, one that is asked differently, and one without question or reference.
    """
    named = [file.system for file in files]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise InputError(f"two answer files are of the system {twice}; write NAME=FILE")
    rows = [(file.place, read_rows(file.place)) for file in files]
    if questions is not None:
        rows.append((questions, read_rows(questions)))
    by_id = all(_named(row, ID_COLUMNS) is not None for _, table in rows for row in table)
    if not by_id:
        _pair_by_place(rows)
    tables = [(place, _by_item(place, table, by_id)) for place, table in rows]
    systems, asked = tables[: len(files)], tables[len(files) :]
    first_place, first = systems[0]
    for place, table in systems[1:]:
        _same_items(first_place, first, place, table)
    return [_entry(item, named, [*systems, *asked], len(files), needs_reference) for item in first]


def _entry(
    item: str,
    named: Sequence[str],
    tables: Sequence[tuple[Location, Mapping[str, Row]]],
    systems: int,
    needs_reference: bool,
) -> Entry:
    there = [(place, table[item]) for place, table in tables if item in table]
    question, reference = "", ""
    for place, row in there:
        said = question_of(row)
        if said and question and said.split() != question.split():
            raise InputError(
                f"{place}: item {item} asks something else than in {there[0][0]}; give every "
                "file's rows the id of their question"
            )
        question = question or said
        reference = reference or str(_named(row, REFERENCE_COLUMNS) or "")
    first_place = there[0][0]
    if not question.strip():
        raise InputError(
            f"{first_place}: item {item} has no question; add {' or '.join(QUESTION_COLUMNS)}, or "
            "give the questions' file with --questions"
        )
    if needs_reference and not reference.strip():
        raise InputError(
            f"{first_place}: item {item} has no reference, which this protocol needs; add "
            f"{' or '.join(REFERENCE_COLUMNS)} here or in the file of --questions"
        )
    answers = {}
    for name, (place, row) in zip(named, there[:systems], strict=True):
        output = _named(row, OUTPUT_COLUMNS)
        if output is None:
            raise InputError(
                f"{place}: item {item} has no answer; add {' or '.join(OUTPUT_COLUMNS)}"
            )
        answers[name] = output if isinstance(output, str) else json.dumps(output)
    return Entry(item, question, reference, answers)


def question_of(row: Row) -> str:
    """Return what a row asks, with its input and its options; empty where it asks nothing."""
    question = str(_named(row, QUESTION_COLUMNS) or "")
    if row.get("input"):
        question = f"{question}\n\n{row['input']}".strip()
    options = row.get("options")
    if question and isinstance(options, Mapping):
        question += "\n" + "\n".join(f"{letter}. {text}" for letter, text in options.items())
    return question


def _named(row: Row, columns: Sequence[str]) -> Any:
    return next((row[name] for name in columns if row.get(name) is not None), None)


def _by_item(place: Location, rows: Sequence[Row], by_id: bool) -> dict[str, Row]:
    table: dict[str, Row] = {}
    for number, row in enumerate(rows, start=1):
        item = str(_named(row, ID_COLUMNS)) if by_id else str(number)
        if item in table:
            raise InputError(f"{place}: row {number}: item {item} stands twice; keep one")
        table[item] = row
    return table


def _pair_by_place(tables: Sequence[tuple[Location, Sequence[Row]]]) -> None:
    """InputError where the rows of some files cannot be told to be those of the others."""
    first_place, first = tables[0]
    with_ids = any(_named(row, ID_COLUMNS) is not None for _, table in tables for row in table)
    for place, table in tables:
        if len(table) != len(first):
            raise InputError(
                f"{place}: {len(table)} rows, and {first_place} has {len(first)}; rows without "
                f"{' or '.join(ID_COLUMNS)} pair by their place: give files of the same items"
            )
        asked = [bool(question_of(row)) for row in table]
        if with_ids and not all(asked):
            raise InputError(
                f"{place}: row {asked.index(False) + 1}: no question, and not every file's rows "
                f"have {' or '.join(ID_COLUMNS)}; give every row one of them"
            )


def _same_items(
    first_place: Location, first: Mapping[str, Row], place: Location, table: Mapping[str, Row]
) -> None:
    for one, other, lacking in ((first, table, place), (table, first, first_place)):
        if missing := [item for item in one if item not in other]:
            raise InputError(
                f"{lacking}: no answer to item {missing[0]}, which another system answers "
                f"({len(missing)} such); judge answers to the same items"
            )


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
