"""Wrong input: one line on standard error that names the place and the remedy, and exit code 2."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main


def refused(
    capsys: pytest.CaptureFixture[str], workspace: Path, *arguments: str, recipe: str = "quickstart"
) -> str:
    """Run the command in this process, expect a refusal, return its one line."""
    code = main(["run", recipe, "--workspace", str(workspace), "--json", *arguments])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("medray: ")
    return lines[0]


def documents(path: Path, rows: int = 3, columns: Sequence[str] = ()) -> Path:
    names = columns or ("text", "timestamp", "url", "source")
    pq.write_table(pa.table({name: pa.array(["x"] * rows, pa.string()) for name in names}), path)
    return path


def english(path: Path) -> list[str]:
    """Overrides that leave one input file and no scans."""
    return [
        "--set",
        "curate.scans=null",
        "--set",
        f"curate.inputs=[{{language: en, files: {path}}}]",
    ]


def test_unknown_key_offers_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(capsys, tmp_path / "w", "--set", "pretrain.training.step=3")
    assert "stages.pretrain.training.step: unknown key; did you mean steps?" in line


def test_unknown_recipe_names_those_there_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "quickstart" in refused(capsys, tmp_path / "w", recipe="quikstart")


def test_value_of_the_wrong_type(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(capsys, tmp_path / "w", "--set", "pretrain.training.steps=many")
    assert "stages.pretrain.training.steps" in line
    assert "many" in line


def test_settings_that_exclude_each_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = refused(capsys, tmp_path / "w", "--set", "pretrain.training.offload=parameters")
    assert "offload: parameters needs zero_stage >= 3" in line


def test_missing_column(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", columns=("content", "url"))
    line = refused(capsys, tmp_path / "w", *english(file))
    key = "stages.curate.inputs.0.columns.text"
    assert f"{file}: {key}: no column text; it has content, url" in line


def test_truncated_parquet(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    line = refused(capsys, tmp_path / "w", *english(file))
    assert f"{file}: not a whole Parquet file" in line


def test_empty_corpus(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(capsys, tmp_path / "w", *english(documents(tmp_path / "a.parquet", rows=0)))
    assert "the corpus is empty" in line


def test_no_file_matches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(capsys, tmp_path / "w", *english(tmp_path / "nothing-*.parquet"))
    assert "stages.curate.inputs.0.files: no file matches" in line


def test_zero_documents_kept(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet")
    words = [sys.executable, "-m", "jobs.cli", "curate", "quickstart", "--json"]
    words += ["--workspace", str(tmp_path / "w"), *english(file)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert "nothing is left of the corpus (documents 3, keyword_count 3): lower" in line


def test_question_without_an_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    row = {"question": "Which?", "options": {"A": "this", "B": "that"}, "answer_idx": ""}
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    override = f"benchmark.questions=[{{language: en, files: {file}}}]"
    line = refused(capsys, tmp_path / "w", "--set", override)
    assert f"{file}: line 1" in line
    assert "no answer" in line


def test_port_in_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(capsys, tmp_path / "w", "--set", f"benchmark.serving.port={port}")
    assert f"stages.benchmark.serving.port: {port} is in use" in line


def test_more_workers_than_cpus(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(
        capsys, tmp_path / "w", "--cpus", "4",
        "--set", "pretrain.training.workers.count=16",
    )  # fmt: skip
    assert "stages.pretrain needs 16 CPUs, the local Ray has 4" in line


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("benchmark.serving.num_blocks=1", "num_blocks 1 x 256"),
        ("benchmark.serving.min_replicas=3", "min_replicas 3 is larger than max_replicas 1"),
        ("benchmark.exam.maximum_new_tokens=4000", "is more than serving.max_output_tokens"),
        ("benchmark.adapter=sweep", "stage sweep makes a sweep; wanted is: adapter"),
        ("finetune.validation_share=0.97", "parts the examples into 0 for training"),
        ("sweep.validation_share=0.01", "and 0 held out"),
        ("pretrain.training.mixture={eng: 1}", "eng is neither a language nor an entry's name"),
        ("sweep.training.mixture={exams: 1}", "stages.sweep.training.mixture: exams is neither"),
        ("pretrain.model.folder=/nowhere", "stages.pretrain.model.folder: no folder /nowhere"),
        ("curate.tokenizer.folder=/nowhere", "stages.curate.tokenizer.folder: no folder /nowhere"),
    ],
)
def test_a_late_stages_fault_is_told_before_the_first_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, override: str, told: str
) -> None:
    assert told in refused(capsys, tmp_path / "w", "--set", override)


def test_more_replicas_than_cpus(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(
        capsys, tmp_path / "w", "--cpus", "4",
        "--set", "benchmark.serving.min_replicas=8", "--set", "benchmark.serving.max_replicas=8",
    )  # fmt: skip
    assert "stages.benchmark.serving needs 8 CPUs, the local Ray has 4" in line


def test_workspace_without_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert "no stage of a run lies there" in capsys.readouterr().err


def test_serving_a_folder_that_is_no_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["serve", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    workspace = str(tmp_path / "w")
    assert main(["run", "quickstart", "--workspace", workspace, "--debug", "--set", "a=1"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["ocr.inputs", "curate.inputs", "finetune.questions"])
def test_unknown_language(capsys: pytest.CaptureFixture[str], tmp_path: Path, key: str) -> None:
    line = refused(capsys, tmp_path / "w", "--set", f"{key}.0.language=de")
    assert f"stages.{key}.0.language: no language de; there are en, zh, ja, fr, ru, es" in line
