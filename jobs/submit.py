"""Submitting a recipe to a Ray cluster through its job API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jobs
import medray
import serving
from medray.errors import InputError

# A head that has just come up answers "No available agent" for some seconds.
RETRY_FOR_S = 60.0
RETRY_EVERY_S = 2.0


def submit(
    recipe: Path,
    overrides: Sequence[str],
    variables: Sequence[str],
    workspace: str,
    address: str,
    debug: bool,
) -> int:
    """Run a recipe as a job of a cluster, print its log as it comes, return its exit code.

    The job carries the recipe (working_dir) and medray's own packages (py_modules), so the
    cluster's nodes need the libraries but not medray. ``workspace`` must be a place that every
    node sees. Raises InputError for a relative workspace or an address that does not answer.
    """
    if not Path(workspace).is_absolute():
        raise InputError(
            f"--workspace {workspace}: a cluster needs an absolute path that all its nodes share"
        )
    _use_token()
    client = _connect(address)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(recipe, Path(folder) / "recipe.yaml")
        job_id = _submit(client, folder, _entrypoint(overrides, variables, workspace, debug))
    print(f"medray: submitted as {job_id}", file=sys.stderr, flush=True)
    try:
        asyncio.run(_print_log(client, job_id))
    except KeyboardInterrupt:
        print(f"medray: {job_id} goes on; end it with: ray job stop {job_id}", file=sys.stderr)
        raise
    return _exit_code(client, job_id)


def _use_token() -> None:
    """Turn Ray's token authentication on in this process where a token lies ready.

    Ray does so by itself only for clusters that it starts, not for a given address.
    """
    stored = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    if "RAY_AUTH_TOKEN" in os.environ or stored.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _connect(address: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise InputError(f"--address {address}: {first_line}") from error


def _entrypoint(
    overrides: Sequence[str], variables: Sequence[str], workspace: str, debug: bool
) -> str:
    words = ["python", "-m", "jobs.cli", "run", "recipe.yaml", "--address", "auto", "--json"]
    words += ["--workspace", workspace]
    for override in overrides:
        words += ["--set", override]
    for variable in variables:
        words += ["--variable", variable]
    return shlex.join([*words, "--debug"] if debug else words)


def _submit(client: Any, working_dir: str, entrypoint: str) -> str:
    packages = [str(Path(str(module.__file__)).parent) for module in (medray, serving, jobs)]
    deadline = time.monotonic() + RETRY_FOR_S
    while True:
        try:
            return str(
                client.submit_job(
                    entrypoint=entrypoint,
                    runtime_env={
                        "working_dir": working_dir,
                        "py_modules": packages,
                        "excludes": ["**/__pycache__/**"],
                    },
                )
            )
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_EVERY_S)


async def _print_log(client: Any, job_id: str) -> None:
    async for lines in client.tail_job_logs(job_id):
        with contextlib.suppress(BrokenPipeError):
            print(lines, end="", flush=True)


def _exit_code(client: Any, job_id: str) -> int:
    """Wait for the job's end and return its process's exit code; 1 where Ray knows none."""
    while True:
        info = client.get_job_info(job_id)
        if info.status.is_terminal():
            break
        time.sleep(0.5)
    print(f"medray: {job_id} {info.status.value.lower()}", file=sys.stderr)
    if info.driver_exit_code is not None:
        return int(info.driver_exit_code)
    if str(info.status) != "SUCCEEDED" and info.message:
        print(f"medray: {info.message.strip().splitlines()[-1]}", file=sys.stderr)
    return 0 if str(info.status) == "SUCCEEDED" else 1
