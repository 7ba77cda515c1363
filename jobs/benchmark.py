"""The benchmark job: deploy the model on Ray Serve, ask the exams over HTTP, take it down."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from medray.errors import InputError
from medray.evaluation.client import EndpointAddress
from medray.evaluation.exam import ExamConfig, ask_all, measure
from medray.instruct.inputs import QuestionFiles, load_questions
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Config, Incidental, Reference, StageConfig
from medray.runtime import RayRuntime, port_in_use
from serving.config import Autoscaling, ServingConfig

if TYPE_CHECKING:
    from serving.app import Endpoint


class ServingSettings(Config):
    """How the model is served for the benchmark; the part of ServingConfig that a recipe sets."""

    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    max_prompt_tokens: int = Field(default=2048, ge=1)
    max_output_tokens: int = Field(default=512, ge=1)
    num_blocks: Annotated[int, Incidental()] = Field(default=64, ge=1)
    max_batch_tokens: Annotated[int, Incidental()] = Field(default=512, ge=1)
    port: Annotated[int, Incidental()] = Field(default=0, ge=0, le=65535, description="0: any free")
    num_cpus: Annotated[float, Incidental()] = Field(default=1.0, gt=0, description="of a replica")
    num_gpus: Annotated[float, Incidental()] = Field(default=0.0, ge=0, description="of a replica")
    min_replicas: Annotated[int, Incidental()] = Field(default=1, ge=0)
    max_replicas: Annotated[int, Incidental()] = Field(default=1, ge=1)


class BenchmarkConfig(StageConfig):
    """Configuration of the benchmark job."""

    job: Literal["benchmark"]
    model: Annotated[str, Reference(("model",))] = Field(description="a pretrain stage")
    adapter: Annotated[str | None, Reference(("adapter", "prefix"))] = Field(
        default=None, description="a finetune stage whose LoRA is merged in or whose prefix is used"
    )
    questions: list[QuestionFiles] = Field(min_length=1)
    exam: ExamConfig = Field(default=ExamConfig())
    serving: ServingSettings = Field(default=ServingSettings())


def serving_config(config: BenchmarkConfig, model: Path, adapter: Path | None) -> ServingConfig:
    """Return what to serve: the pretrained model, with the adapter where one is named."""
    settings = config.serving
    return ServingConfig(
        model=model,
        adapter=adapter,
        model_name=config.adapter or config.model,
        port=settings.port,
        dtype=settings.dtype,
        max_prompt_tokens=settings.max_prompt_tokens,
        max_output_tokens=settings.max_output_tokens,
        num_blocks=settings.num_blocks,
        max_batch_tokens=settings.max_batch_tokens,
        num_cpus=settings.num_cpus,
        num_gpus=settings.num_gpus,
        autoscaling=Autoscaling(
            min_replicas=settings.min_replicas, max_replicas=settings.max_replicas
        ),
    )


@contextmanager
def served(config: ServingConfig, ray: RayRuntime, purpose: str) -> Iterator[Endpoint]:
    """Serve while the block runs, with an API key made for this run where none is set."""
    from serving.app import deploy, shutdown

    ray.connect()
    os.environ.setdefault(config.api_key_environment, secrets.token_urlsafe(32))
    with serving_errors(purpose):
        endpoint = deploy(config)
    try:
        yield endpoint
    finally:
        shutdown(endpoint, keep_proxy=ray.address is None)


@contextmanager
def serving_errors(purpose: str) -> Iterator[None]:
    """Turn what a user can mend (port taken, no such folder, no key) into InputError."""
    from serving.app import PortInUse

    try:
        yield
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"{purpose}: {key} {fault['msg']}") from error
    except (PortInUse, FileNotFoundError, ValueError) as error:
        raise InputError(f"{purpose}: {error}") from error


def check(config: BenchmarkConfig, context: StageContext) -> None:
    """Read every question; check the settings, that the replicas fit, that the port is free."""
    where = f"stages.{context.name}"
    load_questions(config.questions, context)
    with serving_errors(f"{where}.serving"):
        serving = serving_config(config, Path("model"), None)
    if config.exam.maximum_new_tokens > serving.max_output_tokens:
        raise InputError(
            f"{where}.exam.maximum_new_tokens: {config.exam.maximum_new_tokens} is more than "
            f"serving.max_output_tokens {serving.max_output_tokens}"
        )
    replicas = max(1, serving.autoscaling.min_replicas)
    context.ray.need_cpus(replicas * serving.num_cpus, f"{where}.serving")
    if serving.port and port_in_use(serving.port):
        raise InputError(
            f"{where}.serving.port: {serving.port} is in use; choose another, or 0 for any free one"
        )


def run(config: BenchmarkConfig, context: StageContext) -> StageResult:
    """Measure the model through its endpoint; every answer is kept below ``answers/``."""
    questions = load_questions(config.questions, context)
    model = (context.artifacts[config.model] / "model").local_path()
    adapter = None
    if config.adapter is not None:
        adapter = (context.artifacts[config.adapter] / "adapter").local_path()
    serving = serving_config(config, model, adapter)
    if context.ray.address is not None:
        # A cluster has one proxy: another run's endpoint must not stand on the same route.
        place = hashlib.sha256(str(context.output).encode()).hexdigest()[:12]
        serving = serving.model_copy(update={"route_prefix": f"/run-{place}"})
    start = time.monotonic()
    with served(serving, context.ray, f"stages.{context.name}") as endpoint:
        ready_s = round(time.monotonic() - start, 2)
        context.log.event("endpoint ready", url=endpoint.base_url, seconds=ready_s)
        address = EndpointAddress(
            endpoint.base_url, endpoint.model_name, serving.api_key_environment
        )
        report = partial(context.log.progress, "question")
        start = time.monotonic()
        answers = ask_all(questions, address, config.exam, context.output / "answers", report)
        asked_s = round(time.monotonic() - start, 2)
    generated = sum(answer["generated"] is not None for answer in answers)
    return StageResult(
        counts={"questions": len(questions), "generated_answers": generated},
        results=measure(questions, answers),
        timings_s={"endpoint_ready": ready_s, "questions": asked_s},
    )


JOB = Job("benchmark", 4, "benchmark", BenchmarkConfig, run, check)
