"""Building the index of the benchmarks' n-grams, once a run, before any document is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.decontamination.config import DecontaminateConfig
from medray.corpus.decontamination.index import (
    FILTER,
    FILTER_NAME,
    INDEX_NAME,
    POSTINGS,
    POSTINGS_NAME,
    TEXTS_NAME,
)
from medray.corpus.decontamination.items import Item
from medray.corpus.decontamination.kernels import set_bits
from medray.corpus.decontamination.reading import Locate, benchmark_files, read_items
from medray.corpus.decontamination.texts import JOINED, HashedTexts, hash_texts
from medray.corpus.dedup.words import WORDS_VERSION, Hashes, ngram_hashes
from medray.storage.location import Location, content_identity

# Changes whenever the same benchmarks and config would give another index or another decision.
DECONTAMINATION_VERSION = 1
VERSIONS = {"decontamination": DECONTAMINATION_VERSION, "words": WORDS_VERSION}

# A text of these parts may be found whole where it is too short for an n-gram: a short option
# ("all of the above are correct") says nothing, and is looked for where its question stands.
WHOLE_ROLES = ("question", "passage", JOINED)
FILTER_BITS = 32  # for each n-gram: 3 of 100 others pass
COUNTS = ("items", "texts", "ngrams", "boilerplate_ngrams", "unindexed_items")


def build_index(config: DecontaminateConfig, locate: Locate, target: Location) -> dict[str, int]:
    """Write the index of the recipe's benchmarks into a folder, unless it lies there whole.

    ``locate``: returns the files that a pattern names. Returns its counts: items, texts (each
    spelling is one), ngrams, boilerplate_ngrams (dropped), unindexed_items (too short to be
    found). Where no benchmark is named nothing is written and all counts are 0. Raises InputError
    as ``read_items`` does.
    """
    if config.is_empty:
        return dict.fromkeys(COUNTS, 0)
    fingerprint = _fingerprint(config, benchmark_files(config, locate))
    place = target / INDEX_NAME
    if place.is_file() and (written := place.read_json())["fingerprint"] == fingerprint:
        counts: dict[str, int] = written["counts"]
        return counts
    texts, postings, counts = index_items(read_items(config, locate), config)
    bits = np.zeros(_filter_size(postings.num_rows), np.uint64)
    set_bits(bits, postings["hash"].to_numpy())
    _write(texts, target / TEXTS_NAME)
    _write(postings, target / POSTINGS_NAME)
    _write(pa.table({"bits": bits}, schema=FILTER), target / FILTER_NAME)
    place.write_json({"fingerprint": fingerprint, "counts": counts, "versions": VERSIONS})
    return counts


def _fingerprint(config: DecontaminateConfig, files: Sequence[Sequence[Location]]) -> str:
    """Return what the index is made from, as a hash: versions, configuration, the files' bytes."""
    identity = {
        "versions": VERSIONS,
        "config": config.model_dump(mode="json"),
        "files": [[(file.name, content_identity(file)) for file in found] for found in files],
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _filter_size(ngrams: int) -> int:
    """Return how many uint64 hold FILTER_BITS bits for each n-gram: a power of two."""
    return 1 << (ngrams * FILTER_BITS // 64).bit_length()


def _write(table: pa.Table, file: Location) -> None:
    with file.writing() as path, pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table.combine_chunks())


def index_items(
    items: Iterable[Item], config: DecontaminateConfig
) -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """Return TEXTS, POSTINGS and the counts: what ``build_index`` writes."""
    listed = list(items)
    texts = hash_texts(listed, config)
    postings = _sorted_postings(texts, config)
    kept, boilerplate = _without_boilerplate(postings, texts, config.maximum_items)
    found = np.unique(texts.table["item"].to_numpy()[kept["text"].to_numpy()])
    numbers = (len(listed), texts.table.num_rows, kept.num_rows, boilerplate)
    return texts.table, kept, dict(zip(COUNTS, (*numbers, len(listed) - len(found)), strict=True))


def _sorted_postings(texts: HashedTexts, config: DecontaminateConfig) -> pa.Table:
    """Return POSTINGS of all texts; an n-gram that stands twice in one is there once."""
    may_be_whole = pc.is_in(texts.table["role"], value_set=pa.array(WHOLE_ROLES)).to_numpy()
    tables = [POSTINGS.empty_table()]
    for code, (rows, words, offsets) in texts.words.items():
        n, whole = config.ngram_length(code), config.whole_length(code)
        counts = np.diff(offsets)
        hashes, starts = ngram_hashes(words, offsets, n)
        tables.append(_select(hashes, starts, rows, counts >= n, np.full(len(rows), n)))
        hashes, starts = ngram_hashes(words, offsets, whole)
        short = may_be_whole[rows] & (counts >= whole) & (counts < n)
        first = hashes[starts[:-1][short]]  # a short text is looked for by its first words
        ones = np.arange(len(first) + 1)
        tables.append(_select(first, ones, rows[short], np.ones(len(first), bool), counts[short]))
    postings = pa.concat_tables(tables)
    keys = [postings[name].to_numpy() for name in ("position", "text", "hash")]
    postings = postings.take(pa.array(np.lexsort(keys)))
    hashes, numbers = postings["hash"].to_numpy(), postings["text"].to_numpy()
    return postings.filter(pa.array(_begins(hashes, numbers)))


def _select(
    hashes: Hashes,
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.bool_],
    lengths: npt.NDArray[np.int64],
) -> pa.Table:
    """Return POSTINGS of the wanted texts, given the n-grams of all."""
    counts = np.diff(starts)
    mask = np.repeat(wanted, counts)
    positions = np.arange(len(mask)) - np.repeat(starts[:-1], counts)
    columns = hashes, np.repeat(rows, counts), positions, np.repeat(lengths, counts)
    names = zip(POSTINGS, columns, strict=True)
    return pa.table(
        [pa.array(column[mask]).cast(field.type) for field, column in names], schema=POSTINGS
    )


