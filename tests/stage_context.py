"""What a job is given, for tests that ask one thing of it and run no stage."""

from __future__ import annotations

from pathlib import Path

from medray.pipeline import StageContext
from medray.progress import Reporter, StageLog
from medray.recipe import Recipe
from medray.runtime import RayRuntime
from medray.storage.location import Location


def stage_context(stage: str, folder: Path) -> StageContext:
    """Return a stage's context of seed 7 in which nothing was made before; two CPUs."""
    recipe = Recipe(name="test", seed=7, stages={})
    log = StageLog(Reporter(as_json=True), stage)
    runtime = RayRuntime(logical_cpus=2)
    return StageContext(stage, recipe, Location.of(folder), "key", {}, {}, {}, runtime, log)
