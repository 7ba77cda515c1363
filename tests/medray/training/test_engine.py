"""The DeepSpeed engine in a real worker group: all ZeRO stages learn alike and resume exactly."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medray.models.small import NewModelConfig, make_model
from medray.training.batches import Sequences, worker_samples
from medray.training.config import TrainingConfig
from medray.training.engine import Engine, prepare_process

pytestmark = pytest.mark.usefixtures("ray_local")

STEPS, BATCH, SEED = 6, 8, 3
SIZES = NewModelConfig(
    hidden_size=32, layers=2, attention_heads=2, key_value_heads=2, feed_forward_size=64
)


@dataclass(frozen=True)
class Vocabulary:
    """What make_model asks of a tokenizer."""

    bos_token_id: int = 0
    eos_token_id: int = 1
    pad_token_id: int = 2

    def __len__(self) -> int:
        return 64


def sequences() -> Sequences:
    generator = np.random.default_rng(5)
    lists = [generator.integers(3, 64, length).tolist() for length in (5, 9, 12, 7, 16, 3, 11, 8)]
    return Sequences.of([(tokens, tokens) for tokens in lists])


def config_of(stage: int, precision: str, workers: int) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "workers": {"count": workers},
            "zero_stage": stage,
            "precision": precision,
            "steps": STEPS,
            "global_batch_size": BATCH,
            "micro_batch_size": 2,
            "optimizer": {"learning_rate": 5e-3, "warmup_steps": 2},
        }
    )


def losses(config: TrainingConfig, resume_at: int | None, rank: int, world: int) -> list[float]:
    """Return each step's loss; at ``resume_at`` a new engine goes on from a checkpoint."""
    import torch

    data = sequences()
    engine = Engine(make_model(SIZES, Vocabulary(), SEED), config, rank, world)
    found = []
    for step in range(STEPS):
        if step == resume_at:
            folder = [tempfile.mkdtemp()]
            torch.distributed.broadcast_object_list(folder, src=0)
            engine.save(Path(folder[0]))
            engine = Engine(make_model(SIZES, Vocabulary(), SEED + 1), config, rank, world)
            engine.load(Path(folder[0]))
        chosen = worker_samples(step, BATCH, rank, world, len(data), SEED)
        found.append(engine.step(data, chosen, step))
    found.append(engine.evaluate(data))
    return found


def worker(target: str, cases: list[tuple[str, int, str, int | None]]) -> None:
    """Run all cases in one worker group: starting one takes longer than all of them."""
    import ray.train

    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    prepare_process(False, context.get_local_world_size())
    table: dict[str, Any] = {}
    for name, stage, precision, resume_at in cases:
        table[name] = losses(config_of(stage, precision, world), resume_at, rank, world)
    if rank == 0:
        Path(target).write_text(json.dumps(table))


def train(target: Path, workers: int, cases: list[tuple[str, int, str, int | None]]) -> Any:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(
        partial(worker, str(target), cases),
        scaling_config=ScalingConfig(num_workers=workers),
        run_config=RunConfig(name=target.stem, storage_path=str(target.parent / "ray")),
    ).fit()
    return json.loads(target.read_text())


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> Any:
    cases = [(f"zero {stage} fp32", stage, "fp32", None) for stage in range(4)]
    cases += [(f"zero {stage} bf16", stage, "bf16", None) for stage in (1, 2, 3)]
    cases += [("resumed fp32", 2, "fp32", 3), ("resumed bf16", 2, "bf16", 3)]
    return train(tmp_path_factory.mktemp("engine") / "two.json", 2, cases)


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> Any:
    cases = [("zero 2 fp32", 2, "fp32", None)]
    return train(tmp_path_factory.mktemp("engine") / "one.json", 1, cases)


def test_loss_falls(two_workers: Any) -> None:
    for name, found in two_workers.items():
        assert found[STEPS - 1] < found[0], name


def test_zero_stages_are_equal_in_fp32(two_workers: Any) -> None:
    for stage in range(4):
        assert two_workers[f"zero {stage} fp32"] == pytest.approx(
            two_workers["zero 0 fp32"], abs=1e-5
        )


def test_zero_stages_are_close_in_bf16(two_workers: Any) -> None:
    for stage in (2, 3):
        assert two_workers[f"zero {stage} bf16"] == pytest.approx(
            two_workers["zero 1 bf16"], abs=2e-2
        )


def test_resumed_run_is_equal_to_the_bit(two_workers: Any) -> None:
    assert two_workers["resumed fp32"] == two_workers["zero 2 fp32"]
    assert two_workers["resumed bf16"] == two_workers["zero 2 bf16"]


def test_one_worker_sees_the_same_global_batches(two_workers: Any, one_worker: Any) -> None:
    assert one_worker["zero 2 fp32"] == pytest.approx(two_workers["zero 2 fp32"], abs=1e-5)