def _without_boilerplate(
    postings: pa.Table, texts: HashedTexts, maximum_items: int
) -> tuple[pa.Table, int]:
    """Drop the n-grams of too many questions, and all but one of texts that are the same.

    Returns POSTINGS and how many distinct n-grams were dropped. What counts is how many different
    questions an n-gram belongs to: one that two benchmarks have is one, and so is a passage that
    several questions share.
    """
    numbers, hashes = postings["text"].to_numpy(), postings["hash"].to_numpy()
    begins = _begins(hashes)
    ngram = np.cumsum(begins) - 1
    asking = _questions(texts)[numbers]
    order = np.lexsort((asking, ngram))
    distinct = _begins(ngram[order], asking[order])
    questions = np.bincount(ngram[order][distinct], minlength=int(begins.sum()))
    common = questions > maximum_items
    posted = np.unique(numbers)
    _, first = np.unique(texts.digests[posted], return_index=True)
    is_first = np.zeros(len(texts.digests), bool)
    is_first[posted[first]] = True
    kept = ~common[ngram] & is_first[numbers]
    return postings.filter(pa.array(kept)).combine_chunks(), int(common.sum())


def _begins(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which of sorted rows differ in a key from the row before them; the first one does."""
    out = np.zeros(len(keys[0]), bool)
    out[:1] = True
    for key in keys:
        out[1:] |= key[1:] != key[:-1]
    return out


def _questions(texts: HashedTexts) -> Hashes:
    """Return of each text what it counts as: its item's question, or, as a passage, itself."""
    roles, items = texts.table["role"].to_numpy(), texts.table["item"].to_numpy()
    counted = texts.digests.copy()
    asked, first = np.unique(items[roles == "question"], return_index=True)
    digests = texts.digests[roles == "question"][first]
    place = np.minimum(np.searchsorted(asked, items), max(len(asked) - 1, 0))
    belongs = np.isin(items, asked) & (roles != "passage")
    counted[belongs] = digests[place[belongs]]
    return counted
