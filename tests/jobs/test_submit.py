"""Submitting to a Ray head that another process runs, with token authentication on."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipe_runs import SMALL, results


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Head:
    """A Ray head of its own process and its own token."""

    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("head")
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("RAY_")
    } | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    # As in an activated environment: jobs call `python`.
    binaries = Path(sys.executable).parent
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    dashboard = free_port()
    # A Unix socket's path holds 107 characters; pytest's own folders are too long.
    sessions = Path(f"/tmp/medray-head-{os.getpid()}")
    words = [
        str(binaries / "ray"), "start", "--head", "--block",
        "--node-ip-address=127.0.0.1", f"--port={free_port()}", "--num-cpus=4",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        # The job agent's port is 52365 for every Ray of a host; a second one gets no agent.
        f"--dashboard-agent-listen-port={free_port()}",
        f"--temp-dir={sessions}",
    ]  # fmt: skip
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(
            words, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(address, token.read_text(), process, folder / "head.log")
        yield Head(address, environment)
    finally:
        # Its own process group: `ray stop` would end every Ray on the host.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        shutil.rmtree(sessions, ignore_errors=True)


def wait_for(address: str, token: str, process: subprocess.Popen[bytes], log: Path) -> None:
    request = urllib.request.Request(
        f"{address}/api/version", headers={"Authorization": f"Bearer {token}"}
    )
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(request, timeout=5)
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)


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
    nobody = Head(f"http://127.0.0.1:{free_port()}", head.environment)
    done = submit(nobody, recipe, "--workspace", str(tmp_path / "w"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"medray: --address {nobody.address}: ")
    assert len(done.stderr.strip().splitlines()) == 1
