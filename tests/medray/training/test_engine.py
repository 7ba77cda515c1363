"""The engine in a real worker group, against a plain loop: every method, strategy and stage."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from medray.models.folder import load_adapter, load_model
from medray.training.config import TrainingConfig
from medray.training.engine import Engine
from medray.training.order import Order
from medray.training.strategy import prepare_process

from .architectures import METHODS, examples, make

pytestmark = pytest.mark.usefixtures("ray_local")

STEPS, BATCH, SEED = 6, 8, 3
STRATEGIES = [("deepspeed", stage) for stage in range(4)] + [("fsdp", 3)]
TRAINED = ("full", "lora", "prefix", "freeze")


@dataclass(frozen=True)
class Case:
    """One training of the small model; ``resume_at``: a new engine goes on from a checkpoint."""

    method: str
    strategy: str
    zero_stage: int
    precision: str = "fp32"
    offload: str = "none"
    resume_at: int | None = None
    family: str = "llama"
    dropout: float = 0.0

    @property
    def name(self) -> str:
        return " ".join(str(value) for value in vars(self).values())

    def config(self, workers: int) -> TrainingConfig:
        return TrainingConfig.model_validate(
            {
                "workers": {"count": workers},
                "strategy": self.strategy,
                "zero_stage": self.zero_stage,
                "precision": self.precision,
                "offload": self.offload,
                "steps": STEPS,
                "global_batch_size": BATCH,
                "micro_batch_tokens": 24,
                "optimizer": {"learning_rate": 5e-3, "warmup_steps": 2, "weight_decay": 0.1},
            }
        )


def adapted(case: Case) -> Any:
    from medray.training.methods import apply_method

    model = make(case.family)
    torch.manual_seed(1)
    method = METHODS[case.method]
    if case.dropout:
        method = method.model_copy(update={"dropout": case.dropout})
    return apply_method(model, method)


def digest(tensor: torch.Tensor) -> str:
    """Return what two tensors share only where they are equal to the bit."""
    plain = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return sha256(plain.numpy().tobytes()).hexdigest()


def batches() -> list[list[int]]:
    order = Order.uniform(len(examples()), SEED)
    return [order.between(step * BATCH, (step + 1) * BATCH) for step in range(STEPS)]


def train(case: Case, rank: int, world: int, shared: Path) -> dict[str, Any]:
    """Train; a case to resume is saved half-way, or goes on from what another group saved."""
    data, config = examples(), case.config(world)
    engine = Engine(adapted(case), config, rank, world)
    saved = shared / case.name
    handed_over = case.resume_at is not None and saved.exists()
    losses, norms = [], []
    for step, chosen in enumerate(batches()):
        if handed_over and step < case.resume_at:
            continue
        if step == case.resume_at:
            if not handed_over:
                engine.save(saved)
                torch.distributed.barrier()
            engine = Engine(adapted(case), config, rank, world)
            engine.load(saved)
        torch.manual_seed(1000 * step + rank)  # as the loop does: for dropout
        done = engine.step(data, chosen, step)
        losses.append(done.loss)
        norms.append(done.gradient_norm)
    weights = engine.whole_weights()
    if rank == 0 and case.resume_at is None:
        export(engine, data, weights, shared / "exported" / case.name)
    return {
        "losses": losses,
        "norms": norms,
        "validation": engine.evaluate(data),
        "weights": {name: digest(tensor) for name, tensor in sorted(weights.items())},
    }


class NoTokenizer:
    """Stands where a tokenizer is written beside a model."""

    def save_pretrained(self, folder: Path) -> None:
        """Write nothing."""


def export(engine: Engine, data: Any, weights: dict[str, Any], folder: Path) -> None:
    from medray.models.card import ModelCard
    from medray.storage.location import Location
    from medray.training.export import export_model
    from medray.training.history import History
    from medray.training.loop import Assembly

    assembly = Assembly(engine.objective.model, data, None, NoTokenizer())
    history = History(loss=[(STEPS, 1.0)], step=STEPS)
    card = ModelCard("stage", "recipe", "fingerprint", {}, {})
    export_model(assembly, weights, Location.of(folder), card, history)


def worker(target: str, cases: list[Case]) -> None:
    """Run all cases in one worker group: starting one takes longer than all of them."""
    import ray.train

    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    prepare_process(False, context.get_local_world_size())
    shared = Path(target).parent
    table = {case.name: train(case, rank, world, shared) for case in cases}
    if rank == 0:
        Path(target).write_text(json.dumps(table))


def run(target: Path, workers: int, cases: list[Case]) -> dict[str, Any]:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(
        partial(worker, str(target), cases),
        scaling_config=ScalingConfig(num_workers=workers),
        run_config=RunConfig(name=target.stem, storage_path=str(target.parent / "ray")),
    ).fit()
    table: dict[str, Any] = json.loads(target.read_text())
    return table


FP32 = [Case(method, *strategy) for method in TRAINED for strategy in STRATEGIES]
BF16 = [Case("full", *strategy, "bf16") for strategy in STRATEGIES]
OFFLOADED = [
    Case("full", "deepspeed", 1, offload="optimizer"),
    Case("full", "deepspeed", 2, offload="optimizer"),
    Case("full", "deepspeed", 3, offload="parameters"),
]
RESUMED = [
    *(
        Case("full", *strategy, precision, resume_at=3)
        for strategy in STRATEGIES
        for precision in ("fp32", "bf16")
    ),
    *(
        Case(method, *strategy, resume_at=3)
        for method in ("lora", "prefix")
        for strategy in STRATEGIES[2:5:2]
    ),
    Case("lora", "deepspeed", 2, "bf16", offload="optimizer", resume_at=3),
    Case("lora", "deepspeed", 3, "bf16", offload="parameters", resume_at=3),
]
# Each worker draws its own masks, so another number of them trains otherwise.
DROPPING = [Case("lora", *strategy, resume_at=3, dropout=0.1) for strategy in STRATEGIES[2:5:2]]
PADDED = [
    Case("full", "deepspeed", 2, family="bloom"),
    Case("full", "deepspeed", 3, family="bloom"),
    Case("prefix", "fsdp", 3, family="bloom"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def two_workers(folder: Path, ray_local: None) -> dict[str, Any]:
    resumed = [*RESUMED, *DROPPING]
    calm = [replace(case, resume_at=None) for case in resumed]
    cases = list(dict.fromkeys([*FP32, *BF16, *OFFLOADED, *resumed, *calm, *PADDED]))
    return run(folder / "two.json", 2, cases)


@pytest.fixture(scope="module")
def one_worker(folder: Path, two_workers: dict[str, Any]) -> dict[str, Any]:
    """One worker, alone or going on from what two workers saved."""
    return run(folder / "one.json", 1, [FP32[2], FP32[4], *RESUMED])


@pytest.mark.parametrize("case", FP32 + OFFLOADED + PADDED, ids=lambda case: case.name)
def test_losses_are_the_plain_loops(case: Case, two_workers: dict[str, Any]) -> None:
    # Not at the top: Ray's workers import this module, and the tests' folder is not in their path.
    from plain_loop import plain_losses

    expected = plain_losses(adapted(case), examples(), batches(), case.config(2))
    found = two_workers[case.name]
    assert found["losses"] == pytest.approx(expected, abs=1e-5)
    assert expected[-1] < expected[0]


def test_the_gradients_norm_is_told_alike(two_workers: dict[str, Any]) -> None:
    for method in TRAINED:
        norms = [two_workers[case.name]["norms"] for case in FP32 if case.method == method]
        assert all(norm > 0 for norm in norms[0])
        for other in norms[1:]:
            assert other == pytest.approx(norms[0], rel=1e-4), method


def test_bf16_stays_near_fp32_and_its_stages_near_each_other(two_workers: dict[str, Any]) -> None:
    exact = two_workers[Case("full", "deepspeed", 0).name]["losses"]
    for case in BF16:
        assert two_workers[case.name]["losses"] == pytest.approx(exact, abs=1e-2), case.name


@pytest.mark.parametrize("case", RESUMED + DROPPING, ids=lambda case: case.name)
def test_a_resumed_run_is_equal_to_the_bit(case: Case, two_workers: dict[str, Any]) -> None:
    calm = two_workers[replace(case, resume_at=None).name]
    assert two_workers[case.name] == calm
    assert len(set(calm["weights"].values())) > 3


@pytest.mark.parametrize("case", DROPPING, ids=lambda case: case.name)
def test_dropout_drops(case: Case, two_workers: dict[str, Any]) -> None:
    calm = replace(case, resume_at=None)
    without = two_workers[replace(calm, dropout=0.0).name]
    # LoRA begins at zero, so its dropout shows from the second step on.
    assert two_workers[calm.name]["losses"][1:] != without["losses"][1:]


@pytest.mark.parametrize("case", FP32 + BF16 + PADDED, ids=lambda case: case.name)
def test_what_is_exported_gives_the_loss_that_was_evaluated(
    case: Case, two_workers: dict[str, Any], folder: Path
) -> None:
    from plain_loop import padded_loss

    exported = folder / "exported" / case.name
    if case.method in ("lora", "prefix"):
        model = load_adapter(make(case.family), exported)
    else:
        model = load_model(exported)
        assert (exported / "generation_config.json").is_file()
    assert (exported / "README.md").is_file()
    data = examples()
    with torch.inference_mode():
        found = padded_loss(model.eval(), data, list(range(len(data)))).item()
    # bf16 computes in bf16 what is compared with an fp32 pass over the same weights.
    near = 1e-5 if case.precision == "fp32" else 2e-2
    assert found == pytest.approx(two_workers[case.name]["validation"][""], abs=near)


def test_languages_are_evaluated_apart(two_workers: dict[str, Any]) -> None:
    found = two_workers[FP32[0].name]["validation"]
    assert set(found) == {"en", "zh", ""}
    # en: 7 + 5 + 1 + 6 targets, zh: 3 + 10 + 14 + 9.
    assert found[""] == pytest.approx((19 * found["en"] + 36 * found["zh"]) / 55)


def test_one_worker_sees_the_same_global_batches(
    two_workers: dict[str, Any], one_worker: dict[str, Any]
) -> None:
    for case in (FP32[2], FP32[4]):
        mine, theirs = one_worker[case.name], two_workers[case.name]
        assert mine["losses"] == pytest.approx(theirs["losses"], abs=1e-5)
        assert mine["validation"] == pytest.approx(theirs["validation"], abs=1e-5)


@pytest.mark.parametrize("case", RESUMED, ids=lambda case: case.name)
def test_another_number_of_workers_goes_on_with_the_same_batches(
    case: Case, two_workers: dict[str, Any], one_worker: dict[str, Any]
) -> None:
    mine, theirs = one_worker[case.name], two_workers[case.name]
    assert len(mine["losses"]) == STEPS - 3
    near = 1e-5 if case.precision == "fp32" else 2e-3
    assert mine["losses"] == pytest.approx(theirs["losses"][3:], abs=near)
    assert mine["validation"] == pytest.approx(theirs["validation"], abs=near)
