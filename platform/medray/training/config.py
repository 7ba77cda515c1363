"""What every training stage is told: workers, engine, batch, schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.recipe import Config, Incidental, StageConfig, nearest


class WorkersConfig(Config):
    """The worker group. Each worker is one process with one device."""

    count: Annotated[int, Incidental()] = Field(default=2, ge=1, description="number of workers")
    minimum: Annotated[int | None, Incidental()] = Field(
        default=None, ge=1, description="go on with so few while nodes are missing; none: wait"
    )
    cpus_per_worker: Annotated[float, Incidental()] = Field(default=1.0, gt=0)
    resize_after_s: Annotated[float, Incidental()] = Field(
        default=60.0,
        gt=0,
        description="how often new nodes are looked for, where a minimum is set",
    )
    failures_borne: Annotated[int, Incidental()] = Field(
        default=10, ge=0, description="deaths of workers that one run goes on after"
    )
    use_gpu: bool = Field(default=False, description="one GPU a worker, NCCL; else CPU, gloo")

    @model_validator(mode="after")
    def _range(self) -> WorkersConfig:
        if self.minimum is not None and self.minimum > self.count:
            raise ValueError(f"minimum {self.minimum} is more than count {self.count}")
        return self


class OptimizerConfig(Config):
    """AdamW, linear warm-up, then a cosine or linear fall to zero, or a constant rate."""

    learning_rate: float = Field(default=2e-5, gt=0, description="the peak")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)
    warmup_ratio: float = Field(
        default=0.0, ge=0, le=1, description="share of all steps, where warmup_steps is 0"
    )
    weight_decay: float = Field(default=0.01, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    gradient_clipping: float = Field(default=1.0, ge=0, description="largest norm; 0: no clipping")


class TrainingConfig(Config):
    """The part of a training stage that is the same for all of them."""

    workers: WorkersConfig = Field(default=WorkersConfig())
    optimizer: OptimizerConfig = Field(default=OptimizerConfig())
    strategy: Literal["deepspeed", "fsdp"] = Field(
        default="deepspeed", description="what shards the model: DeepSpeed ZeRO, or PyTorch's FSDP2"
    )
    zero_stage: Literal[0, 1, 2, 3] = Field(
        default=2, description="DeepSpeed's, in bf16 at least 2; FSDP2 is as 3"
    )
    offload: Literal["none", "optimizer", "parameters"] = Field(
        default="none", description="what lies in the host's memory; parameters: both"
    )
    precision: Literal["bf16", "fp32"] = "bf16"
    gradient_checkpointing: bool = True
    compiled: bool = Field(default=False, description="torch.compile of every decoder layer")
    kernels: Literal["torch", "liger"] = Field(
        default="torch", description="liger: fused norms, rotations and MLPs, on GPUs"
    )
    steps: int = Field(default=100, ge=1, description="optimizer steps")
    epochs: float | None = Field(
        default=None, gt=0, description="instead of steps: how often all sequences are seen"
    )
    global_batch_size: int = Field(
        default=16, ge=1, description="sequences of one step, all workers together"
    )
    micro_batch_tokens: int = Field(
        default=8192,
        ge=16,
        description="tokens and padding of one forward pass: packed sequences, none sees another",
    )
    mixture: dict[str, float] | None = Field(
        default=None,
        description="weights of languages, or of entries by name; none: as many as there are",
    )
    log_every_steps: int = Field(default=5, ge=1)
    evaluate_every_steps: int = Field(default=0, ge=0, description="0: only after the last step")
    # Incidental: a run that a spike ended goes on from its checkpoints with another limit.
    spike_nats: Annotated[float, Incidental()] = Field(
        default=3.0, ge=0, description="a loss so far above its median ends the run; 0: none does"
    )
    checkpoint_every_steps: Annotated[int, Incidental()] = Field(default=50, ge=1)
    checkpoints_kept: Annotated[int, Incidental()] = Field(
        default=1,
        ge=1,
        description="the best by validation loss, of those saved where one was measured; the last "
        "is always kept",
    )

    mlflow_experiment: Annotated[str | None, Incidental()] = Field(
        default=None, min_length=1, description="metrics go to MLFLOW_TRACKING_URI too, under this"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> TrainingConfig:
        if self.offload != "none" and self.strategy == "deepspeed":
            needed = {"optimizer": 1, "parameters": 3}[self.offload]
            if self.zero_stage < needed:
                raise ValueError(f"offload: {self.offload} needs zero_stage >= {needed}")
        if self.epochs is not None and "steps" in self.model_fields_set:
            raise ValueError("steps and epochs are both given")
        if self.kernels == "liger" and not self.workers.use_gpu:
            raise ValueError("kernels: liger needs workers.use_gpu")
        if self.mixture is not None and (
            min(self.mixture.values(), default=0.0) < 0 or not sum(self.mixture.values()) > 0
        ):
            raise ValueError("mixture: weights must not be negative, and one must be above 0")
        return self

    def of_length(self, sequences: int) -> TrainingConfig:
        """Return the configuration with the steps that epochs over so many sequences take."""
        if self.epochs is None:
            return self
        steps = math.ceil(self.epochs * sequences / self.global_batch_size)
        return self.model_copy(update={"steps": steps})


class TrainingStageConfig(StageConfig):
    """Base of the training stages' configurations."""

    training: TrainingConfig = Field(default=TrainingConfig())


def check_mixture(
    config: TrainingConfig, entries: Sequence[tuple[str, str, str]], stage: str
) -> None:
    """Check a mixture's keys against the entries: (key, name, language) of each; none of a corpus.

    InputError where they are neither all languages nor all names, one is of no entry, or, where
    names are weighed, an entry has no weight: it would never be seen.
    """
    weights, where = config.mixture or {}, f"stages.{stage}.training.mixture"
    strange = [key for key in weights if key not in LANGUAGES]
    if not strange:
        there = {language for _, _, language in entries} or LANGUAGES.keys()
        if missing := [code for code, weight in weights.items() if weight and code not in there]:
            raise InputError(f"{where}: nothing to train on is in {', '.join(missing)}")
        return
    if len(strange) < len(weights):
        raise InputError(
            f"{where}: {', '.join(strange)} names no language; weigh languages or entries, not both"
        )
    names = sorted({name for _, name, _ in entries if name})
    for key in strange:
        if key not in names:
            near = nearest(key, [*names, *LANGUAGES])
            raise InputError(f"{where}: {key} is neither a language nor an entry's name{near}")
    if forgotten := [key for key, name, _ in entries if name not in weights]:
        raise InputError(
            f"{where}: {', '.join(forgotten)} would never be seen; give it a name and a weight, 0 "
            "to leave it out"
        )


def learning_rate_at(step: int, steps: int, config: OptimizerConfig) -> float:
    """Return the learning rate of step ``step`` (0-based) of ``steps``.

    A function of the step alone, so a resumed run has no schedule state to restore. Warm-up
    rises linearly from learning_rate / its steps.
    """
    warmup = config.warmup_steps or math.ceil(config.warmup_ratio * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - warmup) / max(1, steps - warmup)
    if config.schedule == "linear":
        return config.learning_rate * (1 - done)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
