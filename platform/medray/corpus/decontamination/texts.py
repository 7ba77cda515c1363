"""Benchmark items' texts as the index holds them: in every spelling, and short ones joined."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.decontamination.config import DecontaminateConfig
from medray.corpus.decontamination.index import TEXTS
from medray.corpus.decontamination.items import Item
from medray.corpus.dedup.words import Hashes, Offsets, hash_words, ngram_hashes
from medray.corpus.medical.matching.characters import spellings
from medray.languages import LANGUAGES
from medray.languages import language as language_of

JOINED = "joined"
# What may stand before the options; the question's words run into them.
_LABELS = (repeat(""), "ABCDEFGHIJ", "123456789")


@dataclass(frozen=True)
class HashedTexts:
    """Texts of items (TEXTS), and of each a hash of all its words in a row.

    ``words``: by language, the numbers of its rows and their words as ``hash_words`` gives them.
    """

    table: pa.Table
    digests: Hashes
    words: dict[str, tuple[npt.NDArray[np.int64], Hashes, Offsets]]


def hash_texts(items: Iterable[Item], config: DecontaminateConfig) -> HashedTexts:
    """Return the items' texts that hold a word, each in all its spellings.

    Documents are compared as they are, not normalised, so composed and decomposed letters (NFC,
    NFD) and, in zh and ja, full-width ones are texts of their own where they make other words. An
    item whose question is too short to be found alone has further texts: the question with its
    options, unlabelled, lettered and numbered.
    """
    rows = [row for number, item in enumerate(items) for row in _rows(number, item, config)]
    table = pa.Table.from_pylist(rows, schema=TEXTS)
    counts, digests, _ = _hashed(table)
    items_of = table["item"].to_numpy()
    order = np.lexsort((digests, items_of))
    same = (np.diff(items_of[order]) == 0) & (np.diff(digests[order]) == 0)
    distinct = np.ones(len(order), bool)
    distinct[order[1:][same]] = False
    table = table.filter(pa.array(distinct & (counts > 0))).combine_chunks()
    counts, digests, words = _hashed(table)
    column = pa.array(counts.astype(np.int32))
    table = table.set_column(TEXTS.get_field_index("words"), TEXTS.field("words"), column)
    return HashedTexts(table, digests, words)


def _rows(number: int, item: Item, config: DecontaminateConfig) -> Iterator[dict[str, object]]:
    texts: list[tuple[str, str]] = list(item.texts)
    questions = [text for role, text in texts if role == "question"]
    whole = config.whole_length(item.language)
    if questions and max(_word_count(text, item.language) for text in questions) < whole:
        texts += [(JOINED, text) for text in _joined(questions, item)]
    for role, text in texts:
        for spelled in _spellings(text, item.language):
            yield {
                "item": number,
                "name": f"{item.benchmark}/{item.item_id}",
                "benchmark": item.benchmark,
                "item_id": item.item_id,
                "language": item.language,
                "role": role,
                "text": spelled,
            }


def _word_count(text: str, language: str) -> int:
    return len(hash_words(pa.array([text]), language)[0])


def _joined(questions: list[str], item: Item) -> Iterator[str]:
    options = [text for role, text in item.texts if role == "option"]
    if options:
        for labels in _LABELS:
            labelled = chain.from_iterable(zip(labels, options, strict=False))
            yield " ".join([*questions, *labelled])


def _spellings(text: str, language: str) -> Iterable[str]:
    ways = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC"))]
    if not language_of(language).spaced:
        ways += spellings(ways[-1])
    return dict.fromkeys(ways)


def _hashed(
    table: pa.Table,
) -> tuple[npt.NDArray[np.int64], Hashes, dict[str, tuple[npt.NDArray[np.int64], Hashes, Offsets]]]:
    """Return each text's number of words and digest, and by language what ``HashedTexts`` says."""
    counts = np.zeros(table.num_rows, np.int64)
    digests = np.zeros(table.num_rows, np.uint64)
    words = {}
    for code in LANGUAGES:
        rows = np.flatnonzero(pc.equal(table["language"], code).to_numpy())
        if not len(rows):
            continue
        hashes, offsets = hash_words(table["text"].take(pa.array(rows)).combine_chunks(), code)
        counts[rows] = np.diff(offsets)
        # An n-gram as long as the longest text: one hash of all words of each that has any.
        digest, _ = ngram_hashes(hashes, offsets, max(1, int(counts[rows].max())))
        digests[rows[counts[rows] > 0]] = digest
        words[code] = rows, hashes, offsets
    return counts, digests, words
