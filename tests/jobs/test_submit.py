"""Submitting to a Ray head that another process runs, with token authentication on."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_head import Head, ray_head
from recipe_runs import SMALL, results


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_head(tmp_path_factory.mktemp("head")) as head:
        yield head


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "corpus_only.yaml"
    path.write_text(
        "name: corpus-only\nstages:\n  curate:\n    job: curate\n    inputs:\n"
        '      - {language: en, files: "${samples}/corpus/en/*.parquet"}\n'
        "    tokenizer: {vocabulary_size: 600}\n"
    )
    return path


def submit(head: Head, recipe: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "jobs.cli", "submit", str(recipe), "--address", head.address]
    return subprocess.run(
        [*words, *arguments], env=head.environment, capture_output=True, text=True, timeout=600
    )


def test_without_the_token_the_head_refuses(head: Head) -> None:
    with pytest.raises(OSError, match="401"):
        urllib.request.urlopen(f"{head.address}/api/jobs/", timeout=10)


def test_a_recipe_runs_as_a_job_and_its_log_comes_here(
    head: Head, recipe: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    done = submit(head, recipe, "--workspace", str(workspace))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert '"stage": "curate", "message": "done"' in done.stdout
    assert (workspace / "curate" / "manifest.json").is_file()


@pytest.mark.slow
def test_the_whole_quickstart_runs_as_a_job_and_its_log_comes_here(
    head: Head, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    overrides = [word for override in SMALL for word in ("--set", override)]
    done = submit(head, Path("quickstart"), "--workspace", str(workspace), *overrides)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert '"stage": "sweep", "message": "done"' in done.stdout
    found = results(workspace)
    assert found["benchmark"]["languages"]["en"]["questions"] == 8


def test_wrong_input_ends_with_the_jobs_exit_code(head: Head, recipe: Path, tmp_path: Path) -> None:
    none_there = 'curate.inputs=[{language: fr, files: "/nowhere/*.parquet"}]'
    done = submit(head, recipe, "--workspace", str(tmp_path / "w"), "--set", none_there)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "stages.curate.inputs.0.files: no file matches /nowhere/*.parquet" in done.stdout


def test_relative_workspace_is_refused_here(head: Head, recipe: Path) -> None:
    done = submit(head, recipe, "--workspace", "runs/x")
    assert done.returncode == 2
    assert done.stderr.startswith("medray: --workspace runs/x: ")


def test_address_that_does_not_answer(head: Head, recipe: Path, tmp_path: Path) -> None:
    nobody = Head(tmp_path, head.environment, head.token)
    done = submit(nobody, recipe, "--workspace", str(tmp_path / "w"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"medray: --address {nobody.address}: ")
    assert len(done.stderr.strip().splitlines()) == 1
