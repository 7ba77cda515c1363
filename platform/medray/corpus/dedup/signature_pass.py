"""The pass that reads every document once: of each text a hash, and the hashes of its bands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.minhash import band_hashes, signatures
from medray.corpus.dedup.words import Offsets, hash_words, ngram_hashes, utf8_of
from medray.errors import InputError
from medray.storage.parquet_shards import plan_parquet, read_batches
from medray.storage.shards import Shard, ShardOutput

TABLE = "signatures"
READ_COLUMNS = ("document_id", "text", "source")
SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("source", pa.string()),
        ("text_bytes", pa.int64()),
        ("words", pa.int32()),  # of the text up to maximum_characters
        ("exact_hash", pa.binary(16)),  # XXH3's 128 bits of the text's UTF-8
        ("bands", pa.list_(pa.uint64())),  # empty where the text has no word
    ]
)
# Rows of a shard; plan_parquet ends one at 256 MiB of text anyway.
SHARD_ROWS = 100_000


def plan_signatures(tables: Iterable[Shard]) -> list[Shard]:
    """Return tables of a finished pass as shards to sign, in their order; large ones are cut.

    Most are one shard as they are, so that of 100,000 tables none is opened here. InputError where
    two files have one name, for removals are written under it.
    """
    shards, paths = list[Shard](), dict[str, str]()
    for table in tables:
        if paths.setdefault(table.file.name, table.file.path) != table.file.path:
            raise InputError(f"{table.file}: a second file of this name to deduplicate; rename one")
        if table.rows <= SHARD_ROWS:
            shards.append(table)
        else:
            shards += plan_parquet(TABLE, [table.file], READ_COLUMNS, table.language, SHARD_ROWS)
    return shards


def sign_shard(shard: Shard, config: DeduplicateConfig) -> Iterator[ShardOutput]:
    """Yield the table ``signatures`` of a shard's documents, in their order."""
    for documents in read_batches(shard, READ_COLUMNS):
        table = sign(documents, shard.language, config)
        yield ShardOutput({TABLE: table}, {"documents": table.num_rows})


def sign(documents: pa.Table, language: str, config: DeduplicateConfig) -> pa.Table:
    """Return the signatures (SCHEMA) of a small table of document_id, text and source."""
    texts = (
        pa.concat_arrays(documents["text"].chunks) if documents.num_rows else pa.array([], "str")
    )
    data, starts = utf8_of(texts)
    words, offsets = hash_words(texts, language, config.maximum_characters)
    shingles = ngram_hashes(words, offsets, config.shingle_size(language))
    bands, rows = config.bands()
    hashes = band_hashes(signatures(*shingles, config.permutations), bands, rows)
    filled = np.diff(shingles[1]) > 0
    band_offsets = np.concatenate(([0], np.cumsum(filled * bands)))
    columns = {
        "document_id": documents["document_id"],
        "source": documents["source"],
        "text_bytes": pa.array(np.diff(starts)),
        "words": pa.array(np.diff(offsets).astype(np.int32)),
        "exact_hash": _exact_hashes(data, starts),
        "bands": pa.ListArray.from_arrays(
            pa.array(band_offsets.astype(np.int32)), pa.array(hashes[filled].reshape(-1))
        ),
    }
    return pa.table(columns).cast(SCHEMA)


def _exact_hashes(data: npt.NDArray[np.uint8], starts: Offsets) -> pa.Array:
    view, digest = data.data, xxhash.xxh3_128_digest
    bounds = starts.tolist()
    digests = b"".join(digest(view[a:b]) for a, b in pairwise(bounds))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(bounds) - 1, [None, pa.py_buffer(digests)]
    )
