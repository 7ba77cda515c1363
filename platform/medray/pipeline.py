"""Running a recipe: each stage is skipped, resumed or made, and ends in an artifact."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from medray.errors import InputError
from medray.progress import Reporter, StageLog
from medray.recipe import (
    Recipe,
    StageConfig,
    expand,
    identity_config,
    input_patterns,
    references,
)
from medray.runtime import RayRuntime
from medray.storage.artifact import (
    IN_PROGRESS_NAME,
    Artifact,
    Manifest,
    changes,
    commit,
    fingerprint_of,
)
from medray.storage.location import Location, content_identity

Settings = TypeVar("Settings", bound=StageConfig)


@dataclass(frozen=True)
class StageResult:
    """What a job gives back: counts and numbers for the manifest and report, times apart."""

    counts: dict[str, int]
    results: dict[str, Any]
    timings_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StageContext:
    """What a job is given: where to write, what was made before, Ray, the log."""

    name: str
    recipe: Recipe
    output: Location
    fingerprint: str
    artifacts: Mapping[str, Artifact]
    variables: Mapping[str, str]
    ray: RayRuntime
    log: StageLog

    @property
    def seed(self) -> int:
        return self.recipe.seed

    def files(self, pattern: str, key: str = "files") -> list[Location]:
        """Return the input files that a pattern of the recipe names."""
        return expand(pattern, self.variables, f"stages.{self.name}.{key}")


@dataclass(frozen=True)
class Job(Generic[Settings]):
    """A kind of work: its name, the type of its configuration, the kind of artifact it makes.

    ``version`` goes into every fingerprint: raise it when the same configuration would now make
    something else. ``check`` looks at the inputs before any stage runs, so that a wrong exam file
    is told now and not after a day of pretraining; it may not use earlier stages' artifacts.
    ``outdated`` may give the reason why a finished artifact should be made again although its
    fingerprint still fits (an engine that was missing is there now).
    """

    name: str
    version: int
    kind: str
    config: type[Settings]
    run: Callable[[Settings, StageContext], StageResult]
    check: Callable[[Settings, StageContext], None] = lambda config, context: None
    outdated: Callable[[Settings, Manifest], str] = lambda config, manifest: ""


@dataclass(frozen=True)
class Outcome:
    """How one stage of a run ended: "skipped" or "made"."""

    stage: str
    outcome: str
    artifact: Artifact
    seconds: float


@dataclass(frozen=True)
class Run:
    """A recipe, its workspace and the means to run it."""

    recipe: Recipe
    jobs: Mapping[str, Job[Any]]
    workspace: Location
    variables: Mapping[str, str]
    ray: RayRuntime
    reporter: Reporter

    def execute(self, only: Sequence[str] | None = None) -> list[Outcome]:
        """Run the stages in order (``only``: these, and all that they refer to)."""
        wanted = self._needed(only) if only is not None else set(self.recipe.stages)
        names = [name for name in self.recipe.stages if name in wanted]
        self._check(names)
        artifacts: dict[str, Artifact] = {}
        outcomes = []
        for name in names:
            outcome = self._stage(name, artifacts)
            artifacts[name] = outcome.artifact
            outcomes.append(outcome)
        return outcomes

    def _check(self, names: Sequence[str]) -> None:
        """Check the inputs of every stage before the first one runs, but for what a finished
        artifact has proved already."""
        for name in names:
            config = self.recipe.stages[name]
            existing = Artifact.open(self.workspace / name)
            if existing is None or existing.manifest.config != self._identity(config):
                self.jobs[config.job].check(config, self._context(name, "", {}))

    def _identity(self, config: StageConfig) -> dict[str, Any]:
        return identity_config(config) | {"seed": self.recipe.seed}

    def _context(
        self, name: str, fingerprint: str, artifacts: Mapping[str, Artifact]
    ) -> StageContext:
        return StageContext(
            name=name,
            recipe=self.recipe,
            output=self.workspace / name,
            fingerprint=fingerprint,
            artifacts=artifacts,
            variables=self.variables,
            ray=self.ray,
            log=StageLog(self.reporter, name),
        )

    def _needed(self, names: Sequence[str]) -> set[str]:
        needed: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in needed:
                needed.add(name)
                pending += [stage for _, stage, _ in references(self.recipe.stages[name])]
        return needed

    def _stage(self, name: str, artifacts: Mapping[str, Artifact]) -> Outcome:
        config, start = self.recipe.stages[name], time.monotonic()
        job, identity = self.jobs[config.job], self._identity(config)
        inputs = self._inputs(name, config, artifacts)
        fingerprint = fingerprint_of(identity, job.version, inputs)
        context = self._context(name, fingerprint, artifacts)
        location, log = context.output, context.log
        existing = Artifact.open(location)
        if existing is not None and existing.manifest.fingerprint == fingerprint:
            reason = job.outdated(config, existing.manifest)
            if not reason:
                log.event("skipped: already made", fingerprint=fingerprint[:8])
                return Outcome(name, "skipped", existing, 0.0)
            log.event(f"rebuilt: {reason}")
        elif existing is not None:
            why = changes(existing.manifest, identity, job.version, inputs)
            log.event("rebuilt: " + "; ".join(why))
        self._prepare(location, fingerprint, log)
        log.event("started", fingerprint=fingerprint[:8])
        try:
            result = job.run(config, context)
        finally:
            log.close()
        seconds = round(time.monotonic() - start, 2)
        artifact = commit(
            location,
            kind=job.kind,
            stage=name,
            job=job.name,
            job_version=job.version,
            fingerprint=fingerprint,
            config=identity,
            inputs=inputs,
            counts=result.counts,
            results=result.results,
            seconds=seconds,
            timings_s=result.timings_s,
        )
        (location / IN_PROGRESS_NAME).delete_file()
        log.event("done", seconds=seconds)
        return Outcome(name, "made", artifact, seconds)

    def _inputs(
        self, name: str, config: StageConfig, artifacts: Mapping[str, Artifact]
    ) -> dict[str, str]:
        """Return the identity of everything a stage reads, by the key that names it."""
        inputs = {}
        for key, stage, kinds in references(config):
            kind = artifacts[stage].manifest.kind
            if kind not in kinds:
                raise InputError(
                    f"stages.{name}.{key}: stage {stage} makes a {kind}, "
                    f"this wants a {' or '.join(kinds)}"
                )
            inputs[key] = artifacts[stage].manifest.fingerprint
        for key, pattern in input_patterns(config):
            files = expand(pattern, self.variables, f"stages.{name}.{key}")
            # Named below the folder they share: en/part.parquet and fr/part.parquet both count.
            folder = posixpath.commonpath([posixpath.dirname(file.path) for file in files])
            for file in files:
                relative = posixpath.relpath(file.path, folder)
                inputs[f"{key}/{relative}"] = content_identity(file)
        return inputs

    def _prepare(self, location: Location, fingerprint: str, log: StageLog) -> None:
        """Keep what a broken run of the same fingerprint left, remove everything else."""
        marker = location / IN_PROGRESS_NAME
        if marker.is_file() and marker.read_json().get("fingerprint") == fingerprint:
            log.event("resumed: an earlier run was broken off here")
            return
        location.delete_folder()
        marker.write_json({"fingerprint": fingerprint})
