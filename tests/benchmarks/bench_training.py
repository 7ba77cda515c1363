"""Training under Ray Train against the bare DeepSpeed loop and transformers' Trainer."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
import training_speed as speed

from medray.runtime import RayRuntime
from medray.storage.location import Location
from medray.training.board import Board
from medray.training.config import TrainingConfig
from medray.training.history import History
from medray.training.loop import Assembly, train_worker
from medray.training.trainer import make_trainer

ROUNDS = 2


@dataclass(frozen=True)
class SpeedTask:
    """The same model and examples as the peers have."""

    training: TrainingConfig
    seed: int = speed.SEED

    def build(self) -> Assembly:
        return Assembly(speed.model(), speed.examples(), None, None)

    def export(self, assembly: Assembly, weights: dict[str, Any], history: History) -> None:
        """Nothing is kept."""


def under_ray(workers: int, folder: Path) -> tuple[float, dict[str, float]]:
    """Return seconds a step, as the metrics tell, and where the run's seconds went."""
    board = ray.remote(Board).options(num_cpus=0).remote()
    name = str(time.time_ns())
    loop = partial(
        train_worker, SpeedTask(speed.config(workers)), board, Location.of(folder), time.time()
    )
    make_trainer(SpeedTask(speed.config(workers)), Location.of(folder), name, loop, []).fit()
    rows, _, _ = ray.get(board.read.remote(0))
    lengths = [speed.examples().lengths[batch].sum() for batch in speed.batches()]
    logged = [row for row in rows if "loss" in row]
    seconds = [lengths[row["step"] - 1] / row["tokens_per_s"] for row in logged]
    return statistics.median(seconds[speed.WARM_UP :]), ray.get(board.timings.remote())


def show(title: str, contestants: dict[str, Callable[[], float]]) -> None:
    """Print tokens a second of each, in alternating rounds, and the first's over the others'."""
    tokens = speed.tokens_a_step()
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            found[name].append(tokens / run())
    first = next(iter(found.values()))
    print(f"\n{title}")
    for name, speeds in found.items():
        ratios = [mine / other for mine, other in zip(first, speeds, strict=True)]
        told = f"{statistics.median(speeds):10.0f} tokens/s"
        if speeds is not first:
            told += f"   first/this {statistics.median(ratios):.2f}"
            told += f" ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"  {name:46}{told}", flush=True)


def main() -> None:
    print("bench_training: a Llama of 6.8 million weights, fp32; examples of 20 to 700 tokens")
    timings: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        RayRuntime(logical_cpus=4).connect()

        def ours(workers: int) -> float:
            seconds, table = under_ray(workers, Path(name))
            timings.update(table)
            return seconds

        for workers in (1, 2):
            show(
                f"{workers} worker(s), ZeRO 2, {speed.BATCH} examples a step",
                {
                    "medray under Ray Train": partial(ours, workers),
                    "medray's engine, no Ray": partial(speed.apart, "engine", workers),
                },
            )
            ratio = speed.apart("over-bare", workers)
            print(
                f"  engine over DeepSpeed's bare loop, step by step in turn: {ratio:.2f}",
                flush=True,
            )
        print("\nseconds of one run under Ray Train with 2 workers")
        for part, seconds in timings.items():
            print(f"  {part:28}{seconds:8.3f}")
        ray.shutdown()
    show(
        "one process, the same examples: packed, and padded by transformers' Trainer",
        {
            "medray's engine": partial(speed.apart, "engine", 1),
            "Trainer, 4 x 8 examples a step": partial(speed.apart, "trainer", 1),
            "Trainer, group_by_length": partial(speed.apart, "trainer-grouped", 1),
        },
    )


if __name__ == "__main__":
    main()
