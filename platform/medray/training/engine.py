"""The DeepSpeed engine: set up, one optimizer step, evaluation, checkpoint, whole weights."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medray.training.batches import IGNORED, Sequences, collate
from medray.training.config import TrainingConfig, learning_rate_at

CHECKPOINT_TAG = "state"


def deepspeed_settings(config: TrainingConfig) -> dict[str, Any]:
    """Return DeepSpeed's configuration.

    The optimizer is torch's AdamW, handed in: DeepSpeed's own would compile C++ at start on a
    CPU. ``reduce_bucket_size`` keeps DeepSpeed's buffers at 20 MB where its default takes 2 GB.
    """
    return {
        "train_micro_batch_size_per_gpu": config.micro_batch_size,
        "gradient_accumulation_steps": config.accumulation_steps,
        "gradient_clipping": config.optimizer.gradient_clipping,
        "bf16": {"enabled": config.precision == "bf16"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": {
            "stage": config.zero_stage,
            "overlap_comm": config.workers.use_gpu,
            "reduce_bucket_size": 5_000_000,
            "allgather_bucket_size": 5_000_000,
        },
        "steps_per_print": 2**31,
    }


def prepare_process(use_gpu: bool, local_world_size: int) -> None:
    """Set what DeepSpeed reads from the environment; call before it is imported."""
    if not use_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
        # Ray does not set it, and DeepSpeed would count NUMA nodes as devices instead.
        os.environ["LOCAL_SIZE"] = str(local_world_size)
    import logging

    import deepspeed.ops
    import torch

    if not use_gpu:
        # Its shared-memory all-reduce is compiled at the first start: 30 s with a C++ compiler,
        # a crash without one. Plain gloo needs neither.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))


class Engine:
    """One model under DeepSpeed in this worker of ``world_size``."""

    def __init__(self, model: Any, config: TrainingConfig, rank: int, world_size: int) -> None:
        import deepspeed
        import torch

        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.config.use_cache = False
        optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad],
            lr=config.optimizer.learning_rate,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            weight_decay=config.optimizer.weight_decay,
        )
        self.config, self.rank, self.world_size = config, rank, world_size
        self.padding = model.config.pad_token_id or 0
        self.engine, self.optimizer, _, _ = deepspeed.initialize(
            model=model, optimizer=optimizer, config=deepspeed_settings(config)
        )

    @property
    def device(self) -> Any:
        return self.engine.device

    def step(self, sequences: Sequences, chosen: Sequence[int], step: int) -> float:
        """Do one optimizer step on this worker's sequences; return the global batch's loss.

        The loss is the mean over all labelled tokens of the global batch (nats a token), however
        they fall on workers and micro-batches: each micro-batch's sum is divided by the global
        count and multiplied by what DeepSpeed divides by (accumulation steps x workers).
        """
        size = self.config.micro_batch_size
        pieces = [chosen[i : i + size] for i in range(0, len(chosen), size)]
        batches = [collate(sequences, piece, self.padding) for piece in pieces]
        labelled = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
        total_labelled = self._sum_over_workers(float(labelled))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self.config.steps, self.config.optimizer)
        loss_sum = 0.0
        for batch in batches:
            token_loss_sum = self._token_loss_sum(batch)
            loss_sum += float(token_loss_sum.detach())
            scale = len(batches) * self.world_size / max(1.0, total_labelled)
            self.engine.backward(token_loss_sum * scale)
            self.engine.step()
        return self._sum_over_workers(loss_sum) / max(1.0, total_labelled)

    def evaluate(self, sequences: Sequences) -> float:
        """Return the mean loss (nats a labelled token) over all sequences, shared by workers."""
        import torch

        mine = range(self.rank, len(sequences), self.world_size)
        size = self.config.micro_batch_size
        # Every worker does as many forward passes: under ZeRO 3 each pass gathers weights.
        rounds = math.ceil(math.ceil(len(sequences) / self.world_size) / size)
        loss_sum, labelled = 0.0, 0
        self.engine.eval()
        with torch.no_grad():
            for number in range(rounds):
                chosen = list(mine[number * size : (number + 1) * size])
                batch = collate(sequences, chosen or [0], self.padding)
                value = float(self._token_loss_sum(batch))
                if chosen:
                    loss_sum += value
                    labelled += int((batch["labels"][:, 1:] != IGNORED).sum())
        self.engine.train()
        return self._sum_over_workers(loss_sum) / max(1.0, self._sum_over_workers(labelled))

    def _token_loss_sum(self, batch: dict[str, Any]) -> Any:
        import torch

        inputs = {name: tensor.to(self.device) for name, tensor in batch.items()}
        labels = inputs.pop("labels")
        logits = self.engine(**inputs, use_cache=False).logits
        return torch.nn.functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1),
            labels[:, 1:].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )

    def _sum_over_workers(self, value: float) -> float:
        import torch

        if self.world_size == 1:
            return float(value)
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return float(total)

    def save(self, folder: Path) -> None:
        """Write this worker's part of a checkpoint; every worker must call it."""
        self.engine.save_checkpoint(str(folder), tag=CHECKPOINT_TAG)

    def load(self, folder: Path) -> None:
        """Restore weights and optimizer from a checkpoint of as many workers."""
        path, _ = self.engine.load_checkpoint(str(folder), tag=CHECKPOINT_TAG)
        if path is None:
            raise RuntimeError(f"{folder}: DeepSpeed found no checkpoint there")

    def whole_weights(self) -> dict[str, Any]:
        """Return the whole state dict on the CPU; every worker must call it."""
        if self.config.zero_stage == 3:
            state = self.engine._zero3_consolidated_16bit_state_dict() or {}
        else:
            state = self.engine.module.state_dict()
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
