"""A worker group that grows and shrinks while it trains, and a node that is given notice."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from training_runs import Pretraining, metrics, resumed, write_recipe

from ray_nodes import Nodes, ray_nodes

pytestmark = pytest.mark.slow

ELASTIC = (
    "pretrain.training.workers={count: 2, minimum: 1, resize_after_s: 3}",
    "pretrain.training.precision=fp32",
    "pretrain.training.steps=120",
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Nodes]:
    with ray_nodes(tmp_path, 1) as nodes:
        yield nodes


def begin(cluster: Nodes, workspace: Path, *overrides: str) -> Pretraining:
    recipe = workspace.parent / "recipe.yaml"
    if not recipe.exists():
        write_recipe(workspace.parent)
    words = [word for override in (*ELASTIC, *overrides) for word in ("--set", override)]
    words += ["--address", cluster.address]
    return Pretraining.start(recipe, workspace, cluster.environment, *words)


def wait(run: Pretraining, reached: Callable[[], bool], patience_s: float = 240.0) -> None:
    deadline = time.monotonic() + patience_s
    while not reached():
        assert not run.ended, f"ended first\n{run.tail()}"
        assert time.monotonic() < deadline, f"not reached\n{run.tail()}"
        time.sleep(0.2)


def workers(workspace: Path) -> list[int]:
    """Return how many workers did each step."""
    lines = (workspace / "pretrain" / "metrics.jsonl").read_text().splitlines()
    return [row["workers"] for row in map(json.loads, lines) if "loss" in row]


def losses(workspace: Path) -> list[float]:
    return [row["loss"] for row in metrics(workspace) if "loss" in row]


def test_a_group_takes_in_a_node_that_comes_and_goes_on_without_one_that_is_lost(
    cluster: Nodes, tmp_path: Path
) -> None:
    calm, changed = tmp_path / "calm", tmp_path / "changed"
    begin(cluster, calm).wait()
    assert set(workers(calm)) == {1}
    shutil.copytree(calm / "curate", changed / "curate")
    run = begin(cluster, changed)
    wait(run, lambda: run.step() >= 3)
    cluster.add()
    wait(run, lambda: 2 in workers(changed) and run.step() >= 12)
    cluster.lose(1)
    run.wait()
    assert resumed(changed)
    told = workers(changed)
    assert told[0] == 1 and 2 in told and told[-1] == 1
    assert losses(changed) == pytest.approx(losses(calm), abs=2e-4)


def test_a_node_that_is_given_notice_costs_no_step(cluster: Nodes, tmp_path: Path) -> None:
    """A checkpoint is saved at the notice, and at no other time."""
    cluster.add()
    cluster.add()
    settings = (
        "pretrain.training.checkpoint_every_steps=1000",
        "pretrain.training.workers.minimum=2",
    )
    calm, warned = tmp_path / "calm", tmp_path / "warned"
    begin(cluster, calm, *settings).wait()
    shutil.copytree(calm / "curate", warned / "curate")
    run = begin(cluster, warned, *settings)

    def saved() -> list[Path]:
        """Return the histories of whole checkpoints: those that Ray Train has taken down."""
        found = (warned / "pretrain" / "checkpoints").glob("*/checkpoint_*/history.json")
        return [
            file
            for file in found
            for known in [file.parents[1] / "checkpoint_manager_snapshot.json"]
            if known.exists() and file.parent.name in known.read_text()
        ]

    wait(run, lambda: run.step() >= 3)
    assert not saved()
    number = cluster.doing("RayTrainWorker")[0]
    cluster.give_notice(number, 60)
    wait(run, lambda: bool(saved()))
    step = json.loads(saved()[0].read_text())["step"]
    assert step >= 3
    cluster.lose(number)
    run.wait()
    assert resumed(warned) == [step]
    assert metrics(warned) == metrics(calm)
