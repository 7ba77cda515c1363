"""The second pass: of equal and nearly equal documents, one stays."""

from __future__ import annotations

from functools import partial

from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.deduplicate import VERSIONS, DedupResult, deduplicate
from medray.corpus.passes.walker import Pass, Walker


def remove_duplicates(
    walker: Walker, filtered: Pass, config: DeduplicateConfig
) -> tuple[Pass, DedupResult]:
    """Compare all documents that the first pass kept; InputError where an alarm says stop."""
    identity = {"config": config.model_dump(mode="json", exclude={"alarm"}), "versions": VERSIONS}
    context = walker.context
    with walker.begin("duplicates", identity, after=filtered) as one:
        result = deduplicate(
            filtered.shards("kept"),
            config,
            one.folder,
            context.ray,
            cpus_per_task=context.ray.cpus_per_core,
            on_receipt=partial(context.log.progress, "signature shards"),
        )
    for alarm in result.alarms:
        context.log.event(f"alarm: {alarm}")
    return one, result
