"""The declared benchmarks on their real files: counts, single items, the older readers."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import pytest

from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.iob import spans
from medray.evaluation.benchmarks.item import Item
from medray.instruct.questions import Format, read_questions
from medray.storage.location import Location

# Items in the files, counted apart from this code (papers' sizes, raw_counts.json).
COUNTS = {
    ("medqa", "test"): 1273,
    ("medqa_zh", "test"): 3426,
    ("medmcqa", "validation"): 4183,
    ("pubmedqa", "test"): 500,
    ("mmlu_medical", "test"): 1089,
    ("headqa_es", "train"): 2657,
    ("headqa_es", "validation"): 1366,
    ("headqa_es", "test"): 2742,
    ("frenchmedmcqa", "train"): 2171,
    ("frenchmedmcqa", "validation"): 312,
    ("frenchmedmcqa", "test"): 622,
    ("igakuqa", "test"): 2000,
    ("rumeddanet", "train"): 1052,
    ("rumeddanet", "validation"): 256,
    ("rumeddanet", "test"): 256,
    ("rumedner", "train"): 3440,
    ("rumedner", "validation"): 676,
    ("rumedner", "test"): 693,
    ("ner_bc5cdr_chemical", "test"): 4797,
    ("ner_bc5cdr_disease", "test"): 4797,
    ("ner_ncbi_disease", "test"): 940,
    ("hallmarks_of_cancer", "test"): 1852,
    ("meqsum", "test"): 1000,
    ("medicationqa", "test"): 690,
    ("liveqa", "test"): 104,
    ("medquad", "test"): 811 - 86,
    ("medical_question_pairs", "test"): 3048,
    ("bentsao_questions", "test"): 200,
    ("alpacare_medinstruct", "test"): 216,
    ("alpacare_icliniq", "test"): 1000,
    ("mmedbench_sources", "test"): 9778,
}


@pytest.fixture(scope="module")
def raw(real_data: Path) -> Path:
    return real_data / "evaluation" / "raw"


@cache
def items(raw: Path, name: str, split: str | None = None) -> dict[str, Item]:
    found = catalogue.items(catalogue.load(name), raw, split)
    by_id = {item.item_id: item for item in found}
    assert len(by_id) == len(found)
    return by_id


def test_all_that_lies_there_is_counted_here(raw: Path) -> None:
    there = {
        (name, split)
        for name in catalogue.names()
        for split, lacks in catalogue.availability(catalogue.load(name), raw).missing.items()
        if not lacks
    }
    assert there == COUNTS.keys()


@pytest.mark.parametrize(("name", "split"), COUNTS)
def test_a_benchmark_reads_all_its_real_items(name: str, split: str, raw: Path) -> None:
    found = items(raw, name, split)
    assert len(found) == COUNTS[name, split]
    for item in found.values():
        assert item.question.strip() == item.question != ""
        if item.options:
            assert {a for answers in (item.answers, *item.also_right) for a in answers} <= set(
                item.options
            )
            assert all(item.options.values()) or item.form in ("label", "labels")
        may_be_empty = item.form in ("labels", "entities") or name == "bentsao_questions"
        assert item.answers or may_be_empty
        assert all(answer.strip() == answer != "" for answer in item.answers)


def test_igakuqa(raw: Path) -> None:
    found = items(raw, "igakuqa")
    first = found["112A1"]
    assert (first.answers, first.points) == (("E",), 1.0)
    assert first.groups == {
        "year": "2018",
        "subject": "小児科",
        "text only": "true",
        "asks for": "letters",
    }
    either = found["112B30"]
    assert (either.answers, either.also_right, either.points) == (("A",), (("D",),), 3.0)
    assert [item.item_id for item in found.values() if item.void] == ["116A71"]
    numbers = [item for item in found.values() if item.groups["asks for"] == "a number"]
    assert len(numbers) == 12 and not any(item.options for item in numbers)
    assert found["112F84"].answers == ("1.2",)
    several = [len(item.answers) for item in found.values() if len(item.answers) > 1]
    assert (several.count(2), several.count(3), len(several)) == (243, 55, 298)
    assert sum(item.points for item in found.values()) == 2485
    by_year = {
        year: [i for i in found.values() if i.groups["year"] == year]
        for year in ("2018", "2019", "2020", "2021", "2022")
    }
    assert [len(of_year) for of_year in by_year.values()] == [400] * 5
    assert [sum(i.points for i in of) for of in by_year.values()] == [499, 496, 496, 500, 494]
    assert max(len(item.options) for item in found.values()) == 8


def test_igakuqa_s_published_answers_score_as_stated(real_data: Path, raw: Path) -> None:
    """Exact sets, 116A71 void, 112B30 with two right sets: 1,080 and 807 right, 1,366 points."""
    golden = real_data / "evaluation" / "golden" / "igakuqa_baseline"
    stated = {
        r["system"]: r for r in json.loads((golden / "expected.json").read_bytes())["results"]
    }
    gold = items(raw, "igakuqa")
    for system in ("chatgpt", "gpt3"):
        right = []
        for file in sorted(golden.glob(f"*/*_{system}.jsonl")):
            for row in map(json.loads, file.read_bytes().splitlines()):
                item = gold[row["problem_id"]]
                said = sorted(row["prediction"].split(","))
                upper = [part.upper() for part in said] if item.options else said
                if item.void or any(upper == sorted(s) for s in (item.answers, *item.also_right)):
                    right.append(item)
        assert len(right) == stated[system]["correct_official"]
        assert sum(item.points for item in right) == stated[system]["score"]


def test_multiple_choice(raw: Path) -> None:
    french = items(raw, "frenchmedmcqa").values()
    sizes = [len(item.answers) for item in french]
    assert [sizes.count(n) for n in (1, 2, 3, 4, 5)] == [321, 97, 141, 56, 7]
    answers = [item.answers[0] for item in items(raw, "medqa").values()]
    assert [answers.count(letter) for letter in "ABCD"] == [353, 309, 346, 265]
    answers = [item.answers[0] for item in items(raw, "medmcqa").values()]
    assert [answers.count(letter) for letter in "ABCD"] == [1348, 1085, 925, 825]
    answers = [item.answers[0] for item in items(raw, "medqa_zh").values()]
    assert [answers.count(letter) for letter in "ABCDE"] == [601, 727, 730, 735, 633]
    subjects = [item.groups["subject"] for item in items(raw, "mmlu_medical").values()]
    assert {subject: subjects.count(subject) for subject in subjects} == {
        "anatomy": 135,
        "clinical_knowledge": 265,
        "college_biology": 144,
        "college_medicine": 173,
        "medical_genetics": 100,
        "professional_medicine": 272,
    }
    assert sum(bool(item.rationale) for item in items(raw, "medmcqa").values()) == 4183 - 1977


def test_labels(raw: Path) -> None:
    answers = [item.answers[0] for item in items(raw, "pubmedqa").values()]
    assert [answers.count(label) for label in ("yes", "no", "maybe")] == [276, 169, 55]
    question = items(raw, "pubmedqa")["12377809"]
    assert question.question.startswith("Abstract: ") and "\nQuestion: " in question.question
    answers = [item.answers[0] for item in items(raw, "medical_question_pairs").values()]
    assert [answers.count(label) for label in ("yes", "no")] == [1524, 1524]
    for split in ("train", "validation", "test"):
        answers = [item.answers[0] for item in items(raw, "rumeddanet", split).values()]
        assert answers.count("да") == answers.count("нет") == len(answers) / 2


def test_hallmarks_are_the_top_level_of_an_abstract_s_sentences(raw: Path) -> None:
    found = items(raw, "hallmarks_of_cancer")
    assert found["11724768"].answers == ("Sustaining proliferative signaling",)
    said = [label for item in found.values() for label in item.answers]
    assert {label: said.count(label) for label in said} == {
        "Sustaining proliferative signaling": 462,
        "Resisting cell death": 429,
        "Genomic instability and mutation": 333,
        "Activating invasion and metastasis": 291,
        "Evading growth suppressors": 240,
        "Tumor promoting inflammation": 240,
        "Inducing angiogenesis": 143,
        "Enabling replicative immortality": 115,
        "Avoiding immune destruction": 108,
        "Cellular energetics": 105,
    }
    assert sum(not item.answers for item in found.values()) == 272


def test_entities_are_those_of_the_tags(raw: Path) -> None:
    sentence = items(raw, "ner_bc5cdr_disease")["0"]
    assert sentence.answers[:2] == ("Torsade de pointes", "ventricular tachycardia")
    counts = {"ner_bc5cdr_chemical": 5385, "ner_bc5cdr_disease": 4424, "ner_ncbi_disease": 960}
    for name, count in counts.items():
        found = items(raw, name).values()
        assert sum(len(item.answers) for item in found) == count
        assert all(len(i.tokens) == len(i.tags) and i.question == " ".join(i.tokens) for i in found)
    russian = items(raw, "rumedner")
    assert russian["2523468.tsv_0"].answers[0] == "DI: простуда на губах"
    # The published systems' scores are of 645 entities in the test split.
    assert sum(len(spans(item.tags)) for item in russian.values()) == 332 + 313


def test_free_answers(raw: Path) -> None:
    live = items(raw, "liveqa")
    # 167 stand in the file, those of TQ43 are equal.
    assert sum(len(item.answers) for item in live.values()) == 166
    assert len(live["TQ1"].answers) == 3
    assert items(raw, "meqsum")["0"].answers == ("Who manufactures cetirizine?",)
    page = items(raw, "medquad")["GARD:0000004-1"]
    assert page.groups == {"source": "GARD", "kind": "symptoms"}
    assert page.question == "What are the symptoms of ABCD syndrome ?"
    chapters = {item.groups["chapter"] for item in items(raw, "bentsao_questions").values()}
    assert len(chapters) > 5
    [difficulties] = [[i.groups["difficulty"] for i in items(raw, "alpacare_medinstruct").values()]]
    assert [difficulties.count(level) for level in "12345"] == [44, 46, 41, 41, 44]


def test_mmedbench_s_sources_have_its_languages_and_sizes(raw: Path) -> None:
    found = list(items(raw, "mmedbench_sources").values())
    assert {item.form for item in found} == {"choices"}
    languages = [item.language for item in found]
    assert {code: languages.count(code) for code in languages} == {
        "en": 1273,
        "zh": 3426,
        "ja": 1459,
        "fr": 622,
        "ru": 256,
        "es": 2742,
    }
    russian = next(item for item in found if item.language == "ru")
    assert dict(russian.options) == {"A": "да", "B": "нет"} and russian.answers == ("A",)
    assert russian.item_id.startswith("rumeddanet/") and russian.groups["benchmark"] == "rumeddanet"


@pytest.mark.parametrize(
    ("name", "form", "files"),
    [
        ("medqa", "medqa_us", "medqa_us_4opt/phrases_no_exclude_test.jsonl"),
        ("medqa_zh", "medqa_zh", "medqa_zh/medqa_zh.jsonl"),
        ("medmcqa", "medmcqa", "medmcqa/dev.json"),
        ("igakuqa", "igakuqa", "igakuqa/*/1??-?.jsonl"),
        ("frenchmedmcqa", "frenchmedmcqa", "frenchmedmcqa/test.json"),
        ("headqa_es", "headqa", "headqa_es/test_HEAD.json"),
    ],
)
def test_the_readers_that_teach_read_the_same(
    name: str, form: Format, files: str, raw: Path
) -> None:
    """What is taught and what is asked must not differ by who reads the file."""
    taught = [
        q
        for file in sorted(raw.glob(files))
        for q in read_questions(Location.of(str(file)), form, "en")
    ]
    # Teaching leaves out what has no single set of letters.
    asked = [i for i in items(raw, name).values() if i.options and not i.also_right]
    assert len(taught) == len(asked)
    for question, item in zip(taught, asked, strict=True):
        assert question.question.strip() == item.question
        assert (question.options, question.answers) == (dict(item.options), item.answers)
        assert question.rationale == item.rationale


def test_mmlu_s_cells_hold_commas_and_line_ends(raw: Path) -> None:
    with (raw / "mmlu_medical" / "professional_medicine_test.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    found = [i for i in items(raw, "mmlu_medical").values() if "professional_medicine" in i.item_id]
    assert [item.question for item in found] == [row[0].strip() for row in rows]
