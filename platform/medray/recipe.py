"""The recipe: one YAML file that becomes one tree of checked configurations.

A recipe names stages; a stage names its job, which decides the type of its configuration, and
refers to earlier stages by name. An unknown key is an error that offers the nearest name.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.object_store import split_options


@dataclass(frozen=True)
class Reference:
    """Marks a field that names an earlier stage whose artifact is of one of ``kinds``."""

    kinds: tuple[str, ...]


@dataclass(frozen=True)
class InputFiles:
    """Marks a field that names input files: a path, a URI or a pattern with ``*``."""


@dataclass(frozen=True)
class InputFolder:
    """Marks a field that names a local folder that is read whole: a model's or a tokenizer's."""


@dataclass(frozen=True)
class Incidental:
    """Marks a field that changes how an artifact is made, not what is made: left out of its
    fingerprint."""


class Config(BaseModel):
    """Base of every part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageConfig(Config):
    """Base of a stage's configuration; each job has one subclass."""

    job: str = Field(description="the job that makes this stage's artifact")


class Recipe(Config):
    """A checked recipe. Stages run in the order in which they stand."""

    name: str
    seed: int
    stages: dict[str, StageConfig]


# A stage's name is its folder's name in the workspace, so it must not lead out of there.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class _RecipeFile(Config):
    name: _Name
    seed: int = 0
    stages: dict[_Name, dict[str, Any]] = Field(min_length=1)


def load_recipe(
    path: Path, overrides: Sequence[str], jobs: Mapping[str, type[StageConfig]]
) -> Recipe:
    """Read a recipe file, apply ``a.b=c`` overrides and check it all.

    ``jobs`` gives the configuration type of each job's name. Raises InputError with the file,
    the key and the remedy.
    """
    tree = _unshared(read_yaml(path))
    for override in overrides:
        _apply_override(tree, override)
    file = check_config(_RecipeFile, tree, path.name)
    stages: dict[str, StageConfig] = {}
    for name, stage in file.stages.items():
        job = str(stage.get("job", "(none given)"))
        if job not in jobs:
            near = nearest(job, list(jobs))
            raise InputError(f"{path.name}: stages.{name}.job: no job {job!r}{near}")
        config = check_config(jobs[job], stage, path.name, f"stages.{name}.")
        for key, reference, _ in references(config):
            if reference not in stages:
                near = nearest(reference, list(stages))
                raise InputError(
                    f"{path.name}: stages.{name}.{key}: no earlier stage {reference!r}{near}"
                )
        stages[name] = config
    return Recipe(name=file.name, seed=file.seed, stages=stages)


class _Loader(yaml.SafeLoader):
    """Refuses a key given twice: YAML itself keeps the last and drops the first silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                line = node.value[number][0].start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: key {key} is given twice")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; anything else is an InputError that names it."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path}: holds no mapping of keys to values")
    return tree


def _unshared(value: Any) -> Any:
    """Copy a tree so that an override of what ``*alias`` names changes that one place only."""
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unshared(inner) for inner in value]
    return value


def _apply_override(tree: dict[str, Any], override: str) -> None:
    """Set one dotted key in the raw tree; the value is read as YAML.

    A path starts at the recipe's root, or, for short, with a stage's name.
    """
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise InputError(f"--set {override}: write it as key.key=value")
    stages = tree.get("stages")
    if isinstance(stages, dict) and parts[0] in stages:
        parts = ["stages", *parts]
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is not YAML ({error})") from error
    node: Any = tree
    for depth, part in enumerate(parts[:-1]):
        node = _child(node, part, override, ".".join(parts[: depth + 1]))
    if isinstance(node, list):
        _child(node, parts[-1], override, key)
        node[int(parts[-1])] = value
    elif isinstance(node, dict):
        node[parts[-1]] = value
    else:
        raise InputError(f"--set {override}: {'.'.join(parts[:-1])} holds a value, not keys")


def _child(node: Any, part: str, override: str, where: str) -> Any:
    if isinstance(node, list):
        if not part.isdecimal() or int(part) >= len(node):
            raise InputError(f"--set {override}: {where}: the list has entries 0..{len(node) - 1}")
        return node[int(part)]
    if not isinstance(node, dict):
        raise InputError(f"--set {override}: {where}: its parent holds a value, not keys")
    if node.get(part) is None:
        node[part] = {}
    return node[part]


Model = typing.TypeVar("Model", bound=BaseModel)


def check_config(
    model: type[Model], tree: Any, source: str, prefix: str = "", whole: str = "recipe"
) -> Model:
    """Validate ``tree``; the first fault becomes an InputError: ``source``: ``prefix``key: fault.

    ``whole`` stands for the key where the fault is of no single one.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        faults = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")
        location = [str(part) for part in faults[0]["loc"]]
        key = prefix + ".".join(location)
        if faults[0]["type"] == "extra_forbidden":
            names = _field_names(model, location[:-1])
            near = nearest(location[-1], names)
            raise InputError(f"{source}: {key}: unknown key{near}") from error
        message = faults[0]["msg"].removeprefix("Value error, ")
        given = "" if faults[0]["type"] == "missing" else f" (given: {faults[0]['input']!r})"
        raise InputError(f"{source}: {key or whole}: {message}{given}") from error


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the end of a message on an unknown name: the one that was meant, or all."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names) or 'none'}"


