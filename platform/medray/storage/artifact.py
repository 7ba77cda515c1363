"""A stage's output: a folder and, written last, its manifest.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

import medray
from medray.storage.location import PARTIAL, Location, sha256_of
from medray.storage.receipts import LEDGER_NAME, Ledger
from medray.storage.table_paths import TablePaths

MANIFEST_NAME = "manifest.json"
# Lies in a stage's folder while it is being made and holds the fingerprint that it is made for:
# what is found there later is resumed only for that same fingerprint.
IN_PROGRESS_NAME = "in_progress.json"
LIBRARIES = ("ray", "torch", "transformers", "peft", "deepspeed", "pyarrow")


class FileEntry(BaseModel):
    """One file of an artifact: path relative to its folder, size, SHA-256 in hex.

    Tables of shards are not among them but in the ledgers (``receipts.parquet``) that are.
    """

    path: str
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What an artifact is, what it was made from and what it holds.

    ``fingerprint`` is the hash of (config, job version, input fingerprints): equal fingerprints
    mean that making the artifact again would be work for nothing. ``results`` are the numbers
    that the report shows; they hold no times, which all stand in ``seconds`` and ``timings_s``.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    stage: str
    job: str
    job_version: int
    fingerprint: str
    config: dict[str, Any]
    inputs: dict[str, str]
    counts: dict[str, int]
    results: dict[str, Any]
    files: list[FileEntry]
    libraries: dict[str, str]
    seconds: float
    timings_s: dict[str, float]
    created: str


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: its folder and its manifest."""

    location: Location
    manifest: Manifest

    @classmethod
    def open(cls, location: Location) -> Artifact | None:
        """Return the artifact in a folder, or None where no valid manifest lies."""
        path = location / MANIFEST_NAME
        if not path.is_file():
            return None
        try:
            return cls(location, Manifest.model_validate_json(path.read_bytes()))
        except ValidationError:
            return None  # an older medray's manifest: the artifact is made anew

    def __truediv__(self, name: str) -> Location:
        return self.location / name


def fingerprint_of(config: Mapping[str, Any], job_version: int, inputs: Mapping[str, str]) -> str:
    """Return the fingerprint, 32 hex digits, of a stage's resolved config, version and inputs."""
    value = {"config": config, "job_version": job_version, "inputs": dict(inputs)}
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def commit(location: Location, **fields: Any) -> Artifact:
    """Hash the files below ``location``, write its manifest last and return the artifact.

    A ledger of receipts holds the hash of each table that its shards wrote, so the manifest names
    the ledger alone: neither does a manifest grow with the shards nor are terabytes read twice.
    """
    files = []
    for path in sorted(set(_beside_tables(location)) - {MANIFEST_NAME, IN_PROGRESS_NAME}):
        size_bytes, digest = sha256_of(location / path)
        files.append(FileEntry(path=path, size_bytes=size_bytes, sha256=digest))
    manifest = Manifest(
        files=files,
        libraries={"medray": medray.__version__} | {name: version(name) for name in LIBRARIES},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **fields,
    )
    (location / MANIFEST_NAME).write_bytes(manifest.model_dump_json(indent=1).encode())
    return Artifact(location, manifest)


def _beside_tables(location: Location) -> Iterator[str]:
    """Yield the path below ``location`` of each whole file that no ledger tells of.

    In memory are one folder's names and the ledgers of the folders that it lies in.
    """
    told: list[TablePaths] = []
    for folder, names in location.walk():
        told = [tables for tables in told if tables.is_above(folder)]
        if LEDGER_NAME in names:
            told.append(Ledger(folder).tables())
        for tables in told:
            names = tables.others(folder, names)
        prefix = (folder / "").relative_to(location)
        yield from (f"{prefix}{name}" for name in names if not name.endswith(PARTIAL))


def changes(
    before: Manifest, config: Mapping[str, Any], job_version: int, inputs: Mapping[str, str]
) -> list[str]:
    """Return, one phrase each, what made a fingerprint differ from ``before``'s."""
    found = []
    old, new = flatten(before.config), flatten(config)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            found.append(f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}")
    if before.job_version != job_version:
        found.append(f"job version: {before.job_version} -> {job_version}")
    for key in sorted(before.inputs.keys() | inputs.keys()):
        if before.inputs.get(key) != inputs.get(key):
            found.append(f"input {key} changed")
    return found


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested dict or list as one level with dotted keys: {"a": [1]} -> {"a.0": 1}."""
    if isinstance(value, Mapping) and value:
        items = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, list) and value:
        items = [(str(i), v) for i, v in enumerate(value)]
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in items:
        found |= flatten(inner, f"{prefix}.{key}" if prefix else key)
    return found
