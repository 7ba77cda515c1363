"""What lies in the folders that a configuration names."""

from __future__ import annotations

import json
from pathlib import Path

from medray.models.folder import PREFIX_NAME
from serving.config import ServingConfig

LORA, PREFIX = "LORA", "PREFIX_TUNING"  # peft's names


def check_folders(config: ServingConfig) -> None:
    """``FileNotFoundError`` where a folder holds no model or adapter, ``ValueError`` for others."""
    if not (config.model / "config.json").is_file():
        raise FileNotFoundError(f"model {config.model} holds no config.json")
    folder = config.adapters
    if folder is not None and "://" not in folder and not Path(folder).is_dir():
        raise FileNotFoundError(f"adapters {folder} is no folder")
    kind = adapter_kind(config.adapter)
    if kind not in (None, LORA, PREFIX):
        raise ValueError(f"adapter {config.adapter} is {kind}; {LORA} and {PREFIX} can be served")
    if prefix_folder(config) is not None and config.engine == "vllm":
        raise ValueError("engine: a prefix is served by transformers alone, not by vllm")


def adapter_kind(folder: Path | None) -> str | None:
    """Return peft's name of what a folder holds; None without one. ``FileNotFoundError``."""
    if folder is None:
        return None
    about = folder / "adapter_config.json"
    if not about.is_file():
        raise FileNotFoundError(f"adapter {folder} holds no adapter_config.json")
    kind: str | None = json.loads(about.read_text("utf-8")).get("peft_type")
    return kind


def prefix_folder(config: ServingConfig) -> Path | None:
    """Return the prefix that an endpoint's model answers behind: its own, or ``config.adapter``.

    ``ValueError`` for two of them.
    """
    own = config.model / PREFIX_NAME
    named = config.adapter if adapter_kind(config.adapter) == PREFIX else None
    if own.is_dir() and named is not None:
        raise ValueError(f"adapter {named} is a prefix, and model {config.model} has one already")
    return own if own.is_dir() else named
