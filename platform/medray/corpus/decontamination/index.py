"""The index of the benchmarks' n-grams: how it lies on disk, and looking n-grams up in it.

Two false matches are thinkable. Hashes of 64 bits: 10^12 n-grams of a corpus against 10^7 of the
benchmarks give 10^19 pairs, of which 10^19 / 2^64 = 0.5 agree by chance; so a match is checked on
the words (``verification``). And words that two people wrote alike: against these stand the
n-gram's length and the share of a paragraph that has to be covered (``config``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.decontamination.kernels import probe
from medray.corpus.dedup.words import Hashes, Offsets, ngram_hashes
from medray.storage.location import Location

INDEX_NAME = "index.json"
TEXTS_NAME, POSTINGS_NAME, FILTER_NAME = "texts.arrow", "postings.arrow", "filter.arrow"

# One row a text of an item, in the items' order; ``item`` counts them.
TEXTS = pa.schema(
    [
        ("item", pa.int32()),
        ("name", pa.string()),  # benchmark/item id
        ("benchmark", pa.string()),
        ("item_id", pa.string()),
        ("language", pa.string()),
        ("role", pa.string()),
        ("text", pa.large_string()),
        ("words", pa.int32()),
    ]
)
# One row an n-gram of a text, sorted by hash: where its words begin in the text, how many words
# from there on must agree. 18 bytes.
POSTINGS = pa.schema(
    [
        ("hash", pa.uint64()),
        ("text", pa.int32()),
        ("position", pa.int32()),
        ("words", pa.uint16()),
    ]
)
FILTER = pa.schema([("bits", pa.uint64())])


@dataclass(frozen=True)
class Hits:
    """Places where a batch's words may be a benchmark's: word in the batch, row of POSTINGS."""

    words: npt.NDArray[np.int64]
    postings: npt.NDArray[np.int64]


@dataclass(frozen=True)
class BenchmarkIndex:
    """The index, mapped from files: workers on one machine share the pages that they touch.

    22 to 26 MB for a million n-grams, filter included; the items' texts beside it.
    """

    texts: pa.Table
    items: npt.NDArray[np.int32]  # by row of ``texts``
    is_option: npt.NDArray[np.bool_]  # by row of ``texts``
    hashes: Hashes
    posting_texts: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.uint16]
    bits: npt.NDArray[np.uint64]
    first_texts: npt.NDArray[np.int64]  # by item, its first row of ``texts``; at last, all rows

    @classmethod
    def load(cls, folder: Location) -> BenchmarkIndex:
        """Map the index that ``build_index`` wrote; from an object store it is copied first.

        Arrow's own format, for it can be mapped: Parquet would be unpacked into each worker.
        """
        local = Location.of(folder.local_copy())
        texts = _mapped(local / TEXTS_NAME)
        postings = _mapped(local / POSTINGS_NAME)
        items = _numbers(texts, "item")
        return cls(
            texts=texts,
            items=items,
            is_option=pc.equal(texts["role"], "option").to_numpy(),
            hashes=_numbers(postings, "hash"),
            posting_texts=_numbers(postings, "text"),
            positions=_numbers(postings, "position"),
            lengths=_numbers(postings, "words"),
            bits=_numbers(_mapped(local / FILTER_NAME), "bits"),
            first_texts=np.searchsorted(items, np.arange(items.max(initial=-1) + 2)),
        )

    def find(self, words: Hashes, offsets: Offsets, length: int) -> Hits:
        """Look up every ``length`` words in a row of texts, given as ``hash_words`` gives them."""
        ngrams, ngram_offsets = ngram_hashes(words, offsets, length)
        at, places = probe(ngrams, ngram_offsets, offsets, self.bits, self.hashes)
        values = self.hashes[places]
        counts = np.searchsorted(self.hashes, values, side="right") - places
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Hits(np.repeat(at, counts), np.repeat(places, counts) + within)

    def name(self, item: int) -> str:
        """Return "benchmark/item id"."""
        return str(self.texts["name"][self.first_texts[item]])

    def text(self, row: int) -> dict[str, Any]:
        """Return a row of ``texts``."""
        found: dict[str, Any] = self.texts.slice(row, 1).to_pylist()[0]
        return found

    def texts_of(self, item: int) -> list[dict[str, Any]]:
        """Return an item's rows of ``texts``."""
        first = int(self.first_texts[item])
        rows: list[dict[str, Any]] = self.texts.slice(
            first, int(self.first_texts[item + 1]) - first
        ).to_pylist()
        return rows


def _mapped(file: Location) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(file.path)).read_all()


def _numbers(table: pa.Table, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = table[name].combine_chunks().to_numpy()
    return values
