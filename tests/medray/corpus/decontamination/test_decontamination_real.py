"""Real exams, planted and as the real corpus holds them: found; everything else stays."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.corpus.decontamination import DecontaminateConfig, Decontamination
from medray.instruct.questions import Question, read_questions
from medray.languages import LANGUAGES
from medray.storage.location import Location

from .planted import PROSE, locate, step_of

DATA = Path(__file__).parents[4].parent / "shared" / "data"
RAW, CORPUS = DATA / "evaluation" / "raw", DATA / "corpus"
EXAMS: dict[str, Any] = {
    "en": ("medqa_us", "medqa_us_4opt/phrases_no_exclude_test.jsonl"),
    "zh": ("medqa_zh", "medqa_zh/medqa_zh.jsonl"),
    "ja": ("igakuqa", "igakuqa/*/*-[A-F].jsonl"),
    "fr": ("frenchmedmcqa", "frenchmedmcqa/test.json"),
    "ru": ("rumeddanet", "rumeddanet/test_v1.jsonl"),
    "es": ("headqa", "headqa_es/test_HEAD.json"),
}
# Sources of the corpus that hold these very exams, or laws that they quote.
EXAM_SOURCES = ("jungokasai/IgakuQA", "EQUES-Inc/pharma-LLM-eval", "pavel-blinov/RuMedBench")

pytestmark = pytest.mark.skipif(
    not RAW.is_dir() or not CORPUS.is_dir(), reason=f"the real exams are not at {DATA}"
)


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Decontamination:
    entries = [
        {"language": code, "format": form, "files": str(RAW / files)}
        for code, (form, files) in EXAMS.items()
    ]
    config = DecontaminateConfig.model_validate({"questions": entries})
    return step_of(config, tmp_path_factory.mktemp("index"))


def asked(language: str, count: int) -> list[Question]:
    """Return some questions of a language's exam, drawn at random."""
    form, files = EXAMS[language]
    questions = [
        question
        for file in locate(str(RAW / files), "files")
        for question in read_questions(Location.of(file), form, language)
    ]
    return random.Random(language).sample(questions, count)


def document(question: Question, chance: random.Random) -> str:
    """Return a page of prose with a question, its options shuffled under letters."""
    before, after = PROSE[question.language]
    options = chance.sample(sorted(question.options.values()), len(question.options))
    lines = [f"{letter}) {text}" for letter, text in zip("ABCDEFGHIJ", options, strict=False)]
    paragraphs = [before] * 4 + [question.question.upper(), "\n".join(lines), after]
    return "\n\n".join(paragraphs)


@pytest.mark.parametrize("language", LANGUAGES)
def test_planted_questions_of_real_exams_are_found(step: Decontamination, language: str) -> None:
    chance = random.Random(0)
    documents = [document(question, chance) for question in asked(language, 100)]
    judged = step(pa.array(documents), language)
    removed = judged.scores["removed_paragraphs"].to_pylist()
    # Left are questions of fewer words than are looked for alone, here with shuffled options.
    assert sum(count > 0 for count in removed) >= {"zh": 75, "es": 80, "fr": 90}.get(language, 98)
    assert judged.texts is not None
    prose = PROSE[language][0]
    assert all(left.as_py().count(prose) == 4 for left in judged.texts)


def sources(documents: Sequence[str]) -> list[str]:
    with gzip.open(CORPUS / "labels.csv.gz", "rt", encoding="utf-8") as file:
        origins = {row["url"]: row["origin_repo"] for row in csv.DictReader(file)}
    return [origins[url] for url in documents]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_real_corpus_loses_its_exams_and_nearly_nothing_else(
    step: Decontamination, language: str
) -> None:
    file = CORPUS / language / f"{language}_part_00001.parquet"
    table = pq.read_table(file, columns=["text", "url"]).slice(0, 1000)
    judged = step(table["text"].combine_chunks(), language)
    rows = zip(
        sources(table["url"].to_pylist()),
        judged.scores["removed_paragraphs"].to_pylist(),
        judged.reasons.to_pylist(),
        strict=True,
    )
    exams, touched, gone = 0, 0, 0
    for source, removed, reason in rows:
        exams += source == "jungokasai/IgakuQA"
        gone += source == "jungokasai/IgakuQA" and reason == "contaminated"
        touched += source not in EXAM_SOURCES and removed > 0
    assert touched <= 2
    assert gone >= 0.98 * exams
    assert exams > 100 or language != "ja"
