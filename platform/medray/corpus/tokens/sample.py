"""Drawing documents from the kept text: to train a tokenizer on, to compare engines on.

What is drawn depends on the documents' ids, the shards' ids and the seed alone, never on the
order in which shards were made or on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet

# Shards read to train on, of each language: 128 of 20,000 documents mix a crawl's sources well,
# and 25e9 tokens (some 100 GB of text) are then not read through for 20e6 characters.
TRAINING_SHARDS = 128
# A gate is passed before a run starts: eight shards are read in seconds.
GATE_SHARDS = 8
# The longest document is the vocabulary of no corpus: only its start is trained on.
DOCUMENT_CHARACTERS = 100_000
BATCH_ROWS = 1000


@dataclass(frozen=True)
class TextShard:
    """A Parquet file of kept documents (columns document_id, text) and how much it holds."""

    shard_id: str
    language: str
    file: Location
    documents: int
    characters: int


def training_texts(shards: Sequence[TextShard], sample_characters: int, seed: int) -> Iterator[str]:
    """Yield about ``sample_characters`` characters of text, each language in its proportion.

    Of each language at most 128 shards are read, the first by the hash of their ids; of these a
    document is taken where its id's hash falls below the share that is wanted. A document of
    more than 100,000 characters gives its first 100,000. All is yielded where there is less than
    is wanted.
    """
    share = sample_characters / max(1, sum(shard.characters for shard in shards))
    for language, mine in _by_language(shards).items():
        visited = _first_by_hash(mine, TRAINING_SHARDS, seed)
        wanted = share * sum(shard.characters for shard in mine)
        within = wanted / max(1, sum(shard.characters for shard in visited))
        for shard in visited:
            for text in _drawn(shard, within, f"{seed}|train|{language}"):
                yield text[:DOCUMENT_CHARACTERS]


def gate_texts(
    shards: Sequence[TextShard], documents_per_language: int, seed: int
) -> dict[str, list[str]]:
    """Return up to ``documents_per_language`` whole texts of each language, by language.

    They come from at most eight shards of each language, chosen as in ``training_texts``.
    """
    texts: dict[str, list[str]] = {}
    for language, mine in _by_language(shards).items():
        visited = _first_by_hash(mine, GATE_SHARDS, seed)
        texts[language] = []
        for shard in visited:
            # An even part of every shard; four standard deviations more are drawn, for by hash
            # a number comes out as by chance.
            wanted = -(-documents_per_language // len(visited))
            share = (wanted + 4 * wanted**0.5 + 4) / max(1, shard.documents)
            drawn = _drawn(shard, share, f"{seed}|gate")
            texts[language] += islice(drawn, wanted)
        del texts[language][documents_per_language:]
    return texts


def _by_language(shards: Sequence[TextShard]) -> dict[str, list[TextShard]]:
    found: dict[str, list[TextShard]] = {}
    for shard in shards:
        found.setdefault(shard.language, []).append(shard)
    return dict(sorted(found.items()))


def _first_by_hash(shards: Sequence[TextShard], count: int, seed: int) -> list[TextShard]:
    return sorted(shards, key=lambda shard: (_unit(seed, shard.shard_id), shard.shard_id))[:count]


def _drawn(shard: TextShard, share: float, salt: str) -> Iterator[str]:
    """Yield the texts of about ``share`` of a shard's documents, in their order."""
    with open_parquet(shard.file) as parquet:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=["document_id", "text"]):
            ids = batch["document_id"].to_pylist()
            rows = [row for row, name in enumerate(ids) if _unit(salt, name) < share]
            yield from batch["text"].take(rows).to_pylist()


def _unit(salt: int | str, name: str) -> float:
    """Return a number in [0, 1) that depends on the salt and the name alone."""
    digest = hashlib.blake2b(f"{salt}|{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
