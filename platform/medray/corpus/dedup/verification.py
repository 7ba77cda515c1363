"""Verifying candidate pairs on their texts, and choosing by the verified ones what goes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.keys import rows_of
from medray.corpus.dedup.plan import Desk, key_range
from medray.corpus.dedup.ray_tables import (
    bring_together,
    in_one_task,
    map_blocks,
    numbers,
    read,
    read_range,
    save,
    write,
)
from medray.corpus.dedup.selection import cluster_sizes, join_removals, select_near
from medray.corpus.dedup.shingles import jaccard_of_pairs, shingle_sets
from medray.storage.parquet_shards import read_batches
from medray.storage.shards import Shard

SETS = pa.schema(
    [("document", pa.int64()), ("group", pa.int64()), ("shingles", pa.list_(pa.uint64()))]
)
VERIFIED = pa.schema([("first", pa.int64()), ("second", pa.int64()), ("jaccard", pa.float64())])


def verify_pairs(desk: Desk, groups: int, config: DeduplicateConfig) -> int:
    """Write table ``verified``: the candidate pairs of at least the Jaccard similarity asked for.

    The shingle sets of the candidates, and of no other document, are brought together by group.
    Returns the number of verified pairs.
    """

    def emit(block: pa.Table) -> Iterator[pa.Table]:
        members = desk.rows_in_block("members", "document", block)
        keys = numbers(members, "document")
        for number, shard in desk.shards(block):
            here = key_range(keys, number)
            if here.stop > here.start:
                size = config.shingle_size(shard.language)
                yield from _candidate_sets(
                    shard, members.slice(here.start, here.stop - here.start), size
                )

    def compare(table: pa.Table) -> Iterator[pa.Table]:
        for group in np.unique(numbers(table, "group")).tolist():
            pairs = read_range(desk.file("pairs"), "group", group, group + 1)
            yield _verify(table.filter(pa.array(numbers(table, "group") == group)), pairs, config)

    if not groups:
        write(VERIFIED.empty_table(), desk.file("verified"))
        return 0
    mapped = map_blocks(desk.blocks(), emit, SETS, desk.means)
    verified = bring_together(mapped, "group", groups, compare, desk.means)
    return save(verified, desk.file("verified"), VERIFIED)


def _candidate_sets(shard: Shard, members: pa.Table, size: int) -> Iterator[pa.Table]:
    """Yield (group, document, shingles) of a shard's candidates; one may be in several groups."""
    rows, before = rows_of(numbers(members, "document")), 0
    for batch in read_batches(shard, ("text",)):
        first, end = np.searchsorted(rows, [before, before + batch.num_rows])
        here = members.slice(first, end - first)
        wanted, places = np.unique(rows[first:end] - before, return_inverse=True)
        before += batch.num_rows
        texts = batch["text"].combine_chunks().take(pa.array(wanted))
        sets, offsets = shingle_sets(texts, shard.language, size)
        lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(sets))
        yield here.append_column("shingles", lists.take(pa.array(places)))


def _verify(sets: pa.Table, pairs: pa.Table, config: DeduplicateConfig) -> pa.Table:
    """Return the pairs of one group that are similar enough."""
    sets = sets.sort_by("document")
    documents, lists = numbers(sets, "document"), sets["shingles"].combine_chunks()
    first, second = numbers(pairs, "first"), numbers(pairs, "second")
    jaccard = jaccard_of_pairs(
        lists.flatten().to_numpy(),
        np.append(0, np.cumsum(lists.value_lengths().to_numpy())).astype(np.int64),
        np.searchsorted(documents, first),
        np.searchsorted(documents, second),
    )
    similar = jaccard >= config.jaccard
    columns = {"first": first[similar], "second": second[similar], "jaccard": jaccard[similar]}
    return pa.table(columns, schema=VERIFIED)


def select(desk: Desk) -> tuple[dict[str, int], dict[int, int]]:
    """Write table ``removals``, sorted by the retained document; return counts, cluster sizes."""
    answer: tuple[dict[str, int], dict[int, int]] = in_one_task(_select, desk, means=desk.means)
    return answer


def _select(desk: Desk) -> tuple[dict[str, int], dict[int, int]]:
    verified, exact = read(desk.file("verified")), read(desk.file("exact"))
    near = select_near(*(numbers(verified, name) for name in VERIFIED.names))
    removals = join_removals((numbers(exact, "removed"), numbers(exact, "retained")), near)
    columns = {
        "removed": removals.removed,
        "retained": removals.retained,
        "jaccard": removals.jaccard,
        "exact": removals.exact,
    }
    write(pa.table(columns).sort_by("retained"), desk.file("removals"))
    exact_count = int(removals.exact.sum())
    counts = {
        "exact_duplicate": exact_count,
        "near_duplicate": len(removals.exact) - exact_count,
    }
    return counts, cluster_sizes(removals)
