"""DeepSpeed ZeRO as a strategy."""

from __future__ import annotations

import socket
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from medray.storage.scratch import temporary_folder
from medray.training.config import TrainingConfig
from medray.training.objective import Objective
from medray.training.strategy import gathered, make_optimizer

CHECKPOINT_TAG = "state"
# DeepSpeed's own default takes buffers of 2 GB.
BUCKET_ELEMENTS = {"cpu": 5_000_000, "cuda": 200_000_000}


def deepspeed_settings(config: TrainingConfig, use_gpu: bool) -> dict[str, Any]:
    """Return DeepSpeed's configuration.

    The optimizer is torch's AdamW, handed in: DeepSpeed's own would compile C++ at start on a
    CPU. How many passes make a step is ours to say, for a step's rows follow from its tokens.
    """
    bucket = BUCKET_ELEMENTS["cuda" if use_gpu else "cpu"]
    in_bf16 = config.precision == "bf16"
    # Below stage 2, bf16 with sums in fp32 has an optimizer of its own, which begins with an AdamW
    # step on zeros, so that its bias correction is one step ahead (loss 0.04 higher after one step
    # of a small model). Stage 2 computes what they should, and adds over workers at every pass.
    stage = max(2, config.zero_stage) if in_bf16 else config.zero_stage
    zero: dict[str, Any] = {
        "stage": stage,
        "overlap_comm": use_gpu,
        "contiguous_gradients": True,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
    }
    place = {"device": "cpu", "pin_memory": use_gpu}
    if config.offload != "none":
        zero["offload_optimizer"] = place
    if config.offload == "parameters":
        zero["offload_param"] = place
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.optimizer.gradient_clipping,
        "bf16": {"enabled": in_bf16},
        # bf16's 8 bits would lose a pass's gradient in the sum of a hundred before it.
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": zero,
        "steps_per_print": 2**31,
    }


class DeepSpeedStrategy:
    """An objective under a DeepSpeed engine."""

    def __init__(self, objective: Objective, config: TrainingConfig, use_gpu: bool) -> None:
        import deepspeed

        self._zero_stage = config.zero_stage
        settings = deepspeed_settings(config, use_gpu)
        # Before the weights are parted: what is left of each then tells no shape.
        optimizer = make_optimizer(objective, config.optimizer)
        if config.zero_stage == 3:
            part(objective, settings)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=objective, optimizer=optimizer, config=settings
        )

    @property
    def device(self) -> Any:
        return self._engine.device

    @property
    def module(self) -> Any:
        return self._engine

    def backward(self, loss: Any, last: bool) -> None:
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)
        if not last:
            self._engine.step()  # counts the pass, changes nothing

    def update(self, learning_rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        norm = self._plain_norm()
        self._engine.step()
        return float(self._engine.get_global_grad_norm() if norm is None else norm)

    def _plain_norm(self) -> Any:
        """Return the gradients' norm where DeepSpeed shards nothing, and so tells none."""
        if self._engine.zero_optimization():
            return None
        gradients = [p.grad for p in self._engine.module.parameters() if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def save(self, folder: Path) -> None:
        self._engine.save_checkpoint(str(folder), tag=CHECKPOINT_TAG)

    def load(self, folder: Path) -> None:
        saved_by = len(list((folder / CHECKPOINT_TAG).glob("*_optim_states.pt")))
        # Without ZeRO there are no parts: every worker loads the whole.
        if saved_by in (0, torch.distributed.get_world_size()):
            self._read(folder)
            return
        own = [dict(group) for group in self._optimizer.param_groups]
        with converted(folder) as whole:
            self._engine._config.load_universal_checkpoint = True
            try:
                self._read(whole)
            finally:
                self._engine._config.load_universal_checkpoint = False
        # Stage 3 gives every group the first one's settings, and all weights one step counter to
        # advance together: after two groups of weights it would count each step twice.
        for group, settings in zip(self._optimizer.param_groups, own, strict=True):
            group.update({k: v for k, v in settings.items() if k != "params"})
        for state in getattr(self._optimizer, "optimizer", self._optimizer).state.values():
            state["step"] = torch.as_tensor(state["step"]).clone()

    def _read(self, folder: Path) -> None:
        path, _ = self._engine.load_checkpoint(str(folder), tag=CHECKPOINT_TAG)
        if path is None:
            raise RuntimeError(f"{folder}: DeepSpeed found no checkpoint there")

    def weights(self) -> dict[str, Any]:
        if self._zero_stage == 3:
            state = self._engine._zero3_consolidated_16bit_state_dict() or {}
        else:
            state = self._engine.module.state_dict()
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def part(objective: Objective, settings: dict[str, Any]) -> None:
    """Part a model's weights among the workers, one after another, from the host's memory.

    DeepSpeed's engine would first put the whole model on every device, which then need not hold
    more than its part and one weight.
    """
    import deepspeed
    from deepspeed.accelerator import get_accelerator

    computed = torch.bfloat16 if settings["bf16"]["enabled"] else torch.float32
    device = torch.device(get_accelerator().current_device_name())
    for module in objective.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = buffer.to(device)
    for weight in objective.parameters():
        weight.data = weight.data.to(computed)
    deepspeed.init_distributed()
    deepspeed.zero.Init(
        module=objective, config_dict_or_path=settings, dtype=computed, mem_efficient_linear=False
    )


@contextmanager
def converted(folder: Path) -> Iterator[Path]:
    """Yield a checkpoint that any number of workers can load, made of one that only as many could.

    The first worker of each host converts, which takes as long as reading and writing the whole
    checkpoint there; the others wait.
    """
    hosts = gathered(socket.gethostname())
    first = hosts.index(socket.gethostname())
    with temporary_folder() as made:
        if first == torch.distributed.get_rank():
            convert(folder / CHECKPOINT_TAG, made / CHECKPOINT_TAG)
        yield Path(gathered(str(made))[first])
        torch.distributed.barrier()


def convert(parts: Path, whole: Path) -> None:
    """Write DeepSpeed's universal form of a checkpoint: each weight with its optimizer state."""
    from deepspeed.checkpoint import ds_to_universal

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        ds_to_universal.main(
            Namespace(
                input_folder=str(parts),
                output_folder=str(whole),
                num_extract_workers=1,
                num_merge_workers=1,
                keep_temp_folder=False,
                strict=True,
                inject_missing_state=True,
            )
        )
