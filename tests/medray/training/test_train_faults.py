"""SIGKILLs of workers, nodes and the driver change no bit of a training run."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from training_runs import Pretraining, metrics, results, resumed, weights, write_recipe

from ray_nodes import Nodes, kill, ray_nodes, title_of

pytestmark = pytest.mark.slow

NODES = 3
# Of 30 steps: something dies after each of these.
PLAN = (("worker", 3), ("driver", 9), ("node", 14), ("worker", 20), ("driver", 26))
PATIENCE_S = 240.0


@dataclass
class Disturbance:
    """A run on a cluster, and its start, for it is begun again when its driver is killed."""

    cluster: Nodes
    begin: Callable[[], Pretraining]

    def through(self, seed: int) -> Pretraining:
        draw = random.Random(seed)
        run = self.begin()
        for kind, step in PLAN:
            self._wait(lambda run=run, step=step: run.step() >= step, run)
            time.sleep(draw.uniform(0, 2))
            assert not run.ended, run.tail()
            if kind == "driver":
                run.kill()
                run = self.begin()
            elif kind == "node":
                self.cluster.lose(draw.randrange(len(self.cluster.raylets)))
                self.cluster.add()
            else:
                self._wait(lambda: bool(self._workers()), run)
                kill(draw.choice(self._workers()))
        return run

    def _workers(self) -> list[psutil.Process]:
        busy = self.cluster.busy_workers()
        return [worker for worker in busy if "RayTrainWorker" in title_of(worker)]

    def _wait(self, reached: Callable[[], bool], run: Pretraining) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert not run.ended, f"ended first\n{run.tail()}"
            assert time.monotonic() < deadline, f"not reached\n{run.tail()}"
            self.cluster.replace_dead()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with ray_nodes(tmp_path_factory.mktemp("cluster"), NODES) as nodes:
        yield nodes


@pytest.mark.parametrize(
    ("precision", "strategy", "seed"),
    [("fp32", "deepspeed", 1), ("bf16", "deepspeed", 2), ("bf16", "fsdp", 3)],
)
def test_a_run_through_kills_is_equal_to_the_bit(
    cluster: Nodes, tmp_path: Path, precision: str, strategy: str, seed: int
) -> None:
    recipe = write_recipe(tmp_path)
    words = ["--address", cluster.address]
    for setting in (f"precision={precision}", f"strategy={strategy}"):
        words += ["--set", f"pretrain.training.{setting}"]
    calm, killed = tmp_path / "calm", tmp_path / "killed"

    def begin(workspace: Path) -> Pretraining:
        return Pretraining.start(recipe, workspace, cluster.environment, *words)

    begin(calm).wait()
    shutil.copytree(calm / "curate", killed / "curate")
    Disturbance(cluster, lambda: begin(killed)).through(seed).wait()
    # From its checkpoints, not from the start: the first death may come before there is one.
    assert len(resumed(killed)) >= len(PLAN) - 1
    assert all(step > 0 and step % 4 == 0 for step in resumed(killed))
    assert metrics(killed) == metrics(calm)
    assert [row["step"] for row in metrics(calm) if "loss" in row] == list(range(1, 31))
    assert weights(killed) == weights(calm)
    assert results(killed) == results(calm)
