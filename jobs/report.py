"""The report job: one self-contained HTML page and results.json over the stages of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from medray.evaluation.report import render, results_of
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Reference, StageConfig, references
from medray.storage.artifact import Artifact
from medray.storage.location import Location

PAGE_NAME, RESULTS_NAME = "report.html", "results.json"


class ReportConfig(StageConfig):
    """Configuration of the report job: which stages it tells of. Only those named appear."""

    job: Literal["report"]
    ocr: Annotated[str | None, Reference(("pages",))] = None
    curate: Annotated[str | None, Reference(("corpus",))] = None
    pretrain: Annotated[str | None, Reference(("model",))] = None
    finetune: Annotated[str | None, Reference(("adapter", "prefix", "model"))] = None
    sweep: Annotated[str | None, Reference(("sweep",))] = None
    benchmark: Annotated[str | None, Reference(("benchmark",))] = None

    @model_validator(mode="after")
    def _tells_something(self) -> ReportConfig:
        if not references(self):
            raise ValueError("a report names at least one stage")
        return self


def run(config: ReportConfig, context: StageContext) -> StageResult:
    """Write both files into the artifact; the command line copies them to the workspace."""
    parts: dict[str, Artifact] = {
        part: context.artifacts[stage] for part, stage, _ in references(config)
    }
    results = results_of(context.recipe.name, context.recipe.seed, parts)
    (context.output / RESULTS_NAME).write_json(results)
    page = render(context.recipe.name, parts)
    (context.output / PAGE_NAME).write_bytes(page.encode())
    return StageResult(counts={"stages": len(parts)}, results={})


def publish(report: Artifact, workspace: Location) -> dict[str, str]:
    """Copy a report's two files to the top of the workspace; return their places."""
    places = {}
    for key, name in (("report", PAGE_NAME), ("results", RESULTS_NAME)):
        (workspace / name).write_bytes((report / name).read_bytes())
        places[key] = str(workspace / name)
    return places


JOB = Job("report", 1, "report", ReportConfig, run)
