"""Speed of the step loop on one device, without Ray.

    python -m medray.training.measure --model-size 1b --device cuda

prints tokens/s, model FLOPs utilisation and peak memory of full and of LoRA training.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from medray.runtime import free_port
from medray.training.config import TrainingConfig
from medray.training.engine import Engine
from medray.training.flops import peak_of
from medray.training.meter import peak_memory_bytes
from medray.training.methods import Full, Lora, Method, apply_method
from medray.training.sequences import Example, Sequences
from medray.training.strategy import prepare_process


@dataclass(frozen=True)
class Size:
    """Widths of a Llama; those of Llama 3.2 1B and 3B and Llama 3 8B, from their model cards."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int = 128_256


SIZES = {
    "tiny": Size(64, 2, 4, 2, 192, 1024),
    "1b": Size(2048, 16, 32, 8, 8192),
    "3b": Size(3072, 28, 24, 8, 8192),
    "8b": Size(4096, 32, 32, 8, 14_336),
}
METHODS: dict[str, Method] = {"full": Full(), "lora": Lora()}


def make(size: Size, device: str) -> Any:
    """Return a Llama of a size with random weights, made on the device itself."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        intermediate_size=size.feed_forward,
        max_position_embeddings=131_072,
        tie_word_embeddings=size.hidden < 4096,
    )
    torch.manual_seed(0)
    with torch.device(device):
        return LlamaForCausalLM(config)


def windows(count: int, tokens: int, vocabulary: int) -> Sequences:
    """Return full windows of random tokens."""
    draw = np.random.default_rng(0).integers(3, vocabulary, (count, tokens)).tolist()
    return Sequences.of(Example(window, window) for window in draw)


def measure(options: argparse.Namespace, method: str) -> dict[str, Any]:
    """Train some steps, the first ones uncounted; return medians."""
    import torch

    size, on_gpu = SIZES[options.model_size], options.device == "cuda"
    config = TrainingConfig.model_validate(
        {
            "workers": {"count": 1, "use_gpu": on_gpu},
            "strategy": options.strategy,
            "zero_stage": options.zero_stage,
            "precision": options.precision,
            "steps": options.steps,
            "global_batch_size": options.global_batch_size,
            "micro_batch_tokens": options.micro_batch_tokens,
            "gradient_checkpointing": not options.no_checkpointing,
            "compiled": options.compile,
            "kernels": options.kernels,
        }
    )
    data = windows(options.global_batch_size, options.window_tokens, size.vocabulary)
    model = apply_method(make(size, options.device), METHODS[method])
    parameters = sum(p.numel() for p in model.parameters())
    engine = Engine(model, config, 0, 1)
    chosen = list(range(options.global_batch_size))
    lengths = np.concatenate([data.piece_lengths(number) for number in chosen])
    seconds: list[float] = []
    for step in range(options.steps):
        start = time.perf_counter()
        done = engine.step(data, chosen, step)
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    took = statistics.median(seconds[options.warm_up_steps :])
    peak = peak_of(engine.strategy.device)
    flops = None if engine.work is None else engine.work.flops_of(lengths, done.targets)
    return {
        "method": str(METHODS[method]),
        "parameters": parameters,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "tokens_per_s": round(done.tokens / took, 1),
        "flops_per_s": flops and flops / took,
        "mfu": None if peak is None or flops is None else round(flops / took / peak, 4),
        "memory_bytes": peak_memory_bytes(engine.strategy.device),
        "loss": done.loss,
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-size", choices=SIZES, default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--method", choices=METHODS, action="append", help="default: each")
    parser.add_argument("--strategy", choices=("deepspeed", "fsdp"), default="deepspeed")
    parser.add_argument("--zero-stage", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--window-tokens", type=int, default=2048)
    parser.add_argument("--micro-batch-tokens", type=int, default=16_384)
    parser.add_argument("--global-batch-size", type=int, default=32, help="windows a step")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warm-up-steps", type=int, default=4)
    parser.add_argument("--no-checkpointing", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--kernels", choices=("torch", "liger"), default="torch")
    return parser.parse_args(arguments)


def measure_alone(options: argparse.Namespace, method: str) -> dict[str, Any]:
    """Measure one method in this process, as the only worker."""
    import torch

    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    prepare_process(options.device == "cuda", 1)
    torch.distributed.init_process_group("nccl" if options.device == "cuda" else "gloo")
    try:
        return measure(options, method)
    finally:
        torch.distributed.destroy_process_group()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON object for each method."""
    options = parse(arguments)
    for method in options.method or METHODS:
        # A process each: the second would be told the first one's peak memory.
        with get_context("spawn").Pool(1) as pool:
            print(json.dumps(pool.apply(measure_alone, (options, method))), flush=True)


if __name__ == "__main__":
    main()
