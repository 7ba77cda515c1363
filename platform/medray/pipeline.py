"""Running a recipe: each stage is skipped, resumed or made, and ends in an artifact."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from medray.errors import InputError
from medray.progress import Reporter, StageLog
from medray.recipe import (
    Recipe,
    StageConfig,
    expand,
    expand_folder,
    identity_config,
    input_folders,
    input_patterns,
    references,
)
from medray.runtime import RayRuntime
from medray.storage.artifact import (
    IN_PROGRESS_NAME,
    MANIFEST_NAME,
    Artifact,
    changes,
    commit,
    fingerprint_of,
)
from medray.storage.location import Location, content_identity

# A stage whose inputs were all replaced would otherwise tell a line of hundreds of names.
CHANGES_TOLD = 4

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
    inputs: Mapping[str, str]
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

    def folder(self, path: str, key: str) -> Path:
        """Return the local folder that the recipe names."""
        where = f"stages.{self.name}.{key}"
        return expand_folder(path, self.variables, where).local_path()


@dataclass(frozen=True)
class Job(Generic[Settings]):
    """A kind of work: its name, the type of its configuration, the kind of artifact it makes
    (or a function that tells it from the configuration).

    ``version`` goes into every fingerprint: raise it when the same configuration would now make
    something else. ``check`` looks at the inputs before any stage runs, so that a wrong exam file
    is told now and not after a day of pretraining; it may not use earlier stages' artifacts.
    ``depends_on`` names what else the artifact is made from (keyword lists, the OCR engines of
    this machine); it goes into the fingerprint.

    ``has_passes``: the job names its folders by what each is made from, so that a changed
    configuration rebuilds only what it concerns; it removes what is stale itself.
    ``local_disk``: the job reads or writes through local paths, so its workspace must be one.
    """

    name: str
    version: int
    kind: str | Callable[[Settings], str]
    config: type[Settings]
    run: Callable[[Settings, StageContext], StageResult]
    check: Callable[[Settings, StageContext], None] = lambda config, context: None
    depends_on: Callable[[Settings], dict[str, str]] = lambda config: {}
    has_passes: bool = False
    local_disk: bool = True

    def kind_of(self, config: Any) -> str:
        """Return the kind of artifact that a configuration makes."""
        return self.kind(config) if callable(self.kind) else self.kind


@dataclass(frozen=True)
class Plan:
    """What a stage is made from and, by that, what its artifact will be: known before any stage
    runs, for a fingerprint is a function of configuration and inputs alone."""

    identity: dict[str, Any]
    inputs: dict[str, str]
    fingerprint: str


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
        self._check_workspace(names)
        with self.workspace.locked():
            plans = self._plan(names)
            for name in names:
                if self._finished(name, plans[name]) is None:
                    config = self.recipe.stages[name]
                    context = self._context(name, plans[name], {})
                    self.jobs[config.job].check(config, context)
            artifacts: dict[str, Artifact] = {}
            outcomes = []
            for name in names:
                outcome = self._stage(name, plans[name], artifacts)
                artifacts[name] = outcome.artifact
                outcomes.append(outcome)
        return outcomes

    def _check_workspace(self, names: Sequence[str]) -> None:
        for name in names:
            job = self.recipe.stages[name].job
            if self.jobs[job].local_disk and not self.workspace.is_local:
                raise InputError(
                    f"--workspace {self.workspace}: stage {name} ({job}) wants a path, on a disk "
                    "that all nodes share; in an object store ocr and curate can work"
                )

    def _plan(self, names: Sequence[str]) -> dict[str, Plan]:
        plans: dict[str, Plan] = {}
        for name in names:
            config = self.recipe.stages[name]
            job = self.jobs[config.job]
            identity = identity_config(config) | {"seed": self.recipe.seed}
            inputs = self._inputs(name, config, plans) | job.depends_on(config)
            fingerprint = fingerprint_of(identity, job.version, inputs)
            plans[name] = Plan(identity, inputs, fingerprint)
        return plans

    def _finished(self, name: str, plan: Plan) -> Artifact | None:
        existing = Artifact.open(self.workspace / name)
        if existing is None or existing.manifest.fingerprint != plan.fingerprint:
            return None
        return existing

    def planned(self, job: str) -> list[tuple[Any, StageContext]]:
        """Return (configuration, context) of every stage with a job, nothing having been run.

        The context's artifacts are those that are finished.
        """
        wanted = [name for name, config in self.recipe.stages.items() if config.job == job]
        needed = self._needed(wanted)
        plans = self._plan([name for name in self.recipe.stages if name in needed])
        made = {name: self._finished(name, plan) for name, plan in plans.items()}
        artifacts = {name: artifact for name, artifact in made.items() if artifact is not None}
        return [
            (self.recipe.stages[name], self._context(name, plans[name], artifacts))
            for name in wanted
        ]

    def _context(self, name: str, plan: Plan, artifacts: Mapping[str, Artifact]) -> StageContext:
        return StageContext(
            name=name,
            recipe=self.recipe,
            output=self.workspace / name,
            fingerprint=plan.fingerprint,
            inputs=plan.inputs,
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

    def _stage(self, name: str, plan: Plan, artifacts: Mapping[str, Artifact]) -> Outcome:
        config, start = self.recipe.stages[name], time.monotonic()
        job = self.jobs[config.job]
        context = self._context(name, plan, artifacts)
        location, log = context.output, context.log
        finished = self._finished(name, plan)
        if finished is not None:
            log.event("skipped: already made", fingerprint=plan.fingerprint[:8])
            return Outcome(name, "skipped", finished, 0.0)
        self._prepare(location, plan, job, log)
        log.event("started", fingerprint=plan.fingerprint[:8])
        with log.open():
            result = job.run(config, context)
        seconds = round(time.monotonic() - start, 2)
        artifact = commit(
            location,
            kind=job.kind_of(config),
            stage=name,
            job=job.name,
            job_version=job.version,
            fingerprint=plan.fingerprint,
            config=plan.identity,
            inputs=plan.inputs,
            counts=result.counts,
            results=result.results,
            seconds=seconds,
            timings_s=result.timings_s,
        )
        (location / IN_PROGRESS_NAME).delete_file()
        log.event("done", seconds=seconds)
        return Outcome(name, "made", artifact, seconds)

    def _inputs(self, name: str, config: StageConfig, plans: Mapping[str, Plan]) -> dict[str, str]:
        """Return the identity of everything a stage reads, by the key that names it."""
        inputs = {}
        for key, stage, kinds in references(config):
            made_by = self.recipe.stages[stage]
            kind = self.jobs[made_by.job].kind_of(made_by)
            if kind not in kinds:
                raise InputError(
                    f"stages.{name}.{key}: stage {stage} makes a {kind}; "
                    f"wanted is: {' or '.join(kinds)}"
                )
            inputs[key] = plans[stage].fingerprint
        for key, pattern in input_patterns(config):
            files = expand(pattern, self.variables, f"stages.{name}.{key}")
            # Named below the folder they share: en/part.parquet and fr/part.parquet both count.
            shared = posixpath.commonpath([posixpath.dirname(file.path) for file in files])
            for file in files:
                relative = posixpath.relpath(file.path, shared)
                inputs[f"{key}/{relative}"] = content_identity(file)
        for key, path in input_folders(config):
            folder = expand_folder(path, self.variables, f"stages.{name}.{key}")
            for file in folder.files():
                inputs[f"{key}/{file.relative_to(folder)}"] = content_identity(file)
        return inputs

    def _prepare(self, location: Location, plan: Plan, job: Job[Any], log: StageLog) -> None:
        """Keep what a broken run of the same fingerprint left, remove everything else."""
        marker = location / IN_PROGRESS_NAME
        if marker.is_file() and marker.read_json().get("fingerprint") == plan.fingerprint:
            log.event("resumed: an earlier run was broken off here")
            return
        existing = Artifact.open(location)
        if existing is not None:
            why = changes(existing.manifest, plan.identity, job.version, plan.inputs)
            more = f"; and {len(why) - CHANGES_TOLD} more" if len(why) > CHANGES_TOLD else ""
            log.event("rebuilt: " + "; ".join(why[:CHANGES_TOLD]) + more)
        if job.has_passes:
            (location / MANIFEST_NAME).delete_file()
        else:
            location.delete_folder()
        marker.write_json({"fingerprint": plan.fingerprint})
