from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.filled import Filled, import_sheets
from medray.evaluation.judging.marks import Mark
from medray.evaluation.judging.protocol import load
from medray.evaluation.judging.sheet_key import SheetKey
from medray.evaluation.judging.sheets import export
from medray.storage.location import Location

Rows = list[dict[str, str]]
RATERS = ["Wang", "Li"]


def entries(systems: str = "ab", count: int = 2) -> list[Entry]:
    return [
        Entry(f"q{n}", "=Q", "R", {name: f"-{name}{n}" for name in systems}) for n in range(count)
    ]


def fill(folder: Path, rater: str, change: Callable[[Rows], Any], name: str = "") -> Location:
    """Fill in a copy of a sheet as a spreadsheet would."""
    text = (folder / f"sheet_{rater}.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    columns = list(rows[0])
    change(rows)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns)
    writer.writeheader()
    writer.writerows(rows)
    file = folder / (name or f"filled_{rater}.csv")
    file.write_bytes(stream.getvalue().encode("utf-8-sig"))
    return Location.of(file)


def all_of(column: str, value: str) -> Callable[[Rows], None]:
    return lambda rows: [row.update({column: value}) for row in rows] and None


PROTOCOLS = [
    ("bentsao", "abc"),
    ("mmedbench_rationale", "a"),
    ("medglm_short_answers", "ab"),
    ("medglm_ranking", "abc"),
    ("pairwise", "ab"),
]


@pytest.mark.parametrize(("name", "systems"), PROTOCOLS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_people_mark_comes_back_by_system(
    tmp_path_factory: pytest.TempPathFactory, name: str, systems: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("sheets")
    protocol = load(name)
    asked = entries(systems, data.draw(st.integers(1, 3)))
    seed = data.draw(st.integers(0, 99))
    key = export(asked, protocol, RATERS, Location.of(folder), seed)
    sheets = {rater: sheet for sheet, rater in key.raters.items()}
    expected: set[tuple[str, str, str, str, float]] = set()

    def mark(rater: str) -> Callable[[Rows], None]:
        def fill_in(rows: Rows) -> None:
            for item, entry in enumerate(asked):
                mine = [row for row in rows if row["item"] == str(item + 1)]
                letters = key.letters(sheets[rater], item)
                for column, cells, values in drawn(letters):
                    for row, cell in zip(mine, cells, strict=True):
                        row[column] = cell
                    expected.update((rater, entry.item_id, s, *rest) for s, *rest in values)

        return fill_in

    def drawn(letters: dict[str, str]) -> list[tuple[str, list[str], list[Any]]]:
        """What an item's rows get, and (system, dimension, value) that it stands for."""
        if protocol.kind == "pairwise":
            choice = data.draw(st.sampled_from(["A", "B", "b", "Tie", " tie "]))
            chosen = letters.get(choice.upper())
            value = 0.5 if chosen is None else float(chosen == "a")
            return [("choice", [choice], [("a", "preference", value)])]
        if protocol.kind == "ranking":
            ranks = data.draw(st.lists(st.integers(1, 3), min_size=3, max_size=3))
            mean = [sorted(ranks).index(r) + (ranks.count(r) + 1) / 2 for r in ranks]
            told = [(s, "rank", v) for s, v in zip(letters.values(), mean, strict=True)]
            return [("rank", [str(rank) for rank in ranks], told)]
        found = []
        for dimension in protocol.dimensions:
            values = [data.draw(st.sampled_from(dimension.scale)) for _ in letters]
            comma = data.draw(st.booleans())
            cells = [f"{v:g}".replace(".", ",") if comma else f"{v}" for v in values]
            told = [(s, dimension.name, v) for s, v in zip(letters.values(), values, strict=True)]
            found.append((dimension.name, cells, told))
        return found

    places = [fill(folder, rater, mark(rater)) for rater in RATERS]
    filled = import_sheets(places, SheetKey.read(Location.of(folder / "key.json")))
    found = {(m.rater, m.item_id, m.system, m.dimension, m.value) for m in filled.marks}
    assert found == expected
    assert len(filled.marks) == len(expected)
    assert filled.missing == dict.fromkeys(RATERS, 0)
    assert {(m.kind, m.protocol) for m in filled.marks} == {("human", name)}


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, SheetKey]:
    return tmp_path, export(entries(), load("pairwise"), RATERS, Location.of(tmp_path), 0)


def put(row: int, **cells: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for each in rows:
            each["choice"] = "A"
        rows[row].update(cells)

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put(1, item="9"), r"row 3: column item: no item '9'; there are 1 to 2"),
        (put(1, item="x"), r"row 3: column item: no item 'x'"),
        (put(1, item="²"), None),
        (put(1, item="1"), r"row 3: column item: 1 stands twice"),
        (put(1, choice="C"), r"row 3: column choice: 'C'; write A, B or tie"),
        (put(1, choice="AB"), r"row 3: column choice: 'AB'; write A, B or tie"),
        (put(1, choice=" "), r"row 3: column choice: no mark \(1 missing in all\); fill it in, or"),
        (put(1, sheet="s1"), r"row 3: column sheet: 's1' is no sheet of this key"),
        (lambda rows: rows.pop(), r"row 2: column choice: no mark \(2 missing in all\)"),
        (lambda rows: rows.clear(), r"row 2: holds no row"),
    ],
)
def test_a_wrong_cell_names_file_row_and_column(
    pairs: tuple[Path, SheetKey], change: Callable[[Rows], Any], told: str | None
) -> None:
    folder, key = pairs
    place = fill(folder, "Wang", change)
    if told is None:
        assert len(import_sheets([place], key).marks) == 2
        return
    with pytest.raises(InputError, match=rf"filled_Wang\.csv: {told}"):
        import_sheets([place], key)


