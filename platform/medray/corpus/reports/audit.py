"""The quality audit: a sample of sentences for a reader to mark, and what the marks say.

The sample is uniform over the sentences of the kept documents, not over the documents: it is
sentences that the model reads, so their share of medical ones is the corpus's precision, and it is
how MMedC was checked (100 random sentences a language, 98 % of them medical). Sentences of one
document are alike, but of a large corpus two in one sample are rare, so Wilson's interval holds.

Every sentence has a rank, a hash of the seed, its document's id and its number in the document;
the sample is the k smallest ranks of each language. So a shard gives its own k smallest and the
merge takes the k smallest of those: the same sample however the corpus was cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from medray.corpus.reports.sentences import Span, split_sentences
from medray.recipe import Config

SAMPLE = pa.schema(
    [
        ("language", pa.string()),
        ("rank", pa.uint64()),
        ("document_id", pa.string()),
        ("sentence_number", pa.int64()),
        ("sentence", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
    ]
)
# What a reader is shown: enough to judge a sentence by, and no 1 MB line without a full stop.
MAXIMUM_SENTENCE_CHARACTERS = 600
CONTEXT_CHARACTERS = 200
# A batch's sentence borders lie in memory together, about 100 bytes a sentence.
DOCUMENTS_AT_ONCE = 500
MERGED_AT_ONCE = 64
# Weyl sequence and finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable
# pseudorandom number generators"): neighbouring numbers give unrelated ranks.
_WEYL = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class AuditConfig(Config):
    """How large the sample is, and which."""

    sentences_per_language: int = Field(default=100, ge=1, description="sentences to mark")
    seed: int = Field(default=0, ge=0, lt=2**64, description="another seed, another sample")


@dataclass(frozen=True)
class Sample:
    """The sentences of smallest rank, sorted by language and rank, and out of how many they are."""

    rows: pa.Table
    sentences: Mapping[str, int]


def sample_sentences(documents: pa.Table, language: str, config: AuditConfig) -> Sample:
    """Return the sample of kept documents of one language (columns document_id, text).

    KeyError for a language that is not one of the six.
    """
    columns = documents.select(["document_id", "text"])
    batches = columns.to_batches(max_chunksize=DOCUMENTS_AT_ONCE)
    return merge_samples((_sample_batch(b, language, config) for b in batches), config)


def merge_samples(samples: Iterable[Sample], config: AuditConfig) -> Sample:
    """Return the sample of all that the samples were drawn from; of none, an empty one."""
    remaining = iter(samples)
    rows, sentences = SAMPLE.empty_table(), Counter[str]()
    while batch := list(islice(remaining, MERGED_AT_ONCE)):
        for sample in batch:
            sentences.update(sample.sentences)
        rows = _smallest(pa.concat_tables([rows, *(sample.rows for sample in batch)]), config)
    return Sample(rows, dict(sorted(sentences.items())))


def merge_sample_rows(tables: Iterable[pa.Table], config: AuditConfig) -> pa.Table:
    """Return the rows of the sample of all that samples' rows (SAMPLE) were drawn from."""
    return merge_samples((Sample(rows, {}) for rows in tables), config).rows


def _smallest(rows: pa.Table, config: AuditConfig) -> pa.Table:
    """Return each language's rows of smallest rank; the id breaks ties, so order says nothing."""
    keys = ("language", "rank", "document_id", "sentence_number")
    rows = rows.take(pc.sort_indices(rows, [(key, "ascending") for key in keys]))
    languages = rows["language"].to_numpy()
    first = np.searchsorted(languages, languages)
    place = np.arange(rows.num_rows) - first
    return rows.filter(pa.array(place < config.sentences_per_language)).combine_chunks()


def _sample_batch(batch: pa.RecordBatch, language: str, config: AuditConfig) -> Sample:
    ids, texts = batch["document_id"].to_pylist(), batch["text"].to_pylist()
    spans = [split_sentences(text, language) for text in texts]
    counts = np.array([len(borders) for borders in spans], np.int64)
    numbers = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    digest = xxhash.xxh3_64_intdigest
    hashes = np.array([digest(f"audit:{name}".encode(), config.seed) for name in ids], np.uint64)
    ranks = _mixed(np.repeat(hashes, counts) + (numbers.astype(np.uint64) + 1) * _WEYL)
    documents = np.repeat(np.arange(len(ids)), counts)
    chosen = np.argsort(ranks, kind="stable")[: config.sentences_per_language]
    rows = [
        {
            "language": language,
            "rank": int(ranks[place]),
            "document_id": ids[documents[place]],
            "sentence_number": int(numbers[place]),
            **_shown(texts[documents[place]], spans[documents[place]][numbers[place]]),
        }
        for place in chosen
    ]
    return Sample(pa.Table.from_pylist(rows, schema=SAMPLE), {language: int(counts.sum())})


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def _shown(text: str, span: Span) -> dict[str, str]:
    """Return sentence, before and after, each on one line and of bounded length."""
    start, end = span
    sentence = text[start : min(end, start + MAXIMUM_SENTENCE_CHARACTERS)]
    before = text[max(0, start - CONTEXT_CHARACTERS) : start]
    after = text[end : end + CONTEXT_CHARACTERS]
    return {
        "sentence": _one_line(sentence) + ("…" if end - start > len(sentence) else ""),
        "before": ("…" if start > CONTEXT_CHARACTERS else "") + _one_line(before),
        "after": _one_line(after) + ("…" if end + CONTEXT_CHARACTERS < len(text) else ""),
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())
