"""Removing copies and near copies from kept documents: the whole of it, as one function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from medray.corpus.dedup.candidates import find_equal, find_pairs, write_no_equal
from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.evidence import (
    count_sources,
    losses_of_sources,
    raised_alarms,
    read_removed,
    write_evidence,
)
from medray.corpus.dedup.minhash import SIGNATURE_VERSION
from medray.corpus.dedup.plan import EVIDENCE, REMOVED, Desk, evidence_folder, removed_folder
from medray.corpus.dedup.ray_tables import Means
from medray.corpus.dedup.signature_pass import plan_signatures, sign_shard
from medray.corpus.dedup.verification import select, verify_pairs
from medray.corpus.dedup.words import WORDS_VERSION
from medray.errors import InputError
from medray.runtime import RayRuntime
from medray.storage.location import Location
from medray.storage.mapping import run_shards
from medray.storage.shards import Shard, sum_counts

RESULT_NAME = "deduplicated.json"
# Up to so many, all comparing is done in this process: their texts, should every one be a
# candidate, are some 100 MB.
FEW_DOCUMENTS = 20_000
# Part of what a signature is made from: a new version must not meet signatures of an old one.
VERSIONS = {"words": WORDS_VERSION, "signatures": SIGNATURE_VERSION}


@dataclass(frozen=True)
class DedupResult:
    """What a deduplication did; its tables of removals lie below ``work``.

    ``counts``: documents, exact_duplicate, near_duplicate, verified_pairs, candidate_pairs,
    candidate_documents, candidate_components, largest_component, groups. ``cluster_sizes``: how
    many retained documents stand for so many. ``sources``: language, source, documents, removed,
    share. ``alarms``: one line each.
    """

    work: Location
    counts: dict[str, int]
    cluster_sizes: dict[int, int]
    sources: list[dict[str, Any]]
    alarms: list[str]

    def evidence(self) -> Location:
        """Return the folder of all tables of removals (``evidence.EVIDENCE``)."""
        return evidence_folder(self.work)

    def removed(self, kept_file: Location) -> pa.Table:
        """Return the removals among one kept file's documents, by row; perhaps none."""
        return read_removed(removed_folder(self.work, kept_file))


def deduplicate(
    tables: Sequence[Shard],
    config: DeduplicateConfig,
    work: Location,
    ray: RayRuntime,
    *,
    cpus_per_task: float = 1.0,
    partitions: int | None = None,
    on_receipt: Callable[[int, int], None] = lambda done, total: None,
) -> DedupResult:
    """Find the documents to remove from tables (``Pass.shards``), whose order ranks them.

    They have columns document_id, text and source, and names of their own. ``work`` belongs
    to one config: a run that was killed goes on there with the signatures it has, and a finished
    one is not done again. ``partitions`` overrides in how many pieces hashes are shuffled; it
    never changes the result. Raises InputError for unusable files, and for a source that loses
    too much where the config says stop.
    """
    shards = plan_signatures(tables)
    fingerprint = _fingerprint(shards, config)
    told = _finished(work, fingerprint)
    if told is None:
        ray.connect()
        told = _deduplicate(shards, config, work, partitions, cpus_per_task, on_receipt)
        (work / RESULT_NAME).write_json(told | {"fingerprint": fingerprint})
    sizes = {int(size): clusters for size, clusters in told["cluster_sizes"].items()}
    alarms = raised_alarms(told["sources"], config.alarm)
    result = DedupResult(work, told["counts"], sizes, told["sources"], alarms)
    if alarms and config.alarm.action == "stop":
        raise InputError(
            f"{alarms[0]} in {result.evidence()}; if it is right, raise alarm.share or set "
            "alarm.action: warn"
        )
    return result


def _deduplicate(
    shards: Sequence[Shard],
    config: DeduplicateConfig,
    work: Location,
    partitions: int | None,
    cpus_per_task: float,
    on_receipt: Callable[[int, int], None],
) -> dict[str, Any]:
    """Do it all; return counts, cluster_sizes and sources as plain data."""
    sign = partial(sign_shard, config=config)
    receipts = run_shards("signatures", shards, sign, work, cpus_per_task, on_receipt)
    documents = sum_counts(receipts).get("documents", 0)
    by_id = {shard.shard_id: shard for shard in shards}
    shards = [by_id[receipt.shard_id] for receipt in receipts]
    (work / REMOVED).delete_folder()
    counts, sizes, sources = {"documents": documents}, dict[int, int](), list[dict[str, Any]]()
    if documents:
        here = documents <= FEW_DOCUMENTS and partitions is None
        desk = Desk.lay(shards, work, partitions, Means(cpus_per_task, here))
        if config.exact:
            find_equal(desk, documents)
        else:
            write_no_equal(desk)
        groups = 0
        if config.near:
            counts |= find_pairs(desk, documents, config)
            groups = counts["groups"]
        counts["verified_pairs"] = verify_pairs(desk, groups, config)
        chosen, sizes = select(desk)
        counts |= chosen
        sources = losses_of_sources(count_sources(desk), write_evidence(desk))
    (work / "between").delete_folder()
    return {"counts": counts, "cluster_sizes": sizes, "sources": sources}


def _fingerprint(shards: Sequence[Shard], config: DeduplicateConfig) -> str:
    whole = [
        VERSIONS,
        f"{REMOVED}/{EVIDENCE}",  # where its tables lie: what lies elsewhere is not found
        config.model_dump(mode="json", exclude={"alarm"}),
        [shard.shard_id for shard in shards],
    ]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _finished(work: Location, fingerprint: str) -> dict[str, Any] | None:
    """Return what was told of a finished run in ``work``, if it had this input and config."""
    if not (work / RESULT_NAME).is_file():
        return None
    told: dict[str, Any] = (work / RESULT_NAME).read_json()
    return told if told["fingerprint"] == fingerprint else None
