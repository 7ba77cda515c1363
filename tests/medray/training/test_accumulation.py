"""A step of many forward passes in bf16 has the gradient of one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from medray.training.config import TrainingConfig
from medray.training.engine import Engine
from medray.training.strategy import prepare_process

from .architectures import examples, make

pytestmark = pytest.mark.usefixtures("ray_local")

# Of 9 to 16 tokens, so that a row of 16 holds one.
SEQUENCES = 128
CASES = [
    *(("deepspeed", stage, "none") for stage in range(4)),
    ("deepspeed", 1, "optimizer"),
    ("deepspeed", 2, "optimizer"),
    ("deepspeed", 3, "parameters"),
    ("fsdp", 3, "none"),
]


def config(case: tuple[str, int, str], row_tokens: int) -> TrainingConfig:
    strategy, stage, offload = case
    # AdamW's first step is gradient / (|gradient| + epsilon): with an epsilon so large, and a rate
    # as large, the gradient itself.
    optimizer = {"learning_rate": 1e3, "epsilon": 1e3, "weight_decay": 0, "schedule": "constant"}
    return TrainingConfig.model_validate(
        {
            "workers": {"count": 2},
            "strategy": strategy,
            "zero_stage": stage,
            "offload": offload,
            "precision": "bf16",
            "global_batch_size": SEQUENCES,
            "micro_batch_tokens": row_tokens,
            "optimizer": {**optimizer, "gradient_clipping": 0},
        }
    )


def gradient(settings: TrainingConfig, rank: int, world: int) -> torch.Tensor:
    """Return a whole step's gradient, as the change of the fp32 weights tells it; on rank 0."""
    from deepspeed.utils import safe_get_full_fp32_param

    model = make("llama")
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    engine = Engine(model, settings, rank, world)
    data = examples(lengths=tuple(9 + number % 8 for number in range(SEQUENCES)))
    engine.step(data, range(SEQUENCES), 0)
    if settings.strategy == "fsdp":
        after = engine.whole_weights()
    else:
        # Their fp32 weights begin as bf16, rounded.
        before = {name: weight.bfloat16().float() for name, weight in before.items()}
        trained = engine.strategy.module.module.model.named_parameters()
        after = {name: safe_get_full_fp32_param(weight) for name, weight in trained}
    changes = [before[name] - weight for name, weight in after.items() if name in before]
    return torch.cat([change.flatten() for change in changes]) if rank == 0 else torch.zeros(1)


def worker(target: str) -> None:
    import ray.train

    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    prepare_process(False, context.get_local_world_size())
    whole = gradient(config(CASES[2], 8192), rank, world)
    errors = []
    for case in CASES:
        found = gradient(config(case, 16), rank, world)
        errors.append(float((found - whole).norm() / whole.norm()))
    if rank == 0:
        Path(target).write_text(json.dumps(errors))


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> dict[Any, float]:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    target = tmp_path_factory.mktemp("accumulation") / "errors.json"
    TorchTrainer(
        partial(worker, str(target)),
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(name="accumulation", storage_path=str(target.parent / "ray")),
    ).fit()
    return dict(zip(CASES, json.loads(target.read_text()), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_the_sum_of_64_passes_loses_no_bits(
    case: tuple[str, int, str], errors: dict[Any, float]
) -> None:
    """Each of two workers makes 64 passes. Sums in bf16 were 0.011 off, in fp32 they are 0.005."""
    assert errors[case] < 0.007
