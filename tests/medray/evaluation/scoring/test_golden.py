"""Real models' outputs with known scores: every published figure, to its last digit."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.item import AnswerForm, Item
from medray.evaluation.metrics.text import Mode
from medray.evaluation.scoring.predictions import Prediction, read_predictions
from medray.evaluation.scoring.score import Score, results_of, rows_of, score
from medray.storage.location import Location

Rows = Iterable[dict[str, Any]]


@pytest.fixture(scope="module")
def raw(real_data: Path) -> Path:
    return real_data / "evaluation" / "raw"


@pytest.fixture(scope="module")
def golden(real_data: Path) -> Path:
    return real_data / "evaluation" / "golden"


def scored(
    name: str, data: Path, rows: Rows, folder: Path, mode: Mode = "correct"
) -> tuple[Score, dict[str, Any]]:
    """Return the score of an answer file with these rows, and its results."""
    file = folder / "answers.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    declaration = catalogue.load(name)
    items = catalogue.items(declaration, data)
    predictions = read_predictions(Location.of(file), items, all_answered=True)
    found = score(declaration, declaration.scored_split, items, predictions, mode=mode)
    return found, results_of(found)


def expected(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    assert found["verified"] is True
    return found


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("system", ["chatgpt", "gpt3"])
def test_igakuqa_s_baselines(raw: Path, golden: Path, tmp_path: Path, system: str) -> None:
    folder = golden / "igakuqa_baseline"
    [told] = [r for r in expected(folder)["results"] if r["system"] == system]
    files = sorted(folder.glob(f"*/*_{system}.jsonl"))
    rows = [{"id": r["problem_id"], "output": r["prediction"]} for f in files for r in lines(f)]
    found, results = scored("igakuqa", raw, rows, tmp_path, "as-published")
    right = found.measures[0].values
    assert int(right.sum()) == told["correct_official"]
    assert f"{100 * results['metrics']['accuracy']['value']:.2f}" == f"{told['acc_official']:.2f}"
    points = results["metrics"]["points"]["sums"]
    assert points == [told["score"], told["score_total"]]
    for year, of_year in told["per_year"].items():
        group = results["groups"]["year"][year]
        assert group["items"] == of_year["n"]
        assert group["metrics"]["accuracy"]["value"] == of_year["correct_official"] / of_year["n"]
        assert group["metrics"]["points"]["sums"] == [of_year["score"], of_year["score_total"]]
    text_only = results["groups"]["text only"]["true"]
    assert text_only["items"] == told["text_only_n"]
    assert text_only["metrics"]["accuracy"]["value"] == pytest.approx(
        told["text_only_official"] / told["text_only_n"], abs=1e-12
    )
    # Exact sets without the two questions that the examiners take more answers to.
    rows_read = zip(found.items, rows_of(found), strict=True)
    strict = [row["right"] and _gives_exactly(item, row) for item, row in rows_read]
    assert sum(strict) == told["correct_exact"]
    several = [len(item.answers) > 1 for item in found.items]
    assert sum(several) == told["multi_answer_n"]
    assert sum(a and b for a, b in zip(strict, several, strict=True)) == told["multi_answer_exact"]
    # Read right, no answer is lost by a blank or a capital.
    _, right_results = scored("igakuqa", raw, rows, tmp_path)
    assert right_results["metrics"]["accuracy"]["value"] * 2000 >= told["correct_trimmed"]


def _gives_exactly(item: Item, row: dict[str, Any]) -> bool:
    return set(row["read"]) == set(item.answers) and not item.also_right


@pytest.mark.parametrize("run", [0, 1])
def test_mirage_s_raw_outputs(raw: Path, golden: Path, tmp_path: Path, run: int) -> None:
    folder = golden / "mirage_medqa"
    told = expected(folder)["results"][run]
    files = sorted((folder / "medqa" / told["path"]).glob("test_*.json"))
    outputs = [json.loads(file.read_text()) for file in files]
    rows = [{"id": number, "output": next(iter(o), "")} for number, o in enumerate(outputs)]
    published, results = scored("medqa", raw, rows, tmp_path, "as-published")
    right = int(published.measures[0].values.sum())
    assert right == told["correct_with_stale_variable"]
    assert f"{100 * results['metrics']['accuracy']['value']:.2f}" == str(
        told["published_accuracy_pct"]
    )
    found, results = scored("medqa", raw, rows, tmp_path)
    right = int(found.measures[0].values.sum())
    # No answer is guessed. Broken JSON is still read where the letter stands in it.
    assert told["strict_json_correct"] <= right <= told["no_guess_correct"]
    # Nothing that MIRAGE takes for A by default, or for the answer before, is taken for an answer.
    guessed = {*told["fallback_indices"], *told["empty_output_indices"]}
    unparsed = {n for n, reading in enumerate(found.readings) if reading.rule == "unparsed"}
    assert guessed <= unparsed and len(unparsed - guessed) <= 6
    assert results["unparsed"] == len(unparsed)


@pytest.mark.parametrize("system", ["naive", "linear", "bilstm"])
def test_rumedbench_s_baselines(raw: Path, golden: Path, tmp_path: Path, system: str) -> None:
    folder = golden / "rumedbench"
    [told] = [r for r in expected(folder)["results"] if r["system"] == system]
    tagged = lines(folder / system / "RuMedNER.jsonl")
    rows = [{"id": row["idx"], "output": row["prediction"]} for row in tagged]
    _, results = scored("rumedner", raw, rows, tmp_path)
    metrics = results["metrics"]
    assert metrics["entity_f1"]["sums"] == [told["ner_tp"], told["ner_fp"], told["ner_fn"]]
    assert f"{100 * metrics['entity_f1']['value']:.2f}" == str(told["published"]["ner_f1"])
    assert 100 * metrics["token_accuracy"]["value"] == pytest.approx(
        told["published"]["ner_token_acc"], abs=0.005
    )
    assert results["left_out"] == {"micro_f1": "outputs are tags; see entity_f1"}
    # The naive system's questions are another version's: gold is what stands in its own file.
    (tmp_path / "danet.yaml").write_text(
        "name: danet\nlanguages: [ru]\nform: label\nmetrics: [accuracy]\n"
        'columns: {id: "{pairID}", question: pairID, answers: answer,'
        ' options: {fixed: {да: "", нет: ""}}}\n'
        "splits: {test: {files: RuMedDaNet.jsonl}}\n"
    )
    answered = lines(folder / system / "RuMedDaNet.jsonl")
    rows = [{"id": row["pairID"], "output": row["prediction"]} for row in answered]
    _, results = scored(str(tmp_path / "danet.yaml"), folder / system, rows, tmp_path)
    accuracy = results["metrics"]["accuracy"]
    assert (accuracy["n"], accuracy["value"]) == (told["danet_n"], told["danet_correct"] / 256)
    assert f"{100 * accuracy['value']:.2f}" == f"{told['published']['danet_acc']:.2f}"


@pytest.mark.parametrize(
    ("column", "run"),
    [
        ("reasoning_free_pred", "reasoning_free_human"),
        ("reasoning_required_pred", "reasoning_required_human"),
        (None, "majority_yes"),
    ],
)
def test_pubmedqa_s_people(
    raw: Path, golden: Path, tmp_path: Path, column: str | None, run: str
) -> None:
    told = expected(golden / "pubmedqa_human")["results"][run]
    rows = json.loads((raw / "pubmedqa" / "ori_pqal.json").read_text())
    test = json.loads((raw / "pubmedqa" / "test_ground_truth.json").read_text())
    answers = [{"id": key, "output": rows[key][column] if column else "yes"} for key in test]
    _, results = scored("pubmedqa", raw, answers, tmp_path)
    assert 100 * results["metrics"]["accuracy"]["value"] == pytest.approx(told["accuracy_pct"])
    assert 100 * results["metrics"]["macro_f1"]["value"] == pytest.approx(
        told["macro_f1_pct"], abs=5e-5
    )


RATIONALES = """
name: rationales
languages: [en, zh, ja]
form: text
metrics: [text]
columns:
  id: "{row}"
  question: task_id
  answers: GT
