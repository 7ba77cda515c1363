"""Benchmarks by declaration: every YAML, what is told of a wrong one, and the files that lack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.declaration import NOT_STATED
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.benchmarks.readers import READERS

DECLARED = catalogue.names()
MEDS_BENCH_CATEGORIES = {
    "MCQA",
    "Text Summarization",
    "Explanation",
    "Named Entity Recognition",
    "Diagnosis",
    "Information Extraction",
    "Clinical Outcome Prediction",
    "Fact Verification",
    "Natural Language Inference",
    "Treatment Planning",
    "Text Classification",
}
# MedNLI and MIMIC need PhysioNet's leave, SEER its own.
RESTRICTED = {41, 42, 78, *range(83, 95), 112, 117, 118, 119, 131}


@pytest.mark.parametrize("name", DECLARED)
def test_a_declaration_says_what_a_user_must_know(name: str) -> None:
    declared = catalogue.load(name)
    assert declared.name == name
    assert NOT_STATED not in (declared.licence, declared.citation, declared.obtain)
    assert declared.title and declared.family != "own" and declared.category != "other"
    for line in (declared.licence, declared.citation, declared.obtain, declared.as_published):
        assert "\n" not in line
    if declared.published_reading:
        assert declared.as_published
    there = catalogue.availability(declared, None)
    assert not there.ready and all(there.missing.values()) and there.obtain == declared.obtain


def test_families_hold_every_benchmark_once() -> None:
    families = catalogue.families()
    members = [name for names in families.values() for name in names]
    assert members == DECLARED and len(set(members)) == len(members)
    assert families["english_exams"] == ["medmcqa", "medqa", "mmlu_medical", "pubmedqa"]


def test_meds_bench_has_its_categories_and_tasks() -> None:
    tasks = {
        int(name.removeprefix("meds_bench_task")): catalogue.load(name)
        for name in catalogue.families()["meds_bench"]
    }
    # The paper counts 52; the files that its authors published, and its metric scripts, are 53.
    assert len(tasks) == 53
    assert {task.category for task in tasks.values()} == MEDS_BENCH_CATEGORIES
    assert {number for number, task in tasks.items() if task.restricted} == RESTRICTED
    for number, task in tasks.items():
        [part] = task.splits["test"].parts
        assert part.files == f"meds_bench/**/task{number}_*.json*"
        assert (part.format, part.one_file) == ("task_json", True)
        assert task.as_published


def test_every_reader_is_used() -> None:
    parts = [
        part
        for name in DECLARED
        for split in catalogue.load(name).splits.values()
        for part in split.parts
    ]
    assert {part.reader for part in parts} - {None} == READERS.keys()


@pytest.mark.parametrize(
    ("task", "instances", "answers", "options"),
    [
        (
            "task57_medqa_question_answering_en.jsonl",
            [
                {
                    "input": "Question: Which?\nOptions: A: one\tB: two three\tE: five\t",
                    "output": "The right answer is B: two three.",
                }
            ],
            [("B",)],
            ["A", "B", "E"],
        ),
        (
            "task59_igakuqa_question_answering.jsonl",
            [
                {
                    "input": "質問: どれか\nオプション: A: 甲\tB: 乙\tC: 丙",
                    "output": "正しい答えは A: 甲, C: 丙 です",
                }
            ],
            [("A", "C")],
            ["A", "B", "C"],
        ),
        (
            "task123_pubmedqa_test_set.json",
            [
                {"input": "Abstract.", "output": "The right answer is maybe."},
                {"input": "x", "output": "Yes"},
            ],
            [("maybe",), ("yes",)],
            ["yes", "no", "maybe"],
        ),
        (
            "task130_DDXPlus_text_classification_test.json",
            [
                {"input": "Doctor: …", "output": "The diagnosis result is GERD."},
                {"input": "Doctor: …", "output": "The diagnosis result is anemia."},
            ],
            [("gerd",), ("anemia",)],
            ["anemia", "gerd"],
        ),
        (
            "task131_SEER_text_classification_train.json",
            [
                {
                    "input": "age: 60",
                    "output": ["The treatment planning is: Radiation after surgery"],
                },
                {"input": "age: 70", "output": "The treatment planning is: Observation"},
            ],
            [("Radiation after surgery",), ("Observation",)],
            [
                "Intraoperative rad with other rad before/after surgery",
                "Intraoperative radiation",
                "No radiation and/or cancer-directed surgery",
                "Radiation after surgery",
                "Radiation before and after surgery",
                "Radiation prior to surgery",
                "Surgery both before and after radiation",
                "Observation",
            ],
        ),
        (
            "task125_test_bc4chem_named_enetity_recognition.json",
            [
                {"input": "Aspirin and ibuprofen.", "output": "aspirin, ibuprofen."},
                {"input": "Nothing.", "output": "There is no related enetity."},
            ],
            [("aspirin", "ibuprofen"), ()],
            [],
        ),
        (
            "task41_test_mednli_textual_entailment_discrimitive.json",
            [{"input": "Sentence1: …\n\nSentence2: …", "output": "Entailment"}],
            [("entailment",)],
            ["entailment", "contradiction", "neutral"],
        ),
        (
            "task119_mimic4ed_benchmark_critical_triage.json",
            [{"input": "age: 60", "output": "True"}, {"input": "age: 61", "output": "False"}],
            [("True",), ("False",)],
            ["True", "False"],
        ),
        (
            "task16_test_healthfact_classification.json",
            [{"input": "Claim", "output": ["2"]}],
            [("2",)],
            ["0", "1", "2"],
        ),
        (
            "task29_drug_dose_extraction.json",
            [{"input": "…", "output": ["5 mg", "5 mg daily"]}],
            [("5 mg", "5 mg daily")],
            [],
        ),
        (
            "task112_mimic_cxr_text_summurization.json",
            [{"input": "Findings.", "output": "No acute process."}],
            [("No acute process.",)],
            [],
        ),
    ],
)
def test_a_task_that_is_not_passed_on_runs_once_it_is_there(
    tmp_path: Path,
    task: str,
    instances: list[dict[str, object]],
    answers: list[tuple[str, ...]],
    options: list[str],
) -> None:
    name = task.partition("_")[0]
    declared = catalogue.load(f"meds_bench_{name}")
    with pytest.raises(InputError, match=rf"no meds_bench/.*{name}_.* To obtain it: "):
        catalogue.items(declared, tmp_path)
    assert catalogue.availability(declared, tmp_path).missing == {
        "test": (f"meds_bench/**/{name}_*.json*",)
    }
    file = tmp_path / "meds_bench" / "Some_category" / task
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"Definition": ["Do this."], "Instances": instances}, indent=4))
    assert catalogue.availability(declared, tmp_path).ready
    found = catalogue.items(declared, tmp_path)
    assert [item.answers for item in found] == answers
    assert list(found[0].options) == options
    assert {item.instruction for item in found} == {"Do this."}
    # As JSON Lines, without a definition: the declaration's own words.
    file.unlink()
    lines = file.with_suffix(".jsonl")
    lines.write_text("\n".join(map(json.dumps, instances)))
    found = catalogue.items(declared, tmp_path)
    assert [item.answers for item in found] == answers
    assert {item.instruction for item in found} == {declared.instruction} != {""}


def test_two_files_of_one_task_are_refused(tmp_path: Path) -> None:
    for name in ("task57_en.json", "task57_en.jsonl"):
        (tmp_path / "meds_bench").mkdir(exist_ok=True)
        (tmp_path / "meds_bench" / name).write_text("{}")
    with pytest.raises(InputError, match=r"task57_en.json, .*task57_en.jsonl: one of these"):
        catalogue.items(catalogue.load("meds_bench_task57"), tmp_path)


def without_count(name: str, split: str) -> Any:
    declared = catalogue.load(name)
    changed = declared.splits[split].model_copy(update={"count": None})
    return declared.model_copy(update={"splits": {split: changed}})


def test_mmedbench_is_read_from_its_own_files(tmp_path: Path) -> None:
    row = {
        "question": "Which?",
        "options": {"A": "one", "B": "two", "C": "three"},
        "answer_idx": "A, C",
        "rationale": "Because.",
        "human_checked": True,
    }
    rows = [row | {"human_check_passed": passed} for passed in (True, False)]
    for split in ("Test", "Train"):
        for language in ("English", "Chinese", "Japanese", "French", "Russian", "Spanish"):
            file = tmp_path / "mmedbench" / split / f"{language}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="split test has 12 items, 8518 are declared"):
        catalogue.items(catalogue.load("mmedbench"), tmp_path)
    found = catalogue.items(without_count("mmedbench", "test"), tmp_path)
    assert [item.language for item in found[::2]] == ["en", "zh", "ja", "fr", "ru", "es"]
    assert (found[0].item_id, found[0].answers) == ("English:0", ("A", "C"))
    # Only a rationale that was checked and passed is scored; all teach.
    assert [item.rationale for item in found[:2]] == ["Because.", ""]
    taught = catalogue.items(without_count("mmedbench", "train"), tmp_path)
    assert {item.rationale for item in taught} == {"Because."}


TEN_LINES = """
name: ward_exam
languages: [en]
form: choice
metrics: [accuracy]
columns:
  question: stem
  options: {columns: [a, b]}
  answers: key
