from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.reports.audit import (
    CONTEXT_CHARACTERS,
    DOCUMENTS_AT_ONCE,
    MAXIMUM_SENTENCE_CHARACTERS,
    AuditConfig,
    merge_samples,
    sample_sentences,
)

TEN = AuditConfig(sentences_per_language=10)


def documents(*texts: str, first: int = 0) -> pa.Table:
    ids = [f"d{first + number}" for number in range(len(texts))]
    return pa.table(
        {"document_id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())}
    )


def text_of(sentences: int) -> str:
    return " ".join(f"Sentence number {number} ends here." for number in range(sentences))


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.lists(st.integers(0, 30), max_size=3),
    st.integers(0, 2**64 - 1),
)
def test_the_sample_asks_for_no_sharding_and_no_order(
    lengths: list[int], cuts: list[int], seed: int
) -> None:
    config = AuditConfig(sentences_per_language=7, seed=seed)
    whole = documents(*(text_of(length) for length in lengths))
    borders = [0, *sorted(min(cut, len(lengths)) for cut in cuts), len(lengths)]
    shards = [whole.slice(a, b - a) for a, b in pairwise(borders)]
    expected = sample_sentences(whole, "en", config)
    merged = merge_samples([sample_sentences(s, "en", config) for s in shards[::-1]], config)
    assert merged == expected
    assert expected.rows.num_rows == min(7, sum(lengths))
    assert expected.sentences == {"en": sum(lengths)}


def test_every_sentence_has_the_same_chance() -> None:
    """One document of 90 sentences and ten of one: uniform over documents would take 9 % of it.

    100 draws of 10 of 100 sentences: 900 expected out of the long one, standard error 9.
    """
    texts = documents(text_of(90), *(["A sentence alone."] * 10))
    drawn = Counter[str]()
    places = Counter[int]()
    for seed in range(100):
        rows = sample_sentences(texts, "en", AuditConfig(sentences_per_language=10, seed=seed)).rows
        drawn.update(rows["document_id"].to_pylist())
        places.update(
            number // 30
            for name, number in zip(
                rows["document_id"].to_pylist(), rows["sentence_number"].to_pylist(), strict=True
            )
            if name == "d0"
        )
    assert drawn["d0"] == pytest.approx(900, abs=45)
    assert [places[third] for third in range(3)] == pytest.approx([300] * 3, abs=70)


def test_another_seed_gives_another_sample_and_the_same_seed_the_same() -> None:
    texts = documents(*(text_of(20) for _ in range(20)))
    one, again = (sample_sentences(texts, "en", TEN) for _ in range(2))
    other = sample_sentences(texts, "en", AuditConfig(sentences_per_language=10, seed=1))
    assert one == again
    assert one.rows["rank"].to_pylist() == sorted(one.rows["rank"].to_pylist())
    key = ("document_id", "sentence_number")
    assert other.rows.select(key) != one.rows.select(key)


def test_the_sample_is_stable_for_ever() -> None:
    """Written down once: a sheet that was marked must be found again in the same corpus."""
    rows = sample_sentences(documents(text_of(50), text_of(50)), "en", TEN).rows
    found = list(
        zip(rows["document_id"].to_pylist(), rows["sentence_number"].to_pylist(), strict=True)
    )
    assert found[:4] == [("d0", 39), ("d0", 25), ("d0", 24), ("d0", 35)]


def test_languages_are_sampled_apart() -> None:
    config = AuditConfig(sentences_per_language=3)
    english = sample_sentences(documents(text_of(9)), "en", config)
    chinese = sample_sentences(documents("患者好。" * 2, first=5), "zh", config)
    merged = merge_samples([english, chinese, sample_sentences(documents(), "ja", config)], config)
    assert Counter(merged.rows["language"].to_pylist()) == {"en": 3, "zh": 2}
    assert merged.sentences == {"en": 9, "zh": 2}


def test_a_row_shows_its_sentence_with_what_stands_around_it() -> None:
    text = f"{'Far before. ' * 40}Just before.\nThe\tsentence   itself!\nJust after. {'x' * 500}"
    rows = sample_sentences(documents(text), "en", AuditConfig(sentences_per_language=99)).rows
    (row,) = [row for row in rows.to_pylist() if "itself" in row["sentence"]]
    assert row["sentence"] == "The sentence itself!"
    assert row["before"].startswith("…")
    assert row["before"].endswith("Far before. Just before.")
    assert row["after"].startswith("Just after. xxx")
    assert row["after"].endswith("…")
    assert max(len(row["before"]), len(row["after"])) <= CONTEXT_CHARACTERS + 1


def test_a_sentence_without_end_is_shown_in_part() -> None:
    (row,) = sample_sentences(documents("word " * 100_000), "en", TEN).rows.to_pylist()
    assert len(row["sentence"]) <= MAXIMUM_SENTENCE_CHARACTERS + 1
    assert row["sentence"].endswith("…")


def test_more_documents_than_are_split_at_once_are_all_sampled_from() -> None:
    count = 2 * DOCUMENTS_AT_ONCE + 1
    found = sample_sentences(documents(*(["One sentence."] * count)), "en", TEN)
    assert found.sentences == {"en": count}
    assert found.rows.num_rows == 10


def test_real_documents_of_all_languages_give_sentences_to_read(real_data: Path) -> None:
    for folder in sorted(path for path in (real_data / "corpus").iterdir() if len(path.name) == 2):
        file = sorted(folder.glob("*.parquet"))[0]
        texts = pq.read_table(file, columns=["text"])["text"].slice(0, 150).to_pylist()
        sample = sample_sentences(documents(*texts), folder.name, AuditConfig())
        assert sample.rows.num_rows == 100
        lengths = sorted(len(sentence) for sentence in sample.rows["sentence"].to_pylist())
        assert 10 <= lengths[50] <= 250
