"""The seam between the step loop and what shards a model over workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import torch

from medray.training.config import OptimizerConfig, TrainingConfig
from medray.training.objective import Objective


class Strategy(Protocol):
    """A model that lies on ``world_size`` workers, whole or in parts, and its optimizer.

    Every worker must make the same calls in the same order.
    """

    @property
    def device(self) -> Any: ...

    @property
    def module(self) -> Any:
        """What a forward pass is called on."""
        ...

    def backward(self, loss: Any, last: bool) -> None:
        """Add the gradient of a micro-batch's loss to the step's; ``last``: none follows.

        Gradients are averaged over workers.
        """
        ...

    def update(self, learning_rate: float) -> float:
        """Clip, change the weights, forget the gradients; return their norm before clipping."""
        ...

    def save(self, folder: Path) -> None:
        """Write this worker's part of weights and optimizer."""
        ...

    def load(self, folder: Path) -> None:
        """Restore what as many workers, or other ones, saved."""
        ...

    def weights(self) -> dict[str, Any]:
        """Return the objective's whole state dict on the CPU; of meaning on rank 0 only."""
        ...


def make_strategy(objective: Objective, config: TrainingConfig, use_gpu: bool) -> Strategy:
    """Return the strategy that a configuration names, with the objective placed in it."""
    if config.strategy == "fsdp":
        from medray.training.fsdp import FullyShardedStrategy

        return FullyShardedStrategy(objective, config, use_gpu)
    from medray.training.zero import DeepSpeedStrategy

    return DeepSpeedStrategy(objective, config, use_gpu)


def prepare_process(use_gpu: bool, local_world_size: int) -> None:
    """Set what DeepSpeed reads from the environment; call before it is imported."""
    if not use_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
        # Ray does not set it, and DeepSpeed would count NUMA nodes as devices instead.
        os.environ["LOCAL_SIZE"] = str(local_world_size)
    import logging

    import deepspeed.ops

    if not use_gpu:
        # Its shared-memory all-reduce is compiled at the first start: 30 s with a C++ compiler,
        # a crash without one. Plain gloo needs neither.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))


def make_optimizer(module: torch.nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW over what wants a gradient; only matrices decay, not biases and norms.

    So does transformers' Trainer, with which the papers trained.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )


def gathered(value: str) -> list[str]:
    """Return every worker's value, by rank."""
    values = [""] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
