from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.corpus.tokens.sample import (
    DOCUMENT_CHARACTERS,
    TRAINING_SHARDS,
    TextShard,
    gate_texts,
    training_texts,
)
from medray.storage.location import Location


def shard(folder: Path, language: str, number: int, texts: list[str]) -> TextShard:
    file = folder / f"{language}{number}.parquet"
    ids = [f"{language}{number}:{row}" for row in range(len(texts))]
    pq.write_table(pa.table({"document_id": ids, "text": texts}), file)
    characters = sum(map(len, texts))
    return TextShard(file.stem, language, Location.of(file), len(texts), characters)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[TextShard]:
    """Texts of 20 characters that name their place; en has three times as many as fr."""
    folder = tmp_path_factory.mktemp("kept")
    return [
        shard(folder, code, number, [f"{code} {number:4} {row:11}" for row in range(200)])
        for code, files in (("en", 6), ("fr", 2))
        for number in range(files)
    ]


def test_all_is_trained_on_where_there_is_no_more_than_wanted(shards: list[TextShard]) -> None:
    total = sum(one.characters for one in shards)
    assert len(set(training_texts(shards, total, 0))) == 1600


def test_a_sample_is_about_as_large_as_wanted_and_keeps_proportions(
    shards: list[TextShard],
) -> None:
    texts = list(training_texts(shards, 8000, 0))
    assert len(texts) == len(set(texts))
    # 400 documents wanted; the standard deviation of such a draw is 17.
    assert 400 - 70 < len(texts) < 400 + 70
    english = sum(text.startswith("en") for text in texts)
    assert 0.75 - 0.09 < english / len(texts) < 0.75 + 0.09
    assert len({text[:7] for text in texts}) == len(shards)


def test_a_sample_is_of_the_ids_and_the_seed_not_of_the_order(shards: list[TextShard]) -> None:
    drawn = list(training_texts(shards, 8000, 0))
    assert list(training_texts(shards[::-1], 8000, 0)) == drawn
    assert list(training_texts(shards, 8000, 1)) != drawn
    gate = gate_texts(shards, 20, 0)
    assert gate_texts(shards[::-1], 20, 0) == gate
    assert gate_texts(shards, 20, 1) != gate


def test_of_very_many_shards_some_stand_for_all(tmp_path: Path) -> None:
    count = TRAINING_SHARDS + 72
    many = [shard(tmp_path, "en", number, [f"{number:5}"] * 4) for number in range(count)]
    texts = list(training_texts(many, 2000, 0))
    # 400 documents wanted of 800, of which the 128 shards that are read have 512.
    assert 400 - 60 < len(texts) < 400 + 60
    assert len(set(texts)) <= TRAINING_SHARDS


def test_only_the_start_of_a_giant_document_is_trained_on(tmp_path: Path) -> None:
    giant = shard(tmp_path, "en", 0, ["x" * (DOCUMENT_CHARACTERS + 5)])
    (text,) = training_texts([giant], 10**9, 0)
    assert len(text) == DOCUMENT_CHARACTERS


def test_a_gate_has_so_many_whole_texts_of_each_language(shards: list[TextShard]) -> None:
    texts = gate_texts(shards, 31, 0)
    assert {code: len(found) for code, found in texts.items()} == {"en": 31, "fr": 31}
    assert all(text.startswith(code) for code, found in texts.items() for text in found)
    assert len({text[:7] for text in texts["en"]}) == 6
    assert gate_texts(shards[:1], 10**6, 0)["en"] == [f"en    0 {row:11}" for row in range(200)]
