"""Doing the first pass: over the text, or from the decisions where only thresholds changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from medray.corpus.passes.filter_pass import FirstPass, filter_shard
from medray.corpus.passes.rethreshold import rethreshold_shard
from medray.corpus.passes.walker import Pass, Walker
from medray.errors import InputError
from medray.storage.artifact import flatten
from medray.storage.location import Location
from medray.storage.mapping import Work
from medray.storage.shards import Receipt, Shard

NAME = "filter"
THRESHOLDS = "config.filter.thresholds."


def do_first_pass(
    walker: Walker, shards: Sequence[Shard], first: FirstPass, identity: Mapping[str, Any]
) -> tuple[Pass, list[Receipt]]:
    """Do the first pass, or derive it from a finished one that other thresholds made.

    ``identity``: what the pass is made from, its configuration under ``config``.
    """
    with walker.begin(NAME, identity) as one:
        work: Work = partial(filter_shard, first=first)
        before = same_but_thresholds(walker.context.output, one)
        if before is not None:
            walker.context.log.event("filter: only thresholds differ; taken from the decisions")
            work = partial(rethreshold_shard, first=first, before=before.folder)
        return one, walker.walk(one, shards, work)


def same_but_thresholds(output: Location, wanted: Pass) -> Pass | None:
    """Return a finished first pass that differs in the filter's thresholds alone, or None."""
    for before in Pass.earlier(output, NAME):
        changed = differences(before, wanted)
        if changed and all(key.startswith(THRESHOLDS) for key in changed):
            return before
    return None


def differences(before: Pass, wanted: Pass) -> list[str]:
    """Return the dotted keys in which two passes' identities differ."""
    old, new = flatten(before.identity), flatten(wanted.identity)
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def check_rethreshold(output: Location, wanted: Pass, stage: str) -> None:
    """Raise InputError where the first pass could not be had from earlier decisions."""
    earlier = Pass.earlier(output, NAME)
    if not earlier:
        raise InputError(f"--rethreshold: stage {stage} has no decisions yet; run it first")
    if any(not differences(before, wanted) for before in earlier):
        return
    if same_but_thresholds(output, wanted) is None:
        keys = [k for k in differences(earlier[-1], wanted) if not k.startswith(THRESHOLDS)]
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        raise InputError(
            f"--rethreshold: more than filter.thresholds changed in stage {stage} "
            f"({', '.join(keys[:3])}{more}): the text must be read; leave the option away"
        )
