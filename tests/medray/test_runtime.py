"""What the runtime knows before it connects."""

from __future__ import annotations

import os
import socket

import pytest

from medray.errors import InputError
from medray.runtime import RayRuntime, free_port, port_in_use


def test_a_local_ray_that_is_too_small_is_told_without_starting_it() -> None:
    runtime = RayRuntime(logical_cpus=4)
    runtime.need_cpus(4, "stages.one")
    with pytest.raises(InputError, match=r"^stages\.one needs 4\.1 CPUs, the local Ray has 4: "):
        runtime.need_cpus(4.1, "stages.one")


def test_a_joined_cluster_may_grow() -> None:
    RayRuntime(address="10.0.0.1:6379").need_cpus(1000, "stages.one")


def test_a_task_that_fills_a_core_takes_its_share_of_the_logical_cpus() -> None:
    cores = os.cpu_count() or 1
    assert RayRuntime(logical_cpus=4 * cores).cpus_per_core == 4
    assert RayRuntime(logical_cpus=1).cpus_per_core == 1
    assert RayRuntime(address="auto").cpus_per_core == 1


def test_ports() -> None:
    port = free_port()
    assert not port_in_use(port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert port_in_use(port)
