"""A benchmark against an endpoint, from its files to results; killed in the middle, and gone on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from medray.evaluation.benchmarks import catalogue
from medray.evaluation.running.asking import endpoint as ask_endpoint
from medray.evaluation.running.run import Files, run_benchmark
from medray.evaluation.running.settings import RunSettings

if TYPE_CHECKING:
    from conftest import ChosenEndpoint

WARD = """
name: ward
languages: [en, fr]
form: choice
metrics: [accuracy]
columns:
  id: "{id}"
  question: stem
  options: {columns: [a, b]}
  answers: key
  language: language
splits: {test: {files: ward.jsonl}}
"""


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """A benchmark of 60 questions; the right answer to "What n?" is A where n is even."""
    rows = [
        {"id": f"q{n}", "stem": f"What {n}?", "a": "one", "b": "two", "key": "AB"[n % 2]}
        | {"language": "en" if n < 40 else "fr"}
        for n in range(60)
    ]
    (tmp_path / "ward.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "ward.yaml").write_text(WARD)
    return tmp_path


def run(endpoint: ChosenEndpoint, ward: Path, **settings: Any) -> dict[str, Any]:
    declaration = catalogue.load(str(ward / "ward.yaml"))
    chosen = RunSettings(**settings)
    return run_benchmark(
        declaration, ward, "chosen", ask_endpoint(endpoint.address, chosen), chosen, ward / "out"
    )


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_results_rows_and_predictions_are_written(
    chosen_endpoint: ChosenEndpoint, ward: Path
) -> None:
    chosen_endpoint.text = lambda prompt: "A" if "What 1?" not in prompt else "perhaps"
    chosen_endpoint.usage = {"prompt_tokens": 6, "completion_tokens": 1, "total_tokens": 7}
    found = run(chosen_endpoint, ward, limit=3)
    assert found["metrics"]["accuracy"]["value"] == (2 + 2) / 6
    assert (found["items"], found["missing"], found["unparsed"]) == (6, 0, 1)
    assert found["run"] == {
        "model": "chosen", "prompt": "zero_shot", "way": "generated", "chat": False, "shots": 0,
        "limit": 3, "refused": 0, "cut_off": 0, "cut_prompts": 0, "prompt_tokens": 36,
        "completion_tokens": 6, "without_usage": 0,
    }  # fmt: skip
    files = Files(ward / "out", "ward")
    assert json.loads(files.results.read_text()) == found
    assert [row["right"] for row in rows_of(files.rows)] == [True, False, True, True, False, True]
    assert rows_of(files.predictions)[1] == {"id": "q1", "output": "perhaps"}


def test_a_refused_item_is_missing_and_counted(chosen_endpoint: ChosenEndpoint, ward: Path) -> None:
    chosen_endpoint.text = lambda prompt: "A"
    chosen_endpoint.refuses = lambda prompt: (400, "filtered") if "What 0?" in prompt else None
    found = run(chosen_endpoint, ward, limit=2, concurrency=1)
    assert (found["run"]["refused"], found["missing"]) == (1, 1)
    assert found["metrics"]["accuracy"]["value"] == 1 / 4


def test_likelihoods_make_results_of_their_own(chosen_endpoint: ChosenEndpoint, ward: Path) -> None:
    chosen_endpoint.has_scores = True
    chosen_endpoint.log_likelihood = lambda before, token: {" A": -1.0, " B": -2.0}[token]
    found = run(chosen_endpoint, ward, way="likelihood", limit=4)
    assert list(found["metrics"]) == ["likelihood_accuracy"]
    assert found["rules"] == {"likelihood": 8}
    assert found["missing"] == 0


def test_a_run_that_is_killed_goes_on_where_it_was(
    chosen_endpoint: ChosenEndpoint, ward: Path
) -> None:
    chosen_endpoint.text = lambda prompt: "A"
    chosen_endpoint.before_answer = lambda: time.sleep(0.05)
    words = [sys.executable, "-m", "jobs.cli", "benchmark", str(ward / "ward.yaml")]
    words += ["--endpoint", chosen_endpoint.base_url, "--model", "chosen", "--json"]
    words += ["--data", str(ward), "--out", str(ward / "out"), "--concurrency", "2"]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    answers = Files(ward / "out", "ward").answers
    deadline = time.monotonic() + 60
    while not answers.exists() or answers.read_bytes().count(b"\n") < 15:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = len(rows_of(answers))
    assert 15 <= before < 60
    asked_before = len(chosen_endpoint.bodies)
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["items"], found["missing"]) == (60, 0)
    assert found["metrics"]["accuracy"]["value"] == 1 / 2
    # Every question once, but for those that were in flight at the kill.
    prompts = Counter(body["prompt"] for body in chosen_endpoint.bodies)
    assert len(prompts) == 60 and max(prompts.values()) <= 2
    assert len(chosen_endpoint.bodies) == asked_before + 60 - before
    assert [row["id"] for row in rows_of(Files(ward / "out", "ward").predictions)] == [
        f"q{n}" for n in range(60)
    ]
