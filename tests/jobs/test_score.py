"""`medray score` and `medray benchmark --list`: what a user types, sees and gets wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.cli import main

Run = Callable[..., tuple[int, str, str]]

WARD = """
name: ward
title: Ward exam
languages: [en]
form: choice
metrics: [accuracy]
published_reading: meds_bench_choice
as_published: the first letter counts
columns:
  id: "{id}"
  question: stem
  options: {columns: [a, b]}
  answers: key
  groups: {ward: ward}
splits: {test: {files: ward.jsonl}, train: {files: taught.jsonl}}
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a runner of `medray`; {ward}, {answers}, {other} stand for files, --data is given."""
    rows = [
        {"id": f"q{n}", "stem": f"What {n}?", "a": "one", "b": "two", "key": "AB"[n % 2]}
        | {"ward": "east" if n < 4 else "west"}
        for n in range(8)
    ]
    write(tmp_path / "ward.jsonl", rows)
    (tmp_path / "ward.yaml").write_text(WARD)
    answers = [{"id": f"q{n}", "output": f"The answer is {'AB'[n % 2]}."} for n in range(7)]
    write(tmp_path / "answers.jsonl", [*answers, {"id": "q7", "output": "perhaps"}])
    write(tmp_path / "other.jsonl", [{"id": f"q{n}", "output": "A"} for n in range(7)])
    monkeypatch.setenv("MEDRAY_BENCHMARK_DATA", str(tmp_path))

    def medray(*words: str) -> tuple[int, str, str]:
        named = {name: str(tmp_path / f"{name}.jsonl") for name in ("answers", "other")}
        named |= {"ward": str(tmp_path / "ward.yaml")}
        status = main([word.format(**named) for word in words])
        out, err = capsys.readouterr()
        return status, out, err

    return medray


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


SCORE = ("score", "--benchmark", "{ward}", "--predictions", "{answers}")


def test_a_file_of_answers_is_scored_for_people(run: Run) -> None:
    status, out, err = run(*SCORE)
    assert (status, err) == (0, "")
    assert "ward (test), mode correct: 8 items, 0 missing, 1 unparsed" in out
    assert "accuracy                           87.50  52.91 to 97.76         8    50.0" in out
    assert "read by: stated 7, unparsed 1" in out
    assert out.splitlines()[-1].split() == ["west", "4", "75.00"]


def test_and_for_programs(run: Run) -> None:
    status, out, _ = run(*SCORE, "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["items"], found["missing"], found["unparsed"]) == (8, 0, 1)
    assert found["metrics"]["accuracy"]["value"] == 7 / 8
    assert found["groups"]["ward"]["east"]["metrics"]["accuracy"]["value"] == 1


def test_both_modes_stand_side_by_side(run: Run) -> None:
    _, out, _ = run(*SCORE, "--mode", "both", "--json")
    found = json.loads(out)
    # "the answer ..." begins with t, no letter of a to d.
    assert found["as-published"]["metrics"]["accuracy"]["value"] == 0
    assert found["correct"]["metrics"]["accuracy"]["value"] == 7 / 8
    _, out, _ = run(*SCORE, "--mode", "both")
    assert "mode as-published: 8 items, 0 missing, 8 unparsed" in out
    assert "as published: the first letter counts" in out


def test_missing_answers_are_wrong_or_left_out(run: Run) -> None:
    words = ("score", "--benchmark", "{ward}", "--predictions", "{other}")
    _, out, _ = run(*words)
    assert "1 missing, 0 unparsed\nmissing ones are counted as wrong" in out
    assert json.loads(run(*words, "--json")[1])["metrics"]["accuracy"]["value"] == 4 / 8
    found = json.loads(run(*words, "--json", "--only-answered")[1])
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(4 / 7)


def test_two_models_and_every_row(run: Run, tmp_path: Path) -> None:
    status, out, _ = run(*SCORE, "--compare", "{other}", "--rows", str(tmp_path / "rows.jsonl"))
    assert status == 0
    assert "other.jsonl, the same items" in out
    assert out.splitlines()[-1].startswith("accuracy                             +37.50")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["right"] for row in rows] == [True] * 7 + [False]
    assert rows[7]["output"] == "perhaps" and rows[7]["rule"] == "unparsed"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--benchmark", "medqq"), "no benchmark 'medqq'; did you mean medqa"),
        (("--benchmark", "medqa"), "medqa: no medqa_us_4opt/phrases_no_exclude_test.jsonl below"),
        (("--predictions", "none.jsonl"), "none.jsonl: cannot be read"),
        (("--data", "/none"), "--data: no folder /none; give the one that holds the benchmarks'"),
        (("--split", "dev"), "ward: no split dev; there is test, train"),
        (("--split", "train"), "ward: no taught.jsonl below"),
        (("--encoder", "/none"), "/none"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run: Run, words: tuple[str, ...], told: str) -> None:
    status, out, err = run(*SCORE, *words)
    assert (status, out) == (2, "")
    assert told in err and err.count("\n") == 1


def test_every_benchmark_is_listed_with_what_is_there(run: Run, real_data: Path) -> None:
    folder = str(real_data / "evaluation" / "raw")
    status, out, _ = run("benchmark", "--list", "--data", folder)
    assert status == 0
    ready = {line.split()[1] for line in out.splitlines() if line.startswith("+ ")}
    assert {"medqa", "igakuqa", "hallmarks_of_cancer"} <= ready
    assert "mmedbench" not in ready and "  mmedbench " in out
    rows = json.loads(run("benchmark", "--list", "--json")[1])
    assert not any(row["ready"] for row in rows)
    assert sum(row["family"] == "meds_bench" for row in rows) == 53
    assert all(row["obtain"] for row in rows)


def test_benchmark_wants_a_recipe_or_the_list(run: Run) -> None:
    status, _, err = run("benchmark")
    assert status == 2
    assert "name one recipe, or benchmarks with --endpoint or --engine" in err
