"""YAML files to declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration
from medray.recipe import check_config, read_yaml


def read_declarations(file: Path) -> list[Declaration]:
    """Return the benchmarks of a file.

    A file holds one, or a list ``benchmarks`` with what they have in common as ``defaults``; an
    entry of the list may be such a pair again. InputError names file, benchmark and key.
    """
    return [
        check_config(
            Declaration, tree, f"{file}: {tree.get('name', 'no name')}", whole="declaration"
        )
        for tree in _entries(read_yaml(file), {}, file)
    ]


def _entries(
    tree: Mapping[str, Any], defaults: Mapping[str, Any], file: Path
) -> Iterator[dict[str, Any]]:
    if "benchmarks" not in tree:
        yield _merged(defaults, tree)
        return
    if wrong := tree.keys() - {"benchmarks", "defaults"}:
        raise InputError(f"{file}: {min(wrong)}: beside benchmarks, only defaults may stand")
    common, entries = tree.get("defaults", {}), tree["benchmarks"]
    if not isinstance(common, Mapping) or not isinstance(entries, list):
        raise InputError(f"{file}: defaults is an object, benchmarks a list")
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise InputError(f"{file}: benchmarks: {entry!r:.60} is no object")
        yield from _entries(entry, _merged(defaults, common), file)


def _merged(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Objects in objects are joined key by key; of all else the entry's own goes."""
    merged = dict(defaults)
    for key, value in entry.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