def _field_names(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """Return the keys allowed at a place in a model, walking through lists, dicts and unions."""
    models = [model]
    for part in location:
        inner: list[type[BaseModel]] = []
        for candidate in models:
            annotation: Any = candidate
            if part in candidate.model_fields:
                annotation = candidate.model_fields[part].annotation
            inner += _models_in(annotation)
        models = inner or models
    return [name for candidate in models for name in candidate.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = typing.get_origin(annotation)
    if origin in (Annotated, list, dict, tuple, typing.Union, types.UnionType):
        return [m for argument in typing.get_args(annotation) for m in _models_in(argument)]
    return []


def _marked(config: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield (dotted key, value, markers) of every field of a config and of the configs in it."""
    for name, info in type(config).model_fields.items():
        value, key = getattr(config, name), f"{prefix}{name}"
        yield key, value, list(info.metadata)
        entries: list[tuple[str, Any]] = [(key, value)]
        if isinstance(value, list | tuple):
            entries = [(f"{key}.{i}", entry) for i, entry in enumerate(value)]
        elif isinstance(value, dict):
            entries = [(f"{key}.{k}", entry) for k, entry in value.items()]
        for entry_key, entry in entries:
            if isinstance(entry, BaseModel):
                yield from _marked(entry, f"{entry_key}.")


def references(config: StageConfig) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (key, name of the stage referred to, allowed kinds) of every reference."""
    found = []
    for key, value, markers in _marked(config):
        for marker in markers:
            if isinstance(marker, Reference) and value is not None:
                found.append((key, value, marker.kinds))
    return found


def input_patterns(config: StageConfig) -> list[tuple[str, str]]:
    """Return (key, pattern) of every input that lies outside the workspace."""
    return [
        (key, value)
        for key, value, markers in _marked(config)
        if value is not None and any(isinstance(m, InputFiles) for m in markers)
    ]


def input_folders(config: StageConfig) -> list[tuple[str, str]]:
    """Return (key, path) of every folder that lies outside the workspace."""
    return [
        (key, value)
        for key, value, markers in _marked(config)
        if value is not None and any(isinstance(m, InputFolder) for m in markers)
    ]


def identity_config(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data without its incidental fields."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    for key, _, markers in _marked(config):
        if any(isinstance(m, Incidental) for m in markers):
            node: Any = tree
            *parents, last = key.split(".")
            for parent in parents:
                node = node[int(parent)] if isinstance(node, list) else node[parent]
            del node[last]
    return tree


def expand(pattern: str, variables: Mapping[str, str], where: str) -> list[Location]:
    """Return the files that a pattern names, sorted; none is an InputError that names ``where``.

    ``${name}`` stands for a variable. On local disk (``file://`` too) ``*`` and ``?`` match inside
    one folder and ``**`` across folders; in an object store all of them match across folders.
    A store's options stand at the pattern's end: ``s3://bucket/*.parquet?region=eu-west-1``.
    """
    filled = re.sub(r"\$\{(\w+)\}", lambda m: _variable(m, variables, where), pattern)
    if filled.startswith("file://"):
        files = _local_files(unquote(filled.removeprefix("file://")))
    elif "://" in filled:
        try:
            files = _stored_files(filled)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        except (pa.ArrowInvalid, OSError) as error:
            place = split_options(filled)[0]
            raise InputError(
                f"{where}: {place} cannot be listed ({error}); check the name, the credentials, "
                "the region and the connection"
            ) from error
    else:
        files = _local_files(filled)
    if not files:
        raise InputError(f"{where}: no file matches {filled}")
    return files


def _local_files(pattern: str) -> list[Location]:
    # glob.glob, for Path.glob refuses absolute patterns.
    paths = glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207
    return [Location.of(path) for path in sorted(paths) if Path(path).is_file()]


def _stored_files(pattern: str) -> list[Location]:
    place, options = split_options(pattern)
    stem = re.split(r"[*?\[]", place, maxsplit=1)[0]
    if stem == place:
        return [Location.of(pattern)] if Location.of(pattern).is_file() else []
    above = stem.rsplit("/", 1)[0]
    folder, wanted = Location.of(above + options), place.removeprefix(above + "/")
    # What stands before the wildcards is not part of a path as it is: "anonymous@bucket".
    return [f for f in folder.files() if fnmatch.fnmatch(f.relative_to(folder), wanted)]


def expand_folder(path: str, variables: Mapping[str, str], where: str) -> Location:
    """Return the local folder that a path with variables names; none is an InputError."""
    filled = re.sub(r"\$\{(\w+)\}", lambda m: _variable(m, variables, where), path)
    folder = Location.of(filled)
    if not folder.is_local or not folder.local_path().is_dir():
        raise InputError(f"{where}: no folder {filled} on this machine")
    return folder


def _variable(match: re.Match[str], variables: Mapping[str, str], where: str) -> str:
    if match[1] not in variables:
        raise InputError(f"{where}: no variable {match[0]}; there are {', '.join(variables)}")
    return variables[match[1]]
