"""The table of jobs that a recipe's stages can name."""

from __future__ import annotations

from typing import Any

from jobs import benchmark, report
from medray.corpus import curate
from medray.models import prepare
from medray.pipeline import Job
from medray.scans import ocr
from medray.training import finetune, pretrain
from medray.tuning import sweep

JOBS: dict[str, Job[Any]] = {
    job.name: job
    for job in (
        ocr.JOB,
        curate.JOB,
        prepare.JOB,
        pretrain.JOB,
        finetune.JOB,
        sweep.JOB,
        benchmark.JOB,
        report.JOB,
    )
}
