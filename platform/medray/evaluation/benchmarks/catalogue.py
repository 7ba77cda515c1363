"""All benchmarks that are declared, and their items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration, Part, Split
from medray.evaluation.benchmarks.files import rows_of
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.benchmarks.mapping import as_choices, item_of, with_labels_of_answers
from medray.evaluation.benchmarks.paths import fits
from medray.evaluation.benchmarks.yaml_files import read_declarations

FOLDER = Path(__file__).with_name("declarations")


def names() -> list[str]:
    """Return the names of all declared benchmarks, families together."""
    return [name for members in families().values() for name in members]


def families() -> dict[str, list[str]]:
    """Return family -> names of its benchmarks, in the order of the files."""
    found: dict[str, list[str]] = {}
    for declaration in _declared().values():
        found.setdefault(declaration.family, []).append(declaration.name)
    return found


def load(name: str) -> Declaration:
    """Return a declared benchmark, or one of a YAML file: ``ward.yaml``, ``ward.yaml:surgery``.

    InputError for an unknown name, with the nearest one, and for a wrong file, with the key.
    """
    file, _, wanted = name.partition(":")
    if file.endswith((".yaml", ".yml")):
        return _of_file(Path(file), wanted)
    declared = _declared()
    if name not in declared:
        near = get_close_matches(name, declared, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}" if near else ""
        raise InputError(f"no benchmark {name!r}{meant}; `medray benchmark --list` names all")
    return declared[name]


def _of_file(file: Path, wanted: str) -> Declaration:
    declared = read_declarations(file)
    found = [entry for entry in declared if wanted in ("", entry.name)]
    if len(found) != 1:
        told = ", ".join(entry.name for entry in declared)
        raise InputError(f"{file}: declares {told}; name one: {file}:NAME")
    return found[0]


@cache
def _declared() -> Mapping[str, Declaration]:
    found: dict[str, Declaration] = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        for declaration in read_declarations(file):
            if declaration.name in found:
                raise InputError(f"{file}: {declaration.name} is declared in another file too")
            found[declaration.name] = declaration
    return MappingProxyType(found)


def items(declaration: Declaration, data_folder: Path, split: str | None = None) -> list[Item]:
    """Return the items of a split (default: the one that is scored), in the order of its files.

    ``data_folder``: what the declarations' files lie below. InputError where they are not there,
    with how to obtain them; for a row that does not fit, with file and row; for another number of
    items than declared; for an id that is there twice.
    """
    name = split or declaration.scored_split
    if name not in declaration.splits:
        there = ", ".join(declaration.splits)
        raise InputError(f"{declaration.name}: no split {name}; there is {there}")
    chosen = declaration.splits[name]
    found = [
        item for part in chosen.parts for item in _part(declaration, chosen, part, data_folder)
    ]
    options = declaration.columns and declaration.columns.options
    if options and options.of_answers:
        found = with_labels_of_answers(found)
    _check(declaration, name, found)
    return found


def _check(declaration: Declaration, name: str, found: list[Item]) -> None:
    place = f"{declaration.name}: split {name}"
    count = declaration.splits[name].count
    if not found or count not in (None, len(found)):
        raise InputError(f"{place} has {len(found)} items, {count or 'some'} are declared")
    seen: set[str] = set()
    for item in found:
        if item.item_id in seen:
            raise InputError(f"{place}: id {item.item_id} is there twice")
        seen.add(item.item_id)
    if name == declaration.scored_split and (gone := set(declaration.void) - seen):
        raise InputError(f"{place}: void names {min(gone)}, which is not there")


def _part(declaration: Declaration, split: Split, part: Part, data_folder: Path) -> Iterator[Item]:
    if part.benchmark is not None:
        yield from _of_other(declaration, part, load(part.benchmark), data_folder)
        return
    for file in _files(declaration, part, data_folder):
        for number, row in enumerate(rows_of(file, part)):
            try:
                if fits(row, part.where, part.unless):
                    yield item_of(row, declaration, split, part)
            except KeyError as error:
                raise InputError(f"{file}: row {number}: no column {error}") from error
            except (ValueError, TypeError, AttributeError) as error:
                raise InputError(f"{file}: row {number}: {error}") from error


def _of_other(
    declaration: Declaration, part: Part, other: Declaration, data_folder: Path
) -> Iterator[Item]:
    """The other benchmark's scored items, by group ``benchmark``, in this one's form."""
    for item in items(other, data_folder):
        known = vars(item) | dict(item.groups)
        if fits(known, part.where, part.unless):
            lettered = declaration.form in ("choice", "choices") and item.form == "label"
            yield replace(
                as_choices(item) if lettered else item,
                item_id=f"{other.name}/{item.item_id}",
                form=declaration.form,
                groups={**item.groups, **part.groups, "benchmark": other.name},
            )


def _files(declaration: Declaration, part: Part, data_folder: Path) -> list[Path]:
    files = sorted(data_folder.glob(part.files))
    if not files:
        raise InputError(
            f"{declaration.name}: no {part.files} below {data_folder}. "
            f"To obtain it: {declaration.obtain}"
        )
    if part.one_file and len(files) > 1:
        told = ", ".join(str(file.relative_to(data_folder)) for file in files)
        raise InputError(f"{declaration.name}: {told}: one of these is to stay")
    return files


@dataclass(frozen=True)
class Availability:
    """Which of a benchmark's files lie in a data folder.

    ``ready``: the split that is scored can be read. ``missing``: split -> the patterns that match
    no file; a split that can be read has none. ``obtain``: how to get the data.
    """

    ready: bool
    missing: Mapping[str, tuple[str, ...]]
    obtain: str


def availability(declaration: Declaration, data_folder: Path | None) -> Availability:
    """Say which splits can be read from a data folder; of no folder, none."""
    missing = {
        name: tuple(told for part in split.parts for told in _missing(part, data_folder))
        for name, split in declaration.splits.items()
    }
    return Availability(not missing[declaration.scored_split], missing, declaration.obtain)


def _missing(part: Part, data_folder: Path | None) -> tuple[str, ...]:
    if part.benchmark is not None:
        other = load(part.benchmark)
        return availability(other, data_folder).missing[other.scored_split]
    if data_folder is not None and any(data_folder.glob(part.files)):
        return ()
    return (part.files,)
