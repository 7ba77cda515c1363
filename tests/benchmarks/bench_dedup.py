"""Near deduplication of one core: signatures with tokenising, verifying, and how much is found.

Peers make 128 slots of the same shingles: words 5 in a row, in zh and ja characters 6 in a row.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import rensa
import xxhash
from datasketch import MinHash
from measure import compare
from texts import SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.dedup.buckets import near_pairs
from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.minhash import recall_at, reference_signatures, signatures
from medray.corpus.dedup.shingles import jaccard_of_pairs, shingle_sets
from medray.corpus.dedup.signature_pass import sign
from medray.corpus.dedup.words import Hashes, Offsets, hash_words, ngram_hashes
from medray.languages import LANGUAGES

CONFIG = DeduplicateConfig()
MEGABYTES = 2.0
PLANTED = 400  # documents a language
# Of the words, one in so many is changed: J from about 0.95 down to 0.5.
WORDS_BETWEEN_CHANGES = (16, 30, 50, 80, 200)
BUCKETED = 1_000_000


def with_datasketch(texts: Sequence[str], code: str, hashing: object) -> None:
    """The plain way: words by a regular expression, shingles as joined strings."""
    size = CONFIG.shingle_size(code)
    joint = " " if LANGUAGES[code].spaced else ""
    pattern = re.compile(r"\w+" if LANGUAGES[code].spaced else r"\w")
    for text in texts:
        words = pattern.findall(text.lower())
        count = max(1, len(words) - size + 1)
        shingles = [joint.join(words[i : i + size]).encode() for i in range(count)]
        keywords = {} if hashing is None else {"hashfunc": hashing}
        MinHash(CONFIG.permutations, **keywords).update_batch(shingles)


def with_rensa(texts: pa.StringArray, code: str) -> None:
    """medray's shingles, rensa's signatures."""
    shingles, offsets = shingles_of(texts, code)
    rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        shingles, offsets.astype(np.uint64), CONFIG.permutations, 42
    )


def with_numpy(texts: pa.StringArray, code: str) -> None:
    """medray's shingles, the signatures' definition in numpy."""
    reference_signatures(*shingles_of(texts, code), CONFIG.permutations)


def shingles_of(texts: pa.StringArray, code: str) -> tuple[Hashes, Offsets]:
    return ngram_hashes(*hash_words(texts, code), CONFIG.shingle_size(code))


def as_table(texts: Sequence[str]) -> pa.Table:
    names = pa.array([str(number) for number in range(len(texts))])
    return pa.table({"document_id": names, "text": pa.array(texts, pa.string()), "source": names})


def print_speeds(code: str) -> None:
    texts = corpus_texts(code, MEGABYTES)
    table, megabytes = as_table(texts), utf8_megabytes(texts)
    array, shingles = table["text"].chunk(0), shingles_of(table["text"].chunk(0), code)
    compare(
        f"{code}: signatures of {len(texts)} documents, {megabytes:.1f} MB",
        {
            "medray, with bands and exact hash": partial(sign, table, code, CONFIG),
            "datasketch, SHA-1": partial(with_datasketch, texts, code, None),
            "datasketch, XXH32": partial(with_datasketch, texts, code, xxhash.xxh32_intdigest),
            "rensa flat, medray's shingles": partial(with_rensa, array, code),
            "numpy, medray's shingles": partial(with_numpy, array, code),
            "of which words": partial(hash_words, array, code),
            "of which signatures": partial(signatures, *shingles, CONFIG.permutations),
            "verifying: sorted shingle sets": partial(shingle_sets, array, code, 5),
        },
        megabytes,
        "MB",
        rounds=3,
    )


def changed(words: list[str], between: int, chance: random.Random) -> list[str]:
    copy = list(words)
    for place in range(chance.randrange(between), len(words), between):
        copy[place] = f"new{chance.randrange(10**9)}"
    return copy


def print_recall(code: str) -> None:
    """Plant a changed copy of each document; count pairs that share a band, by their true J."""
    chance, originals, copies = random.Random(code), [], []
    pattern = r"\w+" if LANGUAGES[code].spaced else r"[a-zA-Z0-9_]+|\w"
    documents = dict.fromkeys(corpus_texts(code, 4.0))
    for number, text in enumerate(list(documents)[:PLANTED]):
        words = re.findall(pattern, text)
        between = WORDS_BETWEEN_CHANGES[number % len(WORDS_BETWEEN_CHANGES)]
        originals.append(" ".join(words))
        copies.append(" ".join(changed(words, between, chance)))
    both = pa.array(originals + copies, pa.string())
    first = np.arange(len(originals))
    sets = shingle_sets(both, code, CONFIG.shingle_size(code))
    truth = jaccard_of_pairs(*sets, first, first + len(first))
    bands = sign(as_table(both.to_pylist()), code, CONFIG)["bands"].to_pylist()
    found = np.array([bool(set(bands[i]) & set(bands[len(first) + i])) for i in first])
    told = []
    for low, high in ((0.8, 1.01), (0.7, 0.8), (0.5, 0.7)):
        inside = (truth >= low) & (truth < high)
        told.append(f"J {low}-{min(high, 1):g} {found[inside].sum()} of {inside.sum()}")
    print(f"  {code}: {'; '.join(told)}")


def bucket(hashes: Hashes, documents: np.ndarray) -> None:  # type: ignore[type-arg]
    near_pairs(hashes, documents, CONFIG.representatives)


def main() -> None:
    print(f"bench_dedup: {SOURCE}; 128 slots, {CONFIG.bands()[0]} bands of {CONFIG.bands()[1]}")
    for code in LANGUAGES:
        print_speeds(code)
    print("\nplanted pairs that become candidates, by their exact Jaccard similarity")
    bands, rows = CONFIG.bands()
    curve = ", ".join(f"{recall_at(j, bands, rows):.3f} at {j}" for j in (0.8, 0.7, 0.5))
    print(f"  the S-curve: {curve}")
    for code in LANGUAGES:
        print_recall(code)
    chance = np.random.default_rng(0)
    hashes = chance.integers(0, BUCKETED // 2, BUCKETED, dtype=np.uint64)
    compare(
        "bands of one partition sorted into candidate pairs",
        {"near_pairs": partial(bucket, hashes, np.arange(BUCKETED))},
        BUCKETED / 1e6,
        "million bands",
        rounds=3,
    )


if __name__ == "__main__":
    main()
