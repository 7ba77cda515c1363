"""Processes killed, versions changed, clients that misbehave: every request is answered rightly, or
by an error after which sending it again is right."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import ray

from serving.app import Endpoint, deploy, shutdown
from serving.config import Autoscaling
from serving_load import Question, await_replicas, kill, load, proxy_pids, replica_pids

if TYPE_CHECKING:
    from conftest import Small

    from serving.config import ServingConfig

pytestmark = pytest.mark.slow

MODEL = "disturbed"
KILLS = 10
SOAK_S = float(os.environ.get("MEDRAY_SOAK_S", "30"))
MALFORMED = int(os.environ.get("MEDRAY_MALFORMED", "10000"))
SOAK_REPORT = os.environ.get("MEDRAY_SOAK_REPORT")


@pytest.fixture(scope="module")
def settings(config: ServingConfig) -> ServingConfig:
    update = {
        "route_prefix": "/disturbed",
        "model_name": MODEL,
        "autoscaling": Autoscaling(min_replicas=2, max_replicas=2),
        "max_ongoing_requests": 4,
        "max_queued_requests": 16,
    }
    return config.model_copy(update=update)


@pytest.fixture(scope="module")
def disturbed(endpoint: Endpoint, settings: ServingConfig) -> Iterator[Endpoint]:
    disturbed = deploy(settings)
    yield disturbed
    shutdown(disturbed)


@pytest.fixture(scope="module")
def questions(small: Small) -> list[Question]:
    texts = ["Fever", "The patient has", "Aspirin inhibits", "患者有", "У пациента", "La tos"]
    asked = []
    for number, text in enumerate(texts):
        max_tokens = 8 + 24 * number
        tokens = small.greedy(small.tokenizer.encode(text), max_tokens)
        answer = small.tokenizer.decode(tokens, skip_special_tokens=True)
        asked.append(Question(text, max_tokens, answer))
    return asked


def test_ten_replicas_killed_under_load(disturbed: Endpoint, questions: list[Question]) -> None:
    with load(disturbed.base_url, MODEL, questions, clients=6) as tally:
        for number in range(KILLS):
            pids = await_replicas(disturbed.application, 2)
            answered = tally.answered
            kill(pids[number % 2])
            await_replicas(disturbed.application, 2, without=[pids[number % 2]])
            assert tally.answered > answered  # the other replica went on
    assert tally.wrong == []
    assert sum(tally.counts.values()) == tally.sent
    endings = {how.split()[-1] for how in tally.counts} - {"whole", "streamed"}
    assert endings <= {"replica_lost", "broken_off", "queue_full"}, tally.counts
    # At most the requests that the killed replicas worked on.
    lost = sum(count for how, count in tally.counts.items() if "lost" in how or "broken" in how)
    assert 0 < lost <= KILLS * 4


def test_a_new_version_under_load_loses_no_request(
    disturbed: Endpoint, settings: ServingConfig, questions: list[Question]
) -> None:
    before = await_replicas(disturbed.application, 2)
    with load(disturbed.base_url, MODEL, questions, clients=6) as tally:
        deploy(settings.model_copy(update={"max_output_tokens": 250}))
        await_replicas(disturbed.application, 2, without=before)
    assert tally.wrong == []
    assert sum(tally.counts.values()) == tally.sent
    assert {how.split()[-1] for how in tally.counts} <= {"whole", "streamed", "queue_full"}


def test_requests_go_on_without_the_controller(
    disturbed: Endpoint, questions: list[Question]
) -> None:
    controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    health = disturbed.base_url.removesuffix("/v1") + "/health"
    pids = await_replicas(disturbed.application, 2)
    assert httpx.get(health).status_code == 200  # from now on the proxy knows
    with load(disturbed.base_url, MODEL, questions, clients=4) as tally:
        ray.kill(controller, no_restart=False)
        for _ in range(5):
            assert httpx.get(health, timeout=10).status_code == 200
        # Its successor finds the replicas as they were, and replaces one that is lost.
        assert set(await_replicas(disturbed.application, 2)) == set(pids)
        kill(pids[0])
        await_replicas(disturbed.application, 2, without=[pids[0]])
    assert tally.wrong == []
    endings = {how.split()[-1] for how in tally.counts}
    assert endings <= {"whole", "streamed", "replica_lost", "broken_off", "queue_full"}


def test_a_killed_proxy_comes_back(disturbed: Endpoint, questions: list[Question]) -> None:
    with load(disturbed.base_url, MODEL, questions, clients=4) as tally:
        time.sleep(1)
        [pid] = proxy_pids()
        kill(pid)
        deadline = time.monotonic() + 90
        answered = None
        while answered is None or tally.answered <= answered + 20:
            if answered is None and proxy_pids() not in ([], [pid]):
                answered = tally.answered
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert tally.wrong == []
    endings = {how for how in tally.counts if how not in ("whole", "streamed")}
    assert all(how.startswith(("connection", "503")) for how in endings), tally.counts


def resident_mib(pids: list[int]) -> dict[int, float]:
    def of(pid: int) -> float:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    return {pid: of(pid) for pid in pids}


def test_twice_the_capacity_for_long(disturbed: Endpoint, questions: list[Question]) -> None:
    """For MEDRAY_SOAK_S seconds; MEDRAY_SOAK_REPORT names a file for what was seen."""
    pids = [*await_replicas(disturbed.application, 2), *proxy_pids()]
    taken = 2 * 4 + 16
    with load(disturbed.base_url, MODEL, questions, clients=2 * taken) as tally:
        time.sleep(min(120.0, SOAK_S / 3))  # caches and allocators fill
        memory = [resident_mib(pids)]
        ends = time.monotonic() + SOAK_S
        while time.monotonic() < ends:
            time.sleep(min(10.0, SOAK_S / 6))
            memory.append(resident_mib(pids))
    if SOAK_REPORT:
        report = {"seconds": SOAK_S, "counts": tally.counts, "sent": tally.sent, "mib": memory}
        Path(SOAK_REPORT).write_text(json.dumps(report))
    assert tally.wrong == []
    assert sum(tally.counts.values()) == tally.sent
    refusals = {how for how in tally.counts if how not in ("whole", "streamed")}
    assert refusals == {"503 queue_full"}
    assert await_replicas(disturbed.application, 2)
    for pid in pids:
        assert memory[-1][pid] < memory[0][pid] * 1.1 + 32, memory


def malformed(draw: random.Random) -> bytes:
    """A body that is no request: bytes, broken JSON, JSON of another shape."""
    right = {"model": MODEL, "prompt": "Fever", "max_tokens": 2, "temperature": 0}
    kind = draw.randrange(8)
    if kind == 0:
        return draw.randbytes(draw.randrange(200))
    if kind == 1:
        text = json.dumps(right).encode()
        return text[: draw.randrange(1, len(text) - 1)]
    if kind == 2:
        return b"[" * draw.randrange(1, 20_000)
    if kind == 3:
        return b'{"prompt": "' + "患\ud800".encode("utf-8", "surrogatepass") + b'"}'
    odd: list[Any] = [
        None, [], {}, -1, 10**30, 1e400, "", "\x00", [[]], [None], [[10**9]], {"a": {}}, True
    ]  # fmt: skip
    if kind == 4:
        return json.dumps(draw.choice(odd)).encode()
    body = dict(right)
    del body[draw.choice(["model", "prompt"])]
    if kind == 5:
        return json.dumps(body).encode()
    body = dict(right)
    body[draw.choice(["model", "prompt", "max_tokens", "temperature", "stop", "n"])] = {"a": "b"}
    if kind == 6:
        body["".join(draw.choices("abc\u0301患", k=5))] = draw.choice(odd)
    return json.dumps(body).encode()


def test_malformed_bodies_leave_the_endpoint_well(
    disturbed: Endpoint, questions: list[Question]
) -> None:
    pids = await_replicas(disturbed.application, 2)
    statuses: Counter[int] = Counter()

    async def send(number: int, client: httpx.AsyncClient) -> None:
        draw = random.Random(number)
        for _ in range(MALFORMED // 4):
            path = draw.choice(["/completions", "/chat/completions"])
            headers = {"content-type": draw.choice(["application/json", "text/plain"])}
            answer = await client.post(path, content=malformed(draw), headers=headers)
            statuses[answer.status_code] += 1
            assert answer.json()["error"]["message"]

    async def send_all() -> None:
        async with httpx.AsyncClient(base_url=disturbed.base_url, timeout=60) as client:
            await asyncio.gather(*[send(number, client) for number in range(4)])

    asyncio.run(send_all())
    assert set(statuses) <= {400, 404, 413, 422}, statuses
    assert sum(statuses.values()) == MALFORMED // 4 * 4
    assert set(replica_pids(disturbed.application)) == set(pids)
    with load(disturbed.base_url, MODEL, questions, clients=2) as tally:
        time.sleep(3)
    assert tally.wrong == []
    assert tally.answered > 0
