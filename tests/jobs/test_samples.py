from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from medray.corpus.medical.keywords import load_keywords
from medray.corpus.medical.medical_filter import MedicalFilterConfig, judge
from medray.instruct.questions import Question, read_questions
from medray.languages import LANGUAGES
from medray.storage.location import Location

# CulturaX's.
COLUMNS = ("text", "timestamp", "url", "source")


def documents(samples: Path, code: str) -> list[dict[str, Any]]:
    path = samples / "sources" / code / "documents.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def parquet(samples: Path, code: str) -> list[dict[str, Any]]:
    files = sorted((samples / "corpus" / code).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def exam(samples: Path, split: str, code: str) -> list[Question]:
    file = samples / "exams" / split / f"{LANGUAGES[code].exam_name}.jsonl"
    return read_questions(Location.of(file), "mmedbench", code)


@pytest.mark.parametrize("code", LANGUAGES)
def test_there_are_enough_documents_of_both_kinds(samples: Path, code: str) -> None:
    kinds = Counter(document["medical"] for document in documents(samples, code))
    assert kinds[True] >= 30
    assert kinds[False] >= 30


@pytest.mark.parametrize("code", LANGUAGES)
def test_documents_are_written_in_their_language(samples: Path, code: str) -> None:
    for document in documents(samples, code):
        letters = [c for c in document["text"] if c.isalpha()]
        own = sum(bool(LANGUAGES[code].script.match(letter)) for letter in letters)
        assert own > 0.8 * len(letters), document["title"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_parquet_files_hold_the_sources(samples: Path, code: str) -> None:
    rows = parquet(samples, code)
    assert {tuple(row) for row in rows} == {COLUMNS}
    texts = Counter(row["text"] for row in rows)
    assert texts == Counter(document["text"] for document in documents(samples, code))
    assert max(texts.values()) == 1
    assert len({row["url"] for row in rows}) == len(rows)


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_parquet_files_are_several_shards(samples: Path, code: str) -> None:
    files = sorted((samples / "corpus" / code).glob("*.parquet"))
    assert len(files) == 2
    assert all(pq.ParquetFile(file).num_row_groups >= 2 for file in files)


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_filter_keeps_every_medical_document_and_at_most_one_other(
    samples: Path, code: str
) -> None:
    missed, let_in = [], []
    for document in documents(samples, code):
        reason, scores = judge(document["text"], code, MedicalFilterConfig())
        if (reason == "kept") != document["medical"]:
            (missed if document["medical"] else let_in).append((document["title"], reason, scores))
    assert missed == []
    # Among the others are hard ones, such as the review of a novel about a nurse.
    assert len(let_in) <= 1, let_in


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_textbook_page_is_medical(samples: Path, code: str) -> None:
    path = samples / "sources" / code / "pages.jsonl"
    pages = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(pages) == 2
    for page in pages:
        text = "\n".join([page["title"], *page["paragraphs"]])
        assert judge(text, code, MedicalFilterConfig())[0] == "kept"


@pytest.mark.parametrize("code", LANGUAGES)
def test_there_is_a_scanned_textbook(samples: Path, code: str) -> None:
    file = samples / "scans" / code / f"{code}_textbook.pdf"
    assert file.read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("split", ["Train", "Test"])
def test_an_exam_has_eight_questions_with_rationales(samples: Path, split: str, code: str) -> None:
    questions = exam(samples, split, code)
    assert len(questions) == 8
    for question in questions:
        assert "".join(question.options) in ("ABCD", "ABCDE")
        assert len(set(question.options.values())) == len(question.options)
        assert len(question.rationale) > 20
    # A model that always names one letter must not look clever.
    assert max(Counter(q.answers for q in questions).values()) <= 4


def test_no_test_question_is_trained_on(samples: Path) -> None:
    def texts(split: str) -> list[str]:
        return [q.question.strip() for code in LANGUAGES for q in exam(samples, split, code)]

    train, test = texts("Train"), texts("Test")
    assert len(set(train + test)) == len(train) + len(test) == 96


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_keyword_list_has_200_distinct_entries(code: str) -> None:
    words = load_keywords(code).words
    assert len({word.casefold() for word in words}) == len(words) == 200