splits:
  test: {files: ward.csv}
"""


def own(tmp_path: Path, rows: str, **changes: object) -> Path:
    (tmp_path / "ward.csv").write_text(rows)
    file = tmp_path / "ward.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(TEN_LINES) | changes))
    return file


def test_a_benchmark_of_one_s_own_needs_ten_lines_and_no_code(tmp_path: Path) -> None:
    assert len(TEN_LINES.strip().splitlines()) == 10
    file = own(tmp_path, 'stem,a,b,key\n"Which, then?",one,two,b\n')
    declared = catalogue.load(str(file))
    assert catalogue.availability(declared, tmp_path).ready
    assert catalogue.items(declared, tmp_path) == [
        Item("ward:0", "en", "Which, then?", ("B",), options={"A": "one", "B": "two"})
    ]
    assert catalogue.load(f"{file}:ward_exam") == declared
    assert "ward_exam" not in catalogue.names()


def test_one_of_several_benchmarks_in_a_file_is_named_behind_a_colon(tmp_path: Path) -> None:
    defaults = yaml.safe_load(TEN_LINES)
    del defaults["name"]
    file = tmp_path / "wards.yml"
    names: Sequence[str] = ("surgery", "geriatrics")
    file.write_text(
        yaml.safe_dump({"defaults": defaults, "benchmarks": [{"name": n} for n in names]})
    )
    assert catalogue.load(f"{file}:geriatrics").name == "geriatrics"
    for wrong in (str(file), f"{file}:pharmacy"):
        with pytest.raises(InputError, match=r"declares surgery, geriatrics; name one: .*:NAME"):
            catalogue.load(wrong)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("stem,a,b,key\nWhich?,one,two,c\n", "ward.csv: row 0: answer C is none of A, B"),
        ("stem,a,b\nWhich?,one,two\n", "ward.csv: row 0: no column 'key'"),
        ("stem,a,b,key\n,one,two,a\n", "ward.csv: row 0: the question is empty"),
        ("stem,a,b,key\nWhich?,one,a\n", "ward.csv: .*line 2 has another number of columns"),
        ("stem,a,b,key\n", "ward_exam: split test has 0 items, some are declared"),
    ],
)
def test_a_wrong_row_names_file_and_row(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        catalogue.items(catalogue.load(str(own(tmp_path, rows))), tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"splits": {"test": {"files": "ward.csv", "count": 3}}}, "has 2 items, 3 are declared"),
        ({"void": ["ward:7"]}, "void names ward:7, which is not there"),
        ({"splits": {"test": {"files": "w.csv"}}}, "no w.csv below .*To obtain it: not stated"),
        ({"splits": {"test": {"files": "ward.csv", "where": {"ward": "3"}}}}, "no column 'ward'"),
    ],
)
def test_what_is_declared_is_held_against_the_data(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    file = own(tmp_path, "stem,a,b,key\nWhich?,one,two,a\nWhy?,one,two,a\n", **changes)
    with pytest.raises(InputError, match=told):
        catalogue.items(catalogue.load(str(file)), tmp_path)


def test_an_id_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    columns = yaml.safe_load(TEN_LINES)["columns"] | {"id": "{stem}"}
    file = own(tmp_path, "stem,a,b,key\nWhy?,one,two,a\nWhy?,1,2,a\n", columns=columns)
    with pytest.raises(InputError, match=r"split test: id Why\? is there twice"):
        catalogue.items(catalogue.load(str(file)), tmp_path)


def test_an_unknown_name_or_split_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no benchmark 'medq'; did you mean medqa;"):
        catalogue.load("medq")
    with pytest.raises(InputError, match="no split train; there is test"):
        catalogue.items(catalogue.load("medqa"), tmp_path, "train")
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read as YAML"):
        catalogue.load(str(tmp_path / "none.yaml"))
