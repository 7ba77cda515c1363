"""Ray Serve's config files (`serve deploy FILE`), read strictly.

Serve's own schema lets unknown keys pass, so that `num_replicaz: 2` would deploy one replica.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from ray.runtime_env import RuntimeEnv
from ray.serve.schema import ServeDeploySchema

from serving.application import ACCOUNTS, DEPLOYMENT
from serving.config import ServingConfig

IMPORT_PATH = "serving.application:build"
# Said once, by Serve's own keys: of ``args`` they would say nothing.
SERVE_SAYS = {"host": "http_options.host", "port": "http_options.port"}


def read_deploy_file(path: Path) -> list[ServingConfig]:
    """Return the models that the file deploys, each with the address and route it will have.

    Raises ``ValueError``, one line with file, key and remedy: no YAML, an unknown key anywhere, a
    value that Serve or ``ServingConfig`` refuses, an application that is not medray's.
    """
    try:
        read = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict):
        raise ValueError(f"{path}: not a Serve config file: it has no keys")
    for problem in unknown_keys(ServeDeploySchema, read, ""):
        raise ValueError(f"{path}: {problem}")
    try:
        schema = ServeDeploySchema.model_validate(read)
    except ValidationError as error:
        raise ValueError(f"{path}: {_first(error)}") from None
    return [
        _served_model(path, f"applications.{place}", application, read.get("http_options", {}))
        for place, application in enumerate(schema.model_dump(exclude_unset=True)["applications"])
    ]


def _served_model(
    path: Path, where: str, application: Mapping[str, Any], http: Mapping[str, Any]
) -> ServingConfig:
    if application["import_path"] != IMPORT_PATH:
        found = application["import_path"]
        raise ValueError(f"{path}: {where}.import_path: {found}; medray's is {IMPORT_PATH}")
    for deployment in application.get("deployments", ()):
        if deployment["name"] not in (DEPLOYMENT, ACCOUNTS):
            found = deployment["name"]
            raise ValueError(f"{path}: {where}.deployments: no {found}: {DEPLOYMENT}, {ACCOUNTS}")
    arguments = dict(application.get("args", {}))
    for name in ("host", "port", "route_prefix"):
        if name in arguments:
            remedy = SERVE_SAYS.get(name, f"{where}.{name}")
            raise ValueError(f"{path}: {where}.args.{name}: say it as {remedy}")
    arguments |= {name: http[name] for name in ("host", "port") if name in http}
    arguments["route_prefix"] = application.get("route_prefix", "/")
    try:
        return ServingConfig.model_validate(arguments)
    except ValidationError as error:
        raise ValueError(f"{path}: {where}.args.{_first(error)}") from None


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place or 'file'}: {' '.join(str(fault['msg']).split())}"


def unknown_keys(model: type[BaseModel], data: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield a problem for each key of ``data``, however deep, that ``model`` has no field for."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    fields |= model.model_fields
    for key, value in data.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            yield f"{place}: unknown key{_nearest(str(key), fields)}"
        elif key == "runtime_env" and isinstance(value, Mapping):
            known = RuntimeEnv.known_fields
            for inner in value.keys() - known:
                yield f"{place}.{inner}: unknown key{_nearest(str(inner), known)}"
        else:
            for inner_model in _models_in(fields[key].annotation):
                for inner_place, inner in _mappings_in(value, place):
                    yield from unknown_keys(inner_model, inner, inner_place)


def _nearest(key: str, known: Any) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the pydantic models in a field's type: X, X | None, list[X]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, list):
        for argument in get_args(annotation):
            yield from _models_in(argument)


def _mappings_in(value: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        yield place, value
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _mappings_in(inner, f"{place}.{number}")