splits:
  test:
    count: 150
    parts:
      - {files: rationale.csv, where: {task_id: task52}, language: en}
      - {files: rationale.csv, where: {task_id: task51}, language: zh}
      - {files: rationale.csv, where: {task_id: task54}, language: ja}
"""
COLUMNS = {
    "BLEU-1": "bleu_1",
    "BLEU-4": "bleu_4",
    "ROUGE-1": "rouge_1",
    "ROUGE-2": "rouge_2",
    "ROUGE-L": "rouge_l",
}


def test_meds_ins_s_rationales(golden: Path, tmp_path: Path) -> None:
    folder = golden / "meds_ins_rationale"
    told = expected(folder)["package_metrics"]["values"]
    shutil.copy(folder / "rationale_en_zh_ja.csv", tmp_path / "rationale.csv")
    (tmp_path / "rationales.yaml").write_text(RATIONALES)
    with (tmp_path / "rationale.csv").open(encoding="utf-8", newline="") as file:
        outputs = [row["output"] for row in csv.DictReader(file)]
    rows = [{"id": number, "output": output} for number, output in enumerate(outputs)]
    _, results = scored(str(tmp_path / "rationales.yaml"), tmp_path, rows, tmp_path, "as-published")
    by_part = {code: results["languages"][code]["metrics"] for code in ("en", "zh", "ja")}
    by_part["macro_avg"] = results["macro"]
    for part, metrics in by_part.items():
        for column, name in COLUMNS.items():
            assert 100 * metrics[name]["value"] == pytest.approx(told[part][column], abs=5e-3), (
                part,
                column,
            )
    assert set(results["differences"]) >= set(COLUMNS.values())
    # Counted right, "ROUGE-L" is another number: that of the published table is no LCS F1.
    _, right = scored(str(tmp_path / "rationales.yaml"), tmp_path, rows, tmp_path)
    assert right["macro"]["rouge_l"]["value"] < results["macro"]["rouge_l"]["value"] - 0.02


@pytest.mark.parametrize("name", [n for n in catalogue.names() if n.startswith("meds_bench")])
def test_every_declared_metric_is_computed_in_both_modes(name: str) -> None:
    """The data is not there; a made item of each task's form is scored as its metrics say."""
    declaration = catalogue.load(name)
    options = declaration.columns.options if declaration.columns else None
    labels = dict(options.fixed) if options else {}
    items = _made(declaration.form, declaration.languages[0], labels or {"True": "", "False": ""})
    right = [Prediction(_said(item)) for item in items]
    for mode in ("correct", "as-published"):
        try:
            results = results_of(score(declaration, "test", items, right, mode=mode))
        except InputError as error:
            assert mode == "as-published" and "no released script" in str(error)
            continue
        assert results["metrics"], (mode, results["left_out"])
        assert results["unparsed"] == 0


def _made(form: AnswerForm, language: str, labels: dict[str, str]) -> Sequence[Item]:
    letters = {"A": "one", "B": "two"}
    options = {"choice": letters, "choices": letters, "label": labels, "labels": labels}
    right = {form: next(iter(names)) for form, names in options.items()}.get(form, "aspirin")
    return [
        Item(str(n), language, "What?", (right,), form, options.get(form, {})) for n in range(2)
    ]


def _said(item: Item) -> str:
    return item.answers[0] if item.options else f"{item.answers[0]}."
