"""The first pass: every row of the input is read, judged, written down; the medical ones stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from medray.corpus.cleaning.rules import CleaningConfig
from medray.corpus.cleaning.step import Cleaning
from medray.corpus.inputs import CorpusInput
from medray.corpus.language_check import LanguageCheck, LanguageCheckConfig
from medray.corpus.medical.filter_config import MedicalFilterConfig
from medray.corpus.medical.keywords import KeywordList
from medray.corpus.medical.medical_filter import MedicalFilter
from medray.corpus.passes.chain import count_reasons, send_through
from medray.corpus.readers import read_documents
from medray.recipe import Config
from medray.storage.shards import Shard, ShardOutput

TEXT_HASH = pa.binary(16)


class FilterPassConfig(Config):
    """What decides, of one document alone, whether it is medical, in its language, and text."""

    filter: MedicalFilterConfig = Field(default=MedicalFilterConfig())
    language_check: LanguageCheckConfig = Field(default=LanguageCheckConfig())
    cleaning: CleaningConfig = Field(default=CleaningConfig())


@dataclass(frozen=True)
class FirstPass:
    """What every task of the first pass needs; small, so tasks carry it.

    ``keywords``: the lists by language. ``inputs``: the recipe's inputs by their shards' origin.
    """

    config: FilterPassConfig
    keywords: Mapping[str, KeywordList]
    inputs: Mapping[str, CorpusInput]

    def steps(self) -> tuple[MedicalFilter, LanguageCheck, Cleaning]:
        """Return the steps in order, built once in each process.

        The medical filter comes first: it is the cheapest for its bytes and leaves 1 to 5 % of a
        web corpus to the others.
        """
        return _built(self.config.model_dump_json(), tuple(sorted(self.keywords.items())))


@cache
def _built(
    config_json: str, keywords: tuple[tuple[str, KeywordList], ...]
) -> tuple[MedicalFilter, LanguageCheck, Cleaning]:
    config = FilterPassConfig.model_validate_json(config_json)
    return (
        MedicalFilter(config.filter, dict(keywords)),
        LanguageCheck(config.language_check),
        Cleaning(config.cleaning),
    )


def filter_shard(shard: Shard, first: FirstPass) -> Iterator[ShardOutput]:
    """Yield pieces of the tables ``decisions`` (every row) and ``kept`` of one shard.

    InputError for a broken file.
    """
    steps = first.steps()
    for documents in read_documents(shard, first.inputs[shard.origin]):
        passed = send_through(steps, documents, shard.language)
        decisions = passed.decisions.append_column("text_hash", hash_texts(documents["text"]))
        counts = {"documents": documents.num_rows} | count_reasons(passed.decisions)
        counts["kept_characters"] = count_characters(passed.documents)
        yield ShardOutput({"decisions": decisions, "kept": passed.documents}, counts)


def hash_texts(texts: pa.ChunkedArray) -> pa.Array:
    """Return XXH3's 128 bits of every text's UTF-8 bytes, null where there is none."""
    digest = xxhash.xxh3_128_digest
    values = texts.cast(pa.binary()).to_pylist()
    return pa.array([None if text is None else digest(text) for text in values], TEXT_HASH)


def count_characters(documents: pa.Table) -> int:
    """Return the number of characters (code points) of a table's texts."""
    return int(pc.sum(pc.utf8_length(documents["text"])).as_py() or 0)
