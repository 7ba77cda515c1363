"""All benchmarks that are declared, and their items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration, Part, Split
from medray.evaluation.benchmarks.files import Row, rows_of
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.benchmarks.mapping import item_of, with_labels_of_answers, wrong_row
from medray.evaluation.benchmarks.readers import READERS
from medray.languages import LANGUAGES
from medray.recipe import nearest, read_yaml

FOLDER = Path(__file__).with_name("declarations")


def names() -> list[str]:
    """Return the names of all declared benchmarks, families together."""
    return list(_declared())


def load(name: str) -> Declaration:
    """Return a benchmark by its name, or the one that a YAML file declares.

    InputError for an unknown name, with the nearest one, and for a wrong file, with the key.
    """
    if name.endswith((".yaml", ".yml")):
        found = read_declarations(Path(name))
        if len(found) != 1:
            raise InputError(f"{name}: declares {len(found)} benchmarks; one is wanted")
        return found[0]
    declared = _declared()
    if name not in declared:
        near = get_close_matches(name, declared, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"no benchmark {name!r}{meant}; `medray benchmark --list` names all")
    return declared[name]


@cache
def _declared() -> dict[str, Declaration]:
    found = [entry for file in sorted(FOLDER.glob("*.yaml")) for entry in read_declarations(file)]
    return {declaration.name: declaration for declaration in found}


def read_declarations(file: Path) -> list[Declaration]:
    """Return the benchmarks of a file: one, or a list ``benchmarks`` with common ``defaults``."""
    tree = read_yaml(file)
    entries = tree.pop("benchmarks", None)
    if entries is None:
        return [_checked(tree, file)]
    defaults = tree.pop("defaults", {})
    if tree:
        raise InputError(f"{file}: {', '.join(tree)}: beside benchmarks, only defaults may stand")
    return [_checked(_merged(defaults, entry), file) for entry in entries]


def _merged(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in entry.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _checked(tree: Mapping[str, Any], file: Path) -> Declaration:
    try:
        return Declaration.model_validate(tree)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        near = ""
        if fault["type"] == "extra_forbidden":
            near = nearest(str(fault["loc"][-1]), list(Declaration.model_fields))
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(f"{file}: {tree.get('name', '')}: {key}: {message}{near}") from error


def items(declaration: Declaration, data: Path, split: str | None = None) -> list[Item]:
    """Return the items of a split (default: the one that is scored), in the order of its files.

    ``data``: the folder below which the declarations' files lie. InputError where they are not
    there, with how to obtain them; for a row that does not fit; for another number of items than
    declared; for an id that is there twice.
    """
    name = split or declaration.scored_split
    if name not in declaration.splits:
        raise InputError(
            f"{declaration.name}: no split {name}; there is {', '.join(declaration.splits)}"
        )
    chosen = declaration.splits[name]
    found = [item for part in chosen.parts for item in _part(declaration, part, data, name)]
    options = declaration.columns and declaration.columns.options
    if options and options.of_answers:
        found = with_labels_of_answers(found)
    _check(declaration, chosen, name, found)
    return found


def _check(declaration: Declaration, split: Split, name: str, found: list[Item]) -> None:
    if split.count is not None and len(found) != split.count:
        raise InputError(
            f"{declaration.name}: split {name} has {len(found)} items, {split.count} are declared"
        )
    seen: set[str] = set()
    for item in found:
        if item.item_id in seen:
            raise InputError(f"{declaration.name}: split {name}: id {item.item_id} is there twice")
        seen.add(item.item_id)
        if item.language not in LANGUAGES:
            raise InputError(f"{declaration.name}: item {item.item_id}: language {item.language!r}")


def _part(declaration: Declaration, part: Part, data: Path, split: str) -> Iterator[Item]:
    if part.benchmark is not None:
        other = load(part.benchmark)
        for item in items(other, data, split if split in other.splits else None):
            if _fits(vars(item) | dict(item.groups), part):
                groups = {**item.groups, "benchmark": other.name}
                name = f"{other.name}/{item.item_id}"
                yield replace(item, item_id=name, groups=groups)
        return
    columns = declaration.columns
    assert columns is not None  # checked by Declaration
    language = part.language or declaration.language
    for file in found_files(declaration, part, data):
        for number, row in enumerate(_rows(file, part)):
            try:
                if _fits(row, part):
                    item = item_of(row, declaration, columns, language)
                    yield replace(item, groups={**item.groups, **part.groups})
            except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
                raise wrong_row(str(file), number, error) from error


def _rows(file: Path, part: Part) -> Iterator[Row]:
    if part.reader is None:
        yield from rows_of(file, part)
        return
    if part.reader not in READERS:
        raise InputError(f"no reader {part.reader}; there are {', '.join(READERS)}")
    try:
        for number, row in enumerate(READERS[part.reader](file)):
            yield {"file": file.name, "row": number} | row
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        told = f"{type(error).__name__}: {error}"
        raise InputError(f"{file}: cannot be read as {part.reader} ({told})") from error


def _fits(row: Mapping[str, Any], part: Part) -> bool:
    return all(row.get(key) == value for key, value in part.where.items())


def found_files(declaration: Declaration, part: Part, data: Path) -> list[Path]:
    """Return a part's files; InputError, with how to obtain them, where there is none."""
    files = sorted(data.glob(part.files))
    if not files:
        raise InputError(
            f"{declaration.name}: no {part.files} below {data}. To obtain it: {declaration.obtain}"
        )
    return files


def availability(declaration: Declaration, data: Path | None) -> dict[str, bool]:
    """Return for each split whether all its files lie below the data folder."""
    return {
        name: data is not None and all(_there(part, data, name) for part in split.parts)
        for name, split in declaration.splits.items()
    }


def _there(part: Part, data: Path, split: str) -> bool:
    if part.benchmark is None:
        return any(data.glob(part.files))
    other = load(part.benchmark)
    there = availability(other, data)
    return there.get(split, there[other.scored_split])
