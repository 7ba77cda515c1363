"""A pass of the curate job: one walk over the shards, kept as long as what it was made from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa

from medray.pipeline import StageContext
from medray.storage.folding import MERGED, Merge, merge_group, plan_groups, read_tables
from medray.storage.location import PARTIAL, Location
from medray.storage.mapping import Work, run_shards
from medray.storage.parquet_shards import ALL_UNITS, whole_file
from medray.storage.receipts import LEDGER_NAME, Ledger
from medray.storage.shards import Receipt, Shard, shard_id_of

PASS_NAME = "pass.json"
# Below a pass's folder: tables merged from its shards' tables, kept as long as these.
FOLDED = "folded"


@dataclass(frozen=True)
class Pass:
    """One pass: its folder ``<stage>/<name>/<fingerprint>`` and what it is made from.

    The fingerprint is the hash of the pass's own part of the configuration and of the pass before
    it. So a changed window size cuts new windows of the documents that are there, and a changed
    filter throws nothing away before its successor is whole.
    """

    name: str
    fingerprint: str
    folder: Location
    identity: Mapping[str, Any]

    @classmethod
    def of(
        cls, output: Location, name: str, identity: Mapping[str, Any], after: Pass | None = None
    ) -> Pass:
        """Return the pass of a name; ``identity`` is plain data."""
        whole = dict(identity) | ({"after": after.fingerprint} if after else {})
        text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
        return cls(name, fingerprint, output / name / fingerprint, whole)

    @classmethod
    def earlier(cls, output: Location, name: str) -> list[Pass]:
        """Return the finished passes of a name that lie in a stage's folder, of any identity."""
        return [
            cls(name, folder.name, folder, (folder / PASS_NAME).read_json())
            for folder in (output / name).folders()
            if (folder / LEDGER_NAME).is_file() and (folder / PASS_NAME).is_file()
        ]

    def table(self, name: str, shard_id: str) -> Location:
        """Return the place of one shard's table."""
        return self.folder / name / f"{shard_id}.parquet"

    def shards(self, name: str) -> list[Shard]:
        """Return every table ``name`` that has a row as one shard, in plan order.

        The ledger tells their rows and hashes, so that 100,000 tables are neither opened nor read.
        """
        shards = []
        for receipt, path in Ledger(self.folder).files():
            told = receipt.files[path]
            if path.startswith(f"{name}/") and told["rows"]:
                identity = told["sha256"][:32]
                shard_id = shard_id_of(f"{name}|{receipt.language}", identity, 0, ALL_UNITS)
                table = whole_file(shard_id, self.folder / path, receipt.language)
                shards.append(replace(table, identity=identity, rows=told["rows"]))
        return shards


@dataclass
class Walker:
    """Does the passes of one stage one after another and remembers them, and their seconds."""

    context: StageContext
    job_version: int
    passes: list[Pass] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)

    def identity(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a pass is made from: its own part, and the version of the job's code."""
        return dict(own) | {"job_version": self.job_version}

    @contextmanager
    def begin(
        self, name: str, identity: Mapping[str, Any], after: Pass | None = None
    ) -> Iterator[Pass]:
        """Yield the pass to do, its identity written down; count its seconds."""
        one = Pass.of(self.context.output, name, self.identity(identity), after)
        self.passes.append(one)
        if not (one.folder / PASS_NAME).is_file():
            (one.folder / PASS_NAME).write_json(dict(one.identity))
        start = time.monotonic()
        yield one
        self.timings_s[name] = round(time.monotonic() - start, 2)

    def walk(self, one: Pass, shards: Sequence[Shard], work: Work) -> list[Receipt]:
        """Do a pass's work on every shard that has no receipt; return all receipts."""
        self.context.ray.connect()
        return run_shards(
            one.name,
            shards,
            work,
            one.folder,
            cpus_per_task=self.context.ray.cpus_per_core,
            on_receipt=partial(self.context.log.progress, f"{one.name} shards"),
        )

    def fold(
        self, one: Pass, name: str, merge: Merge, made_from: Mapping[str, Any] | None = None
    ) -> Iterator[pa.Table]:
        """Yield few tables that are merged from all tables ``name`` of a finished pass.

        Up to 500 shards there is one, merged here; of more, workers merge groups, and what they
        made is kept beside the pass's tables. ``made_from``: what ``merge`` depends on and the pass
        does not, plain data, so that one run's groups are not taken for another's.
        """
        groups = plan_groups(one.folder, json.dumps(made_from, sort_keys=True))
        if len(groups) < 2:
            yield merge(read_tables(one.folder, name))
            return
        folded = replace(one, name=f"{one.name}/{name}", folder=one.folder / FOLDED / name)
        self.walk(folded, groups, partial(merge_group, name=name, merge=merge))
        yield from read_tables(folded.folder, MERGED)

    def sweep(self) -> None:
        """Remove what earlier configurations made, and what killed writers left half written."""
        for one in self.passes:
            for folder in (self.context.output / one.name).folders():
                if folder.name != one.fingerprint:
                    folder.delete_folder()
        if self.context.output.is_local:  # an object store shows nothing before it is whole
            for folder, names in self.context.output.walk():
                for name in names:
                    if name.endswith(PARTIAL):
                        (folder / name).delete_file()
