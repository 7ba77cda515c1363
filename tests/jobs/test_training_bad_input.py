"""Training told wrong things: one line each, and what was good stays good."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from training_runs import Pretraining, metrics, results, resumed, weights, write_recipe

pytestmark = pytest.mark.slow


# First it helps, and then it harms.
RATE = "pretrain.training.optimizer={learning_rate: 2.0, warmup_steps: 29, schedule: constant}"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that nothing went wrong in; beside it lies its recipe."""
    folder = tmp_path_factory.mktemp("calm")
    write_recipe(folder)
    start(folder / "recipe.yaml", folder / "work").wait()
    return folder / "work"


def start(recipe: Path, workspace: Path, *overrides: str) -> Pretraining:
    words = [word for override in overrides for word in ("--set", override)]
    return Pretraining.start(recipe, workspace, os.environ, *words)


def begin(calm: Path, workspace: Path, *overrides: str) -> Pretraining:
    """Start a training in a new workspace, on the same corpus."""
    if not (workspace / "curate").exists():
        shutil.copytree(calm / "curate", workspace / "curate")
    return start(calm.parent / "recipe.yaml", workspace, *overrides)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "pretrain.model.new.maximum_positions=64",
            "a sequence has 128 tokens, the model 64 positions",
        ),
        (
            "pretrain.training.micro_batch_tokens=100",
            "training.micro_batch_tokens: 100 is less than the longest sequence, 128",
        ),
        ("pretrain.training.mixture={en: 1, fr: 1}", "mixture: fr has no sequence to train on"),
    ],
)
def test_wrong_settings_are_one_line_and_begun_once(
    calm: Path, tmp_path: Path, override: str, told: str
) -> None:
    run = begin(calm, tmp_path / "work", override)
    line = run.wait(2)
    assert line == f"medray: {told}"


def test_a_run_that_diverges_ends_and_names_its_documents(calm: Path, tmp_path: Path) -> None:
    run = begin(
        calm,
        tmp_path / "work",
        "pretrain.training.optimizer.learning_rate=1e30",
        "pretrain.training.optimizer.gradient_clipping=0",
        "pretrain.training.optimizer.warmup_steps=0",
    )
    line = run.wait(1)
    assert "medray: failed: DivergedError: step 2: loss" in line
    assert "its batch: " in line
    assert not (tmp_path / "work" / "pretrain" / "manifest.json").exists()


def test_a_changed_configuration_begins_anew_and_leaves_no_curve_of_the_other(
    calm: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    broken = begin(calm, work, "pretrain.training.optimizer.learning_rate=1e-2")
    while broken.step() < 6:
        assert not broken.ended, broken.tail()
    broken.kill()
    begin(calm, work).wait()
    assert metrics(work) == metrics(calm)
    assert weights(work) == weights(calm)


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Mount a disk of its own on a folder; only root may."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, room_mebibytes: int) -> None:
    """Give a mounted disk so much more room than it holds now."""
    size = shutil.disk_usage(folder).used // 2**20 + room_mebibytes
    subprocess.run(["mount", "-o", f"remount,size={size}m", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_last_checkpoint_serves(calm: Path, tmp_path: Path) -> None:
    """A checkpoint is 37 MB: the first has room, the second has not beside it."""
    work = tmp_path / "work"
    with disk(work):
        shutil.copytree(calm / "curate", work / "curate")
        resize(work, 60)
        line = begin(calm, work).wait(1)
        assert "no space left" in line.lower(), line
        kept = list((work / "pretrain" / "checkpoints").glob("*/checkpoint_*/history.json"))
        assert kept, "the first checkpoint is gone"
        resize(work, 600)
        begin(calm, work).wait()
        log = work.with_suffix(".log").read_text()
        assert "resumed: an earlier run was broken off here" in log
        assert resumed(work)
        assert metrics(work) == metrics(calm)
        assert weights(work) == weights(calm)
        assert results(work) == results(calm)


def test_the_best_checkpoint_and_the_last_are_kept(calm: Path, tmp_path: Path) -> None:
    """A rate that first helps and then harms, so that the best is not the last.

    Steps 2, 6, 10 ... are saved without a loss of their own, and are never the best.
    """
    work = tmp_path / "work"
    begin(
        calm,
        work,
        "pretrain.training.evaluate_every_steps=4",
        "pretrain.training.checkpoint_every_steps=2",
        "pretrain.training.spike_nats=0",
        RATE,
    ).wait()
    kept = {}
    for file in (work / "pretrain" / "checkpoints").glob("*/checkpoint_*/history.json"):
        history = json.loads(file.read_text())
        kept[history["step"]] = history["validation_loss"][-1][1]
    evaluated = dict(results(work)["validation_loss"])
    assert list(evaluated) == [4, 8, 12, 16, 20, 24, 28, 30]
    best = min(evaluated, key=lambda step: evaluated[step])
    assert best not in (4, 30)
    assert kept == {best: evaluated[best], 30: evaluated[30]}


def test_a_run_that_a_spike_ended_goes_on_with_another_limit(calm: Path, tmp_path: Path) -> None:
    """The loss is told to spike by a limit of nearly nothing: 20 steps are borne before any."""
    work = tmp_path / "work"
    spiked = begin(calm, work, "pretrain.training.spike_nats=1e-9", RATE).wait(1)
    assert "more than training.spike_nats above" in spiked
    begin(calm, work, "pretrain.training.spike_nats=0", RATE).wait()
    assert resumed(work)
    assert results(work)["last_loss"] > 0
