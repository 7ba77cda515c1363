"""One training loop in a process of its own, timed: medray's parts of bench_training.

As a program: ``KIND RANK WORLD PORT`` prints a number, the first steps uncounted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from medray.runtime import free_port
from medray.training.config import TrainingConfig
from medray.training.sequences import IGNORED, Example, Sequences

STEPS, WARM_UP, BATCH, VOCABULARY, SEED = 12, 2, 32, 2048, 0


def config(workers: int) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "workers": {"count": workers},
            "zero_stage": 2,
            "precision": "fp32",
            "gradient_checkpointing": False,
            "steps": STEPS,
            "global_batch_size": BATCH,
            "micro_batch_tokens": 2048,
            "log_every_steps": 1,
            "checkpoint_every_steps": 5,
            "spike_nats": 0,
        }
    )


def model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            intermediate_size=768,
            pad_token_id=0,
        )
    )


def examples() -> Sequences:
    """Return examples as unequal as exam questions: log-normal, 20 to 700 tokens, mean 155."""
    draw = np.random.default_rng(SEED)
    lengths = np.clip(np.exp(draw.normal(4.8, 0.7, 512)), 20, 700).astype(int)
    made = []
    for number, length in enumerate(lengths):
        tokens = draw.integers(3, VOCABULARY, length).tolist()
        prompt = length // 2
        labels = [IGNORED] * prompt + tokens[prompt:]
        made.append(Example(tokens, labels, "en", str(number)))
    return Sequences.of(made)


def batches() -> list[list[int]]:
    from medray.training.order import Order

    order = Order.uniform(len(examples()), SEED)
    return [order.between(step * BATCH, (step + 1) * BATCH) for step in range(STEPS)]


def tokens_a_step() -> float:
    lengths = examples().lengths
    return float(np.mean([lengths[batch].sum() for batch in batches()[WARM_UP:]]))


def timed(step: Callable[[int], object]) -> float:
    """Return the median of the seconds that a step takes."""
    seconds = []
    for number in range(STEPS):
        start = time.perf_counter()
        step(number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UP:])


def over_bare(rank: int, world: int) -> float:
    """Return medray's speed over that of DeepSpeed's own loop: forward, backward, step, no more.

    Both step in turn on one engine, in one process, over the same rows, which the bare loop finds
    made before. Apart they differ by 5 % either way, which is the machine's mood.
    """
    from medray.training.engine import Engine
    from medray.training.micro_batches import targets_of

    settings, data = config(world), examples()
    made = Engine(model(), settings, rank, world)
    inner = made.strategy._engine  # type: ignore[attr-defined]
    prepared = []
    for batch in batches():
        rows = made.objective.deal(data, batch, settings.micro_batch_tokens, world)[rank]
        passes = [made.objective.collate(data, row) for row in rows]
        prepared.append((passes, world / targets_of(data, batch)))

    def bare(number: int) -> None:
        passes, scale = prepared[number]
        for place, batch in enumerate(passes, 1):
            inner.set_gradient_accumulation_boundary(place == len(passes))
            inner.backward(inner(batch) * scale)
            inner.step()

    ratios = []
    for number, batch in enumerate(batches()):
        start = time.perf_counter()
        made.step(data, batch, number)
        middle = time.perf_counter()
        bare(number)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return statistics.median(ratios[WARM_UP:])


def engine(rank: int, world: int) -> float:
    """Medray's engine alone, without Ray."""
    from medray.training.engine import Engine

    made, data, chosen = Engine(model(), config(world), rank, world), examples(), batches()
    return timed(lambda number: made.step(data, chosen[number], number))


def trainer(grouped: bool) -> float:
    """Transformers' Trainer on the same examples, padded; ``grouped``: of like length together."""
    import tempfile

    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    data = examples()
    rows = []
    for number in range(len(data)):
        part = slice(data.offsets[number], data.offsets[number + 1])
        tokens, labels = data.tokens[part].tolist(), data.labels[part].tolist()
        rows.append({"input_ids": tokens, "labels": labels, "length": len(tokens)})

    def collate(chosen: list[dict[str, Any]]) -> dict[str, Any]:
        longest = max(len(row["input_ids"]) for row in chosen)
        batch = {
            "input_ids": [r["input_ids"] + [0] * (longest - len(r["input_ids"])) for r in chosen],
            "labels": [r["labels"] + [IGNORED] * (longest - len(r["labels"])) for r in chosen],
            "attention_mask": [
                [1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in chosen
            ],
        }
        seen.append(sum(len(r["input_ids"]) for r in chosen))
        return {name: torch.tensor(values) for name, values in batch.items()}

    seen: list[int] = []
    speeds: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            speeds.append(time.perf_counter() - self.start)

    sampling = {"train_sampling_strategy": "group_by_length"} if grouped else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=BATCH // 8,
            max_steps=STEPS,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1000,
            remove_unused_columns=False,
            **sampling,
        )
        Trainer(
            model=model(),
            args=arguments,
            train_dataset=rows,
            data_collator=collate,
            callbacks=[Clock()],
        ).train()
    # Seconds a step of as many tokens as ours has: its batches are others.
    each = BATCH // 8
    tokens = [sum(seen[s * each : (s + 1) * each]) for s in range(STEPS)][WARM_UP:]
    return tokens_a_step() * sum(speeds[WARM_UP:]) / sum(tokens)


def apart(kind: str, world: int) -> float:
    """Run one loop in ``world`` processes; return the number that rank 0 prints."""
    port = str(free_port())
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, kind, str(rank), str(world), port],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(world)
    ]
    said = [process.communicate()[0] for process in processes]
    return float(said[0].split()[-1])


def main(kind: str, rank: int, world: int, port: str) -> None:
    import torch

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    if kind.startswith("trainer"):
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
            del os.environ[name]
        print(trainer(kind.endswith("grouped")))
        return
    from medray.training.strategy import prepare_process

    prepare_process(False, world)
    torch.distributed.init_process_group("gloo")
    print({"over-bare": over_bare, "engine": engine}[kind](rank, world))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
