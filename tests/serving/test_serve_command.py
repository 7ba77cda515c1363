"""`medray serve` as a user runs it: a Ray of its own, a curl command, an end by signal."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from jobs.cli import main
from medray.runtime import free_port
from serving.guard.keys import new_key

if TYPE_CHECKING:
    from conftest import Small

VARIABLE = "MEDRAY_API_KEY"
SMALL = {"dtype": "float32", "max_prompt_tokens": 384, "max_output_tokens": 256, "num_blocks": 8}


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[list[str]]:
    """Run the command; yield its lines "serving ...", without a key in the environment but ours."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAY_") and name != VARIABLE
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited | environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("serving "), process.stderr.read()
        lines = [line]
        yield lines
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0


def command_of(line: str) -> str:
    return line.partition("try: ")[2]


def url_of(line: str) -> str:
    return shlex.split(command_of(line))[2].removesuffix("/completions")


def config_file(folder: Path, *applications: dict[str, Any]) -> Path:
    """A file for `serve deploy` of several models on a free port."""
    port = free_port()
    entries = [
        {
            "name": f"app{number}",
            "route_prefix": f"/m{number}",
            "import_path": "serving.application:build",
            "args": arguments,
        }
        for number, arguments in enumerate(applications)
    ]
    path = folder / "serve.yaml"
    http = {"host": "127.0.0.1", "port": port}
    path.write_text(yaml.safe_dump({"http_options": http, "applications": entries}))
    return path


def test_the_printed_command_works(small: Small) -> None:
    with serving(str(small.folder), "--port", "0", **{VARIABLE: "a-key"}) as [line]:
        assert "a-key" not in line
        answer = subprocess.run(
            ["sh", "-c", command_of(line)],
            capture_output=True,
            text=True,
            env=dict(os.environ) | {VARIABLE: "a-key"},
            check=True,
        )
        assert '"object":"text_completion"' in answer.stdout
        url = url_of(line)
        assert httpx.get(f"{url}/models").status_code == 401
    port = int(url.split(":")[2].partition("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.slow
def test_several_models_of_a_file_and_a_limit_on_waiting(small: Small, tmp_path: Path) -> None:
    key, entry = new_key("ward")
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry)
    hasty = {"max_ongoing_requests": 1, "request_timeout_s": 0.4}
    path = config_file(
        tmp_path,
        SMALL | hasty | {"model": str(small.folder), "model_name": "hasty", "keys_file": str(keys)},
        SMALL | {"model": str(small.folder), "model_name": "open"},
    )
    with serving(str(path)) as [line]:
        url = url_of(line)
        body = {"model": "hasty", "prompt": "Fever", "max_tokens": 250, "n": 16}

        async def crowd() -> list[httpx.Response]:
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(headers=headers, timeout=30) as client:
                return await asyncio.gather(
                    *[client.post(f"{url}/completions", json=body) for _ in range(8)]
                )

        began = time.monotonic()
        answers = asyncio.run(crowd())
        # One works at a time, for 0.4 s each; those that still wait after 1.4 s are told.
        assert time.monotonic() - began < 5
        assert {answer.status_code for answer in answers} == {504}
        assert {answer.json()["error"]["code"] for answer in answers} == {"timeout"}
        assert any("after it came" in answer.json()["error"]["message"] for answer in answers)

        models = httpx.get(url.replace("/m0/", "/m1/") + "/models").json()["data"]
        assert [model["id"] for model in models] == ["open"]


@pytest.mark.slow
def test_behind_haproxy_the_guard_is_the_same(small: Small, tmp_path: Path) -> None:
    key, entry = new_key("ward")
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry + "    requests_per_minute: 3\n")
    tight = {"max_ongoing_requests": 1, "max_queued_requests": 1, "keys_file": str(keys)}
    path = config_file(tmp_path, SMALL | tight | {"model": str(small.folder)})
    with serving(str(path), RAY_SERVE_ENABLE_HA_PROXY="1", **{VARIABLE: "other"}) as [line]:
        url = url_of(line)
        assert httpx.get(f"{url}/models").json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(url.removesuffix("/v1") + "/health").json() == {"status": "ok"}
        large = httpx.post(f"{url}/completions", content=b" " * (8 * 2**20 + 1), timeout=30)
        assert large.status_code == 413
        body = {"model": small.folder.name, "prompt": "Fever", "max_tokens": 250, "n": 16}

        async def crowd(bearer: str) -> list[httpx.Response]:
            headers = {"Authorization": f"Bearer {bearer}"}
            async with httpx.AsyncClient(headers=headers, timeout=60) as client:
                return await asyncio.gather(
                    *[client.post(f"{url}/completions", json=body) for _ in range(6)]
                )

        answers = asyncio.run(crowd("other"))
        assert {answer.status_code for answer in answers} == {200, 503}
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.json()["error"]["code"] for answer in refused} == {"queue_full"}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}

        headers = {"Authorization": f"Bearer {key}"}
        statuses = [httpx.get(f"{url}/models", headers=headers).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]


def test_what_is_wrong_is_one_line(
    small: Small,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    model, none = str(small.folder), str(tmp_path / "none")
    for arguments, told in (
        ([], "name the folder of a model"),
        ([str(tmp_path)], "holds no config.json"),
        ([f"{none}.yaml"], "No such file"),
        ([model, "--host", "0.0.0.0"], "MEDRAY_API_KEY is not set"),
        ([model, "--keys-file", none], "No such file"),
        ([model, "--adapters", none], "is no folder"),
        ([model, "--port", "70000"], "port Input should be less than or equal to 65535"),
        ([f"{none}.yaml", "--port", "1"], "port goes with a model's folder"),
    ):
        assert main(["serve", *arguments]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert told in line
