"""Benchmarks over Ray Data: real replicas of a small model, one of them killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.evaluation.running.run import Files
from medray.models.folder import load_model, save_model
from medray.models.small import NewModelConfig, make_model

pytestmark = pytest.mark.slow

WARD = """
name: ward
languages: [en]
form: choice
metrics: [accuracy]
columns:
  id: "{id}"
  question: stem
  options: {columns: [a, b]}
  answers: key
splits: {test: {files: ward.jsonl}}
"""
QUESTIONS = 256


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark, and beside it a small random model."""
    folder = tmp_path_factory.mktemp("ward")
    rows = [
        {"id": f"q{n}", "stem": f"What is {n} times {n % 7}?", "a": "one", "b": "two", "key": "A"}
        for n in range(QUESTIONS)
    ]
    (folder / "ward.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "ward.yaml").write_text(WARD)
    tokenizer = train_tokenizer((row["stem"] for row in rows), 400)
    sizes = NewModelConfig(
        hidden_size=64, layers=2, attention_heads=4, key_value_heads=2, feed_forward_size=128,
        maximum_positions=512,
    )  # fmt: skip
    model = make_model(sizes, tokenizer, 0)
    save_model(model, model.state_dict(), tokenizer, folder / "small")
    return folder


def words(ward: Path, out: Path, replicas: int) -> list[str]:
    named = [sys.executable, "-m", "jobs.cli", "benchmark", str(ward / "ward.yaml"), "--json"]
    named += ["--engine", str(ward / "small"), "--replicas", str(replicas), "--data", str(ward)]
    return [*named, "--out", str(out), "--way", "both", "--maximum-new-tokens", "8"]


def test_a_killed_replica_costs_no_answer_and_answers_are_the_model_s(
    ward: Path, tmp_path: Path
) -> None:
    run = subprocess.Popen(words(ward, tmp_path, 2), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 180
    answers = Files(tmp_path, "ward").answers
    while not (answers.exists() and answers.stat().st_size):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    replicas = [
        process
        for process in psutil.Process(run.pid).children(recursive=True)
        if "EngineReplica" in " ".join(process.cmdline())
    ]
    assert len(replicas) == 2
    os.kill(replicas[0].pid, signal.SIGKILL)
    out, _ = run.communicate(timeout=300)
    assert run.returncode == 0, out
    # Ray itself prints that it tries a task again; the results are the last line.
    found = json.loads(out.splitlines()[-1])
    assert (found["items"], found["missing"]) == (QUESTIONS, 0)
    assert found["metrics"]["likelihood_accuracy"]["n"] == QUESTIONS
    rows = [json.loads(line) for line in Files(tmp_path, "ward").predictions.open()]
    assert len({row["id"] for row in rows}) == QUESTIONS
    _check_first(ward, rows[0])


def _check_first(ward: Path, row: dict[str, object]) -> None:
    """Compare an answer with what ``generate`` gives to the same prompt."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ward / "small")
    model = load_model(ward / "small").eval()
    prompt = (
        "Answer with the letter of the right option.\n\nWhat is 0 times 0?\nA. one\nB. two\nAnswer:"
    )
    tokens = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        made = model.generate(**tokens, max_new_tokens=8, do_sample=False)
    text = tokenizer.decode(made[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
    assert row["output"] == text
