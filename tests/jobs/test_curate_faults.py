"""Processes and nodes that are killed while a corpus is made: the corpus is the same."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import curate_runs as runs
from disturbed import KINDS, Disturbed, Kill
from medray.storage.location import Location
from ray_nodes import Nodes, ray_nodes

# How the log names where the job is, in order; the last passes are short.
PLACES = ("filter", "signature", "screened", "decisions", "tokenizer:", "windows")
LONGEST_PAUSE_S = dict(zip(PLACES, (4.0, 1.0, 1.0, 1.0, 1.0, 0.3), strict=True))
NODES = 2


def curate_through(
    cluster: Nodes, recipe: Path, workspace: Path, plan: Sequence[tuple[str, str]], seed: int
) -> list[Kill]:
    """Curate with one kill after another, each at a random moment of (or after) its pass."""

    def start() -> runs.Curation:
        return runs.Curation.start(
            recipe, workspace, workspace.with_suffix(".log"), "--address", cluster.address,
            environment=cluster.environment,
        )  # fmt: skip

    disturbed = Disturbed(cluster, start, PLACES)
    disturbed.through(plan, LONGEST_PAUSE_S, seed)
    return disturbed.kills


def check_equal(workspace: Path, undisturbed: Path) -> None:
    stage = Location.of(workspace / "curate")
    runs.assert_equal_contents(
        runs.contents(stage), runs.contents(Location.of(undisturbed / "curate"))
    )
    runs.assert_swept(stage)


@pytest.mark.slow
def test_twenty_kills_of_workers_drivers_and_nodes_change_nothing(tmp_path: Path) -> None:
    recipe = runs.write_mixtures(tmp_path / "corpus", 160, 4)
    undisturbed = tmp_path / "undisturbed"
    draw = random.Random(3)
    kinds = [*KINDS, *draw.choices(KINDS, k=17)]
    draw.shuffle(kinds)
    places = [*PLACES, *draw.choices(PLACES, k=14)]
    plan = list(zip(kinds, sorted(places, key=PLACES.index), strict=True))
    with ray_nodes(tmp_path, NODES) as cluster:
        runs.Curation.start(
            recipe, undisturbed, tmp_path / "undisturbed.log", "--address", cluster.address,
            environment=cluster.environment,
        ).wait()  # fmt: skip
        kills = curate_through(cluster, recipe, tmp_path / "killed", plan, seed=5)
    print("kills:", kills)
    check_equal(tmp_path / "killed", undisturbed)
    assert Counter(kill.kind for kill in kills) == Counter(kinds)
    assert len({kill.place for kill in kills}) >= 4, kills


@pytest.mark.slow
def test_one_kill_of_each_kind_and_an_orphan_change_nothing(tmp_path: Path) -> None:
    recipe = runs.write_mixtures(tmp_path / "corpus", 40, 4)
    undisturbed = tmp_path / "undisturbed"
    with ray_nodes(tmp_path, NODES) as cluster:
        runs.Curation.start(
            recipe, undisturbed, tmp_path / "undisturbed.log", "--address", cluster.address,
            environment=cluster.environment,
        ).wait()  # fmt: skip
        plan = list(zip(KINDS, ("filter", "screened", "windows"), strict=True))
        orphan = plant_orphan(tmp_path / "killed", undisturbed)
        kills = curate_through(cluster, recipe, tmp_path / "killed", plan, seed=4)
    print("kills:", kills)
    check_equal(tmp_path / "killed", undisturbed)
    assert [kill.kind for kill in kills] == list(KINDS)
    assert not orphan.exists()


def plant_orphan(workspace: Path, undisturbed: Path) -> Path:
    """Put a table of documents without a receipt where the first pass will write."""
    (there,) = (undisturbed / "curate" / "filter").iterdir()
    tables = sorted((there / "kept").glob("*.parquet"))
    orphan = workspace / "curate" / "filter" / there.name / "kept" / "0123456789abcdef.parquet"
    orphan.parent.mkdir(parents=True)
    pq.write_table(pq.read_table(tables[0]), orphan)
    return orphan


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_job_with_a_line_and_it_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    recipe = runs.write_mixtures(tmp_path / "corpus", 60, 10)
    with ray_nodes(tmp_path, NODES) as cluster:
        words = ("--address", cluster.address)
        made = tmp_path / "undisturbed"
        environment = cluster.environment
        runs.Curation.start(recipe, made, tmp_path / "a", *words, environment=environment).wait()
        workspace, log = small_disk / "workspace", tmp_path / "b"
        run = runs.Curation.start(recipe, workspace, log, *words, environment=environment)
        line = run.wait(expected=1)
        assert line.startswith("medray: failed: ")
        assert "no space left on the disk; what was finished is kept" in line
        assert not (workspace / "curate" / "manifest.json").exists()
        grow = ["mount", "-o", "remount,size=64m", str(small_disk)]
        subprocess.run(grow, check=True)
        runs.Curation.start(recipe, workspace, log, *words, environment=environment).wait()
    assert '"resumed: an earlier run was broken off here"' in log.read_text()
    stage = Location.of(workspace / "curate")
    runs.assert_equal_contents(runs.contents(stage), runs.contents(Location.of(made / "curate")))
    runs.assert_swept(stage)
