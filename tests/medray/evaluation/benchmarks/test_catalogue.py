"""Benchmarks by declaration: every YAML on the real files, and what a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.item import Item

DECLARED = catalogue.names()
MEDS_BENCH_CATEGORIES = {
    "MCQA", "Text Summarization", "Explanation", "Named Entity Recognition", "Diagnosis",
    "Information Extraction", "Clinical Outcome Prediction", "Fact Verification",
    "Natural Language Inference", "Treatment Planning", "Text Classification",
}  # fmt: skip
# The numbers of items in the files, counted apart from this code.
COUNTS = {
    "medqa": 1273, "medqa_zh": 3426, "medmcqa": 4183, "pubmedqa": 500, "mmlu_medical": 1089,
    "headqa_es": 2742, "frenchmedmcqa": 622, "igakuqa": 2000, "rumeddanet": 256, "rumedner": 693,
    "ner_bc5cdr_chemical": 4797, "ner_bc5cdr_disease": 4797, "ner_ncbi_disease": 940,
    "hallmarks_of_cancer": 1852, "meqsum": 1000, "medicationqa": 690, "liveqa": 104,
    "medical_question_pairs": 3048, "bentsao_questions": 200, "alpacare_medinstruct": 216,
    "alpacare_icliniq": 1000, "mmedbench_sources": 9778,
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(real_data: Path) -> Path:
    return real_data / "evaluation" / "raw"


def by_id(raw: Path, name: str) -> dict[str, Item]:
    return {item.item_id: item for item in catalogue.items(catalogue.load(name), raw)}


@pytest.mark.parametrize("name", DECLARED)
def test_a_declaration_says_what_a_user_must_know(name: str) -> None:
    declared = catalogue.load(name)
    assert declared.name == name
    assert declared.licence and declared.citation and declared.obtain and declared.category
    if declared.published_reading:
        assert declared.as_published
    if declared.restricted:
        assert not catalogue.availability(declared, None)[declared.scored_split]


def test_meds_bench_has_its_categories_and_tasks() -> None:
    tasks = [catalogue.load(name) for name in DECLARED if name.startswith("meds_bench_task")]
    # The paper counts 52; its metric scripts also name task123, PubMedQA.
    assert len(tasks) == 53
    assert {task.category for task in tasks} == MEDS_BENCH_CATEGORIES
    assert {task.name for task in tasks if task.restricted} >= {
        "meds_bench_task78", "meds_bench_task112", "meds_bench_task117", "meds_bench_task131",
    }  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_a_benchmark_reads_all_its_real_items(name: str, raw: Path) -> None:
    found = by_id(raw, name)
    assert len(found) == COUNTS[name]
    for item in found.values():
        assert item.question
        if item.form in ("choice", "choices") and item.options:
            assert set(item.answers) <= set(item.options)


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [
        ("headqa_es", "train", 2657), ("headqa_es", "validation", 1366),
        ("frenchmedmcqa", "train", 2171), ("frenchmedmcqa", "validation", 312),
        ("rumeddanet", "train", 1052), ("rumeddanet", "validation", 256),
        ("rumedner", "train", 3440), ("rumedner", "validation", 676),
    ],
)  # fmt: skip
def test_other_splits_are_read(name: str, split: str, count: int, raw: Path) -> None:
    assert len(catalogue.items(catalogue.load(name), raw, split)) == count


def test_single_items_are_right(raw: Path) -> None:
    igakuqa = by_id(raw, "igakuqa")
    assert (igakuqa["112A1"].answers, igakuqa["112A1"].points) == (("E",), 1.0)
    assert igakuqa["112A1"].groups == {
        "year": "2018", "subject": "小児科", "text only": "True", "asks for": "letters",
    }  # fmt: skip
    either = igakuqa["112B30"]
    assert (either.answers, either.also_right, either.points) == (("A",), (("D",),), 3.0)
    number = igakuqa["112F84"]
    assert (number.answers, dict(number.options)) == (("1.2",), {})
    assert sum(len(item.answers) > 1 for item in igakuqa.values()) == 298
    assert sum(item.points for item in igakuqa.values()) == 2485
    french = by_id(raw, "frenchmedmcqa").values()
    assert sum(len(item.answers) > 1 for item in french) == 301
    assert list(by_id(raw, "medqa")["0"].options) == ["A", "B", "C", "D"]
    pairs = by_id(raw, "medical_question_pairs")
    assert (pairs["0"].answers, pairs["1"].answers) == (("yes",), ("no",))
    question = by_id(raw, "pubmedqa")["12377809"]
    assert question.question.startswith("Abstract: ") and "\nQuestion: " in question.question
    assert question.answers == ("yes",) and question.rationale


def test_entities_are_those_of_the_tags(raw: Path) -> None:
    sentence = by_id(raw, "ner_bc5cdr_disease")["0"]
    assert sentence.answers[:2] == ("Torsade de pointes", "ventricular tachycardia")
    assert len(sentence.tokens) == len(sentence.tags)
    # The corpora's own counts (papers: 5,385 chemicals, 4,424 and 960 diseases in the test sets).
    for name, count in (
        ("ner_bc5cdr_chemical", 5385), ("ner_bc5cdr_disease", 4424), ("ner_ncbi_disease", 960),
    ):  # fmt: skip
        assert sum(len(item.answers) for item in by_id(raw, name).values()) == count
    assert by_id(raw, "rumedner")["2523468.tsv_0"].answers[0] == "DI: простуда на губах"


def test_hallmarks_are_the_top_level_of_an_abstract_s_sentences(raw: Path) -> None:
    found = by_id(raw, "hallmarks_of_cancer")
    assert found["11724768"].answers == ("Sustaining proliferative signaling",)
    named = {label for item in found.values() for label in item.answers}
    assert named == set(found["11724768"].options)
    assert any(not item.answers for item in found.values())


def test_mmedbench_is_read_from_its_own_files(tmp_path: Path) -> None:
    row = {
        "question": "Which?", "options": {"A": "one", "B": "two", "C": "three"},
        "answer_idx": "A, C", "rationale": "Because.",
    }  # fmt: skip
    for language in ("English", "Chinese", "Japanese", "French", "Russian", "Spanish"):
        file = tmp_path / "mmedbench" / "Test" / f"{language}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match="split test has 6 items, 8518 are declared"):
        catalogue.items(catalogue.load("mmedbench"), tmp_path)
    declared = catalogue.load("mmedbench")
    test = declared.splits["test"].model_copy(update={"count": None})
    found = catalogue.items(declared.model_copy(update={"splits": {"test": test}}), tmp_path)
    assert [item.language for item in found] == ["en", "zh", "ja", "fr", "ru", "es"]
    assert found[0].answers == ("A", "C") and found[0].rationale == "Because."


@pytest.mark.parametrize(
    ("task", "instances", "answers", "options"),
    [
        (
            "task57_medqa_question_answering_en.jsonl",
            [{"input": "Question: Which?\nOptions: A: one\tB: two three\tE: five\t",
              "output": "The right answer is B: two three."}],
            [("B",)], ["A", "B", "E"],
        ),
        (
            "task131_SEER_text_classification_train.json",
            [{"input": "age: 60", "output": ["The treatment planning is: Surgery."]},
             {"input": "age: 70", "output": "The treatment planning is: None"}],
            [("Surgery",), ("None",)], ["None", "Surgery"],
        ),
        (
            "task125_bc4chem_named_enetity_recognition.json",
            [{"input": "Aspirin and ibuprofen.", "output": "aspirin, ibuprofen."},
             {"input": "Nothing.", "output": "There is no related enetity."}],
            [("aspirin", "ibuprofen"), ()], [],
        ),
        (
            "task112_mimic_cxr_text_summurization.json",
            [{"input": "Findings.", "output": "No acute process."}],
            [("No acute process.",)], [],
        ),
    ],
)  # fmt: skip
def test_a_task_that_may_not_be_passed_on_runs_once_it_is_there(
    tmp_path: Path,
    task: str,
    instances: list[dict[str, object]],
    answers: list[tuple[str, ...]],
    options: list[str],
) -> None:
    declared = catalogue.load(f"meds_bench_{task.partition('_')[0]}")
    with pytest.raises(InputError, match="To obtain it:"):
        catalogue.items(declared, tmp_path)
    assert catalogue.availability(declared, tmp_path) == {"test": False}
    file = tmp_path / "meds_bench" / task
    file.parent.mkdir()
    if file.suffix == ".json":
        file.write_text(json.dumps({"Definition": ["Do this."], "Instances": instances}))
    else:
        file.write_text("\n".join(map(json.dumps, instances)))
    found = catalogue.items(declared, tmp_path)
    assert [item.answers for item in found] == answers
    assert list(found[0].options) == options
    assert catalogue.availability(declared, tmp_path) == {"test": True}
    assert found[0].instruction == ("Do this." if file.suffix == ".json" else "")


OWN = {
    "name": "ward_exam", "title": "Our ward's exam", "family": "ours", "category": "exam",
    "language": "en", "form": "choice", "metrics": ["accuracy"], "licence": "ours",
    "citation": "none", "obtain": "ask the ward",
    "columns": {"question": "stem", "options": {"columns": ["a", "b"]}, "answers": "key"},
    "splits": {"test": {"parts": [{"files": "ward.csv"}]}},
}  # fmt: skip


def own(tmp_path: Path, **changes: object) -> Path:
    file = tmp_path / "ward.yaml"
    file.write_text(yaml.safe_dump(OWN | changes))
    return file


def test_a_benchmark_of_one_s_own_needs_a_yaml_alone(tmp_path: Path) -> None:
    (tmp_path / "ward.csv").write_text('stem,a,b,key\n"Which, then?",one,two,b\n')
    [item] = catalogue.items(catalogue.load(str(own(tmp_path))), tmp_path)
    assert (item.item_id, item.question, item.answers) == ("ward.csv:0", "Which, then?", ("B",))
    assert dict(item.options) == {"A": "one", "B": "two"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"metricks": []}, r"metricks: Extra inputs.*did you mean metrics"),
        ({"metrics": ["acuracy"]}, r"ward_exam: metrics.0: Input should be 'accuracy'"),
        ({"language": "xx"}, "language xx is none of"),
        ({"columns": {"question": "q", "answers": "a"}}, "form choice wants columns.options"),
        ({"splits": {"test": {"parts": [{}]}}}, "either files or benchmark"),
    ],
)
def test_a_wrong_declaration_names_file_and_key(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=told) as error:
        catalogue.load(str(own(tmp_path, **changes)))
    assert "ward.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stem,a,b,key\nWhich?,one,two,c\n", "row 0: answer C is none of A, B"),
        ("stem,a,b\nWhich?,one,two\n", "row 0: no column 'key'"),
        ("stem,a,b,key\n,one,two,a\n", "row 0: the question is empty"),
        ("stem,a,b,key\nWhich?,one,a\n", "line 2 has another number of columns"),
        ("stem,a,b,key\n", "split test has 0 items, 1 are declared"),
    ],
)
def test_a_wrong_row_names_file_and_row(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ward.csv").write_text(text)
    file = own(tmp_path, splits={"test": {"count": 1, "parts": [{"files": "ward.csv"}]}})
    with pytest.raises(InputError, match=told):
        catalogue.items(catalogue.load(str(file)), tmp_path)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no benchmark 'medq'; did you mean medqa\?"):
        catalogue.load("medq")
    with pytest.raises(InputError, match="no split train; there is test"):
        catalogue.items(catalogue.load("medqa"), Path(), "train")
