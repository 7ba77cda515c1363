"""`serve deploy` to a running Ray head: a new version under load, the head lost and replaced."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from medray.runtime import free_port
from ray_head import Head, ray_head
from serving.guard.body import BodyLimit
from serving.guard.door import environment
from serving_load import Question, load

if TYPE_CHECKING:
    from conftest import Small

pytestmark = pytest.mark.slow

MODEL = "deployed"
ARGUMENTS = {
    "model_name": MODEL, "dtype": "float32", "num_cpus": 1, "num_blocks": 8,
    "max_prompt_tokens": 384, "max_output_tokens": 256,
    "autoscaling": {"min_replicas": 2, "max_replicas": 2},
}  # fmt: skip


@dataclass
class Deployed:
    """A Serve config file and the head that it is sent to."""

    head: Head
    file: Path
    model: Path
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def deploy(self, **arguments: Any) -> None:
        """Send the file with changed arguments, and wait until its answers are there."""
        entry = {
            "name": "app",
            "route_prefix": "/",
            "import_path": "serving.application:build",
            "args": {"model": str(self.model), **ARGUMENTS, **arguments},
        }
        http = {"host": "127.0.0.1", "port": self.port, "request_timeout_s": 601}
        door = {"env_vars": environment(BodyLimit(2**20, 30.0))}
        file = {
            "http_options": http,
            "controller_options": {"runtime_env": door},
            "applications": [entry],
        }
        self.file.write_text(yaml.safe_dump(file))
        self._serve("deploy", str(self.file))
        deadline = time.monotonic() + 180
        while not self._runs():
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.5)

    def status(self) -> Any:
        """What `serve status` says of the application."""
        said = yaml.safe_load(self._serve("status"))
        return said["applications"].get("app", {})

    def _runs(self) -> bool:
        if self.status().get("status") != "RUNNING":
            return False
        try:
            return httpx.get(f"{self.base_url}/models", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _serve(self, verb: str, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "serve"), verb, *words]
        done = subprocess.run(
            [*command, "--address", self.head.address],
            env=self.head.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def deployed(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("cluster")
    with ray_head(folder) as head:
        deployed = Deployed(head, folder / "serve.yaml", small.folder, free_port())
        deployed.deploy()
        yield deployed


@pytest.fixture(scope="module")
def questions(small: Small) -> list[Question]:
    asked = []
    for number, text in enumerate(["Fever", "患者有", "У пациента", "La tos"]):
        tokens = small.greedy(small.tokenizer.encode(text), 8 + 16 * number)
        answer = small.tokenizer.decode(tokens, skip_special_tokens=True)
        asked.append(Question(text, 8 + 16 * number, answer))
    return asked


def test_a_new_version_of_the_file_loses_no_request(
    deployed: Deployed, questions: list[Question]
) -> None:
    with load(deployed.base_url, MODEL, questions, clients=4) as tally:
        time.sleep(2)
        before = tally.answered
        deployed.deploy(max_output_tokens=250)
        time.sleep(2)
    assert tally.wrong == []
    assert tally.answered > before > 0
    assert {how.split()[-1] for how in tally.counts} <= {"whole", "streamed", "queue_full"}
    body = {"model": MODEL, "prompt": "Fever", "max_tokens": 251}
    refused = httpx.post(f"{deployed.base_url}/completions", json=body, timeout=60)
    assert refused.status_code == 400
    assert "at most 250" in refused.json()["error"]["message"]


def test_a_lost_head_is_replaced_under_load(deployed: Deployed, questions: list[Question]) -> None:
    with load(deployed.base_url, MODEL, questions, clients=4) as tally:
        time.sleep(2)
        assert tally.answered > 0
        deployed.head.lose()
        deployed.head.start()
        deployed.deploy()
        after = tally.answered
        time.sleep(3)
    assert tally.wrong == []
    assert tally.answered > after
    assert sum(tally.counts.values()) == tally.sent
    endings = {how for how in tally.counts if how not in ("whole", "streamed")}
    # A client sees a broken connection, or what a proxy says that knows no route or replica yet.
    allowed = ("connection", "503", "429", "event replica_lost", "event broken_off")
    assert any(how.startswith("connection") for how in endings), tally.counts
    assert all(how.startswith(allowed) for how in endings), tally.counts
