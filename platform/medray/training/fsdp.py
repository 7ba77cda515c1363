"""PyTorch's fully sharded data parallelism (FSDP2) as a strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

from medray.training.config import TrainingConfig
from medray.training.methods import decoder_layers
from medray.training.objective import Objective
from medray.training.strategy import make_optimizer


class FullyShardedStrategy:
    """An objective whose every decoder layer, and what is left, is sharded over all workers.

    Weights and optimizer are fp32; in bf16 the passes compute in bf16, gradients are added up in
    fp32.
    """

    def __init__(self, objective: Objective, config: TrainingConfig, use_gpu: bool) -> None:
        self._device = (
            torch.device("cuda", torch.cuda.current_device()) if use_gpu else torch.device("cpu")
        )
        mesh = init_device_mesh(self._device.type, (torch.distributed.get_world_size(),))
        computed = torch.bfloat16 if config.precision == "bf16" else torch.float32
        options: dict[str, Any] = {
            "mesh": mesh,
            "mp_policy": MixedPrecisionPolicy(param_dtype=computed, reduce_dtype=torch.float32),
        }
        if config.offload != "none" and use_gpu:
            options["offload_policy"] = CPUOffloadPolicy()
        # Each layer goes to the device as it is sharded, so a device need not hold the whole.
        for layer in decoder_layers(objective.base):
            fully_shard(layer, **options)
        fully_shard(objective, **options)
        self._objective, self._clipping = objective, config.optimizer.gradient_clipping
        self._optimizer = make_optimizer(objective, config.optimizer)

    @property
    def device(self) -> Any:
        return self._device

    @property
    def module(self) -> Any:
        return self._objective

    def backward(self, loss: Any, last: bool) -> None:
        self._objective.set_requires_gradient_sync(last)
        loss.backward()

    def update(self, learning_rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        trained = [p for p in self._objective.parameters() if p.requires_grad]
        limit = self._clipping or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(trained, limit)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def save(self, folder: Path) -> None:
        weights, optimizer = get_state_dict(self._objective, self._optimizer)
        dcp.save({"weights": weights, "optimizer": optimizer}, checkpoint_id=folder)

    def load(self, folder: Path) -> None:
        weights, optimizer = get_state_dict(self._objective, self._optimizer)
        state = {"weights": weights, "optimizer": optimizer}
        dcp.load(state, checkpoint_id=folder)
        set_state_dict(
            self._objective,
            self._optimizer,
            model_state_dict=state["weights"],
            optim_state_dict=state["optimizer"],
        )

    def weights(self) -> dict[str, Any]:
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return dict(get_model_state_dict(self._objective, options=options))
