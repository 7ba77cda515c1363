"""GET /v1/models and /health."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ModelCard(BaseModel):
    """One entry of GET /v1/models. ``root``: the base of an adapter, else the model itself."""

    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: Literal["medray"] = "medray"
    root: str


class ModelList(BaseModel):
    data: list[ModelCard]
    object: Literal["list"] = "list"


class Health(BaseModel):
    """The answer of GET /health while the engine runs."""

    status: Literal["ok"] = "ok"
