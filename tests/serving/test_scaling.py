"""From no replica to one and back, and two models behind one proxy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from serving.app import Endpoint, deploy, shutdown
from serving.config import Autoscaling
from serving_load import await_replicas, replica_pids

if TYPE_CHECKING:
    from serving.config import ServingConfig


@pytest.mark.slow
def test_an_idle_model_leaves_and_a_request_brings_it_back(
    endpoint: Endpoint, config: ServingConfig
) -> None:
    scaling = Autoscaling(
        min_replicas=0, max_replicas=1, upscale_delay_s=0, downscale_delay_s=1,
        downscale_to_zero_delay_s=1,
    )  # fmt: skip
    update = {"route_prefix": "/idle", "model_name": "idle", "autoscaling": scaling}
    idle = deploy(config.model_copy(update=update))
    health = idle.base_url.removesuffix("/v1") + "/health"
    try:
        deadline = time.monotonic() + 120
        while replica_pids(idle.application):
            # A probe neither wakes it nor keeps it awake.
            assert httpx.get(health).status_code == 200
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert httpx.get(health).json() == {"status": "ok"}
        body = {"model": "idle", "prompt": "Fever", "max_tokens": 4, "temperature": 0}
        cold = httpx.post(f"{idle.base_url}/completions", json=body, timeout=120)
        assert cold.status_code == 200
        # The other model on this proxy is as it was.
        other = httpx.post(
            f"{endpoint.base_url}/completions", json=body | {"model": endpoint.model_name}
        )
        assert other.json()["choices"][0]["text"] == cold.json()["choices"][0]["text"]
        await_replicas(idle.application, 1)
    finally:
        shutdown(idle)
    assert httpx.get(health).status_code == 404