def test_a_rater_twice_and_two_sheets_in_one_file(pairs: tuple[Path, SheetKey]) -> None:
    folder, key = pairs
    one = fill(folder, "Wang", put(0))
    two = fill(folder, "Wang", put(1), "again.csv")
    with pytest.raises(
        InputError, match=r"again\.csv: a sheet of rater Wang, whose sheet .*filled"
    ):
        import_sheets([one, two], key)
    other = next(sheet for sheet, rater in key.raters.items() if rater == "Li")
    mixed = fill(folder, "Wang", put(1, sheet=other), "mixed.csv")
    with pytest.raises(InputError, match=r"mixed\.csv: row 3: column sheet: s\w+, where the rows"):
        import_sheets([mixed], key)


def test_a_sheet_of_another_key(pairs: tuple[Path, SheetKey], tmp_path: Path) -> None:
    folder, _ = pairs
    other = export(entries(), load("pairwise"), RATERS, Location.of(tmp_path / "other"), 1)
    with pytest.raises(InputError, match=r"filled_Wang\.csv: row 2: column sheet: .* this key"):
        import_sheets([fill(folder, "Wang", put(0))], other)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("4", r"row 3: column depth: '4' is off the scale; write 0 to 3 in steps of 1"),
        ("1.5", r"row 3: column depth: '1\.5' is off the scale"),
        ("-1", r"row 3: column depth: '-1' is off"),
        ("good", r"row 3: column depth: 'good' is off"),
        ("nan", r"row 3: column depth: 'nan' is off"),
        ("1e999", r"row 3: column depth: '1e999' is off"),
        ("", r"row 3: column depth: no mark \(1 missing in all\)"),
    ],
)
def test_a_mark_off_its_scale(tmp_path: Path, cell: str, told: str) -> None:
    key = export(entries(), load("bentsao"), RATERS, Location.of(tmp_path), 0)

    def change(rows: Rows) -> None:
        for row in rows:
            row.update(completeness="3", depth="３", professionalism="2,0")
        rows[1]["depth"] = cell

    place = fill(tmp_path, "Wang", change)
    with pytest.raises(InputError, match=rf"filled_Wang\.csv: {told}"):
        import_sheets([place], key)
    if not cell:
        filled = import_sheets([place], key, allow_missing=True)
        assert (filled.missing, len(filled.marks)) == ({"Wang": 1}, 11)


def test_an_unknown_letter_and_an_answer_twice(tmp_path: Path) -> None:
    key = export(entries(), load("bentsao"), RATERS, Location.of(tmp_path), 0)
    with pytest.raises(InputError, match=r"row 2: column answer: no answer 'D'; there are A, B"):
        import_sheets([fill(tmp_path, "Wang", all_of("answer", "D"))], key)
    with pytest.raises(InputError, match=r"row 3: column item: 1A stands twice"):
        import_sheets([fill(tmp_path, "Wang", all_of("answer", "a"))], key)


def test_of_an_item_that_is_not_ranked_whole_no_rank_counts(tmp_path: Path) -> None:
    key = export(entries("abc"), load("medglm_ranking"), ["Wang"], Location.of(tmp_path), 0)

    def change(rows: Rows) -> None:
        for rank, row in zip(["1", "2", "", "1", "1", "3"], rows, strict=True):
            row["rank"] = rank

    filled: Filled = import_sheets([fill(tmp_path, "Wang", change)], key, allow_missing=True)
    assert filled.missing == {"Wang": 1}
    assert sorted((mark.item_id, mark.value) for mark in filled.marks) == [
        ("q1", 1.5), ("q1", 1.5), ("q1", 3.0),
    ]  # fmt: skip


def test_remarks_come_with_their_system(tmp_path: Path) -> None:
    key = export(entries(), load("bentsao"), ["Wang"], Location.of(tmp_path), 0)
    place = fill(tmp_path, "Wang", lambda rows: rows[0].update(remark="'=wrong dose"))
    filled = import_sheets([place], key, allow_missing=True)
    (remark,) = filled.remarks
    sheet = next(iter(key.raters))
    assert (remark.rater, remark.item_id, remark.text) == ("Wang", "q0", "=wrong dose")
    assert remark.system == key.letters(sheet, 0)["A"]
    marks: list[Mark] = filled.marks
    assert marks == []
