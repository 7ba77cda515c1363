"""The model card: what a model was made from and by what, in the folder that others load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

LIBRARIES = ("medray", "torch", "transformers", "peft", "deepspeed")


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is made.

    ``fingerprint``: of the stage, which is the hash of configuration and inputs. ``inputs``: their
    identities by the key that names them.
    """

    stage: str
    recipe: str
    fingerprint: str
    inputs: Mapping[str, str]
    config: Mapping[str, Any]
    base: str = ""
    library: str = "transformers"
    languages: tuple[str, ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``README.md``, as the hub reads it."""
        (folder / "README.md").write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        head: dict[str, Any] = {"library_name": self.library, "tags": ["medray", "medical"]}
        if self.languages:
            head["language"] = list(self.languages)
        if self.base:
            head["base_model"] = self.base
        inputs = "".join(f"| {key} | `{identity}` |\n" for key, identity in self.inputs.items())
        results = "".join(f"| {key} | {value} |\n" for key, value in self.results.items())
        config = yaml.safe_dump(dict(self.config), sort_keys=True, allow_unicode=True)
        versions = ", ".join(f"{name} {found}" for name in LIBRARIES if (found := _version(name)))
        return (
            f"---\n{yaml.safe_dump(head, sort_keys=True)}---\n"
            f"# {self.recipe}: {self.stage}\n\n"
            f"Made by medray. Fingerprint of configuration and inputs: `{self.fingerprint}`.\n"
            "No physician has judged this model's answers; it is no medical device.\n\n"
            f"## Made from\n\n| input | identity |\n|---|---|\n{inputs}\n"
            f"## Results\n\n| | |\n|---|---|\n{results}\n"
            f"## Configuration\n\n```yaml\n{config}```\n\n"
            f"{versions}\n"
        )


def _version(library: str) -> str:
    """Return a library's version, "" where it is not installed: a cluster runs medray's sources."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
