"""A step's arithmetic, counted by hand and by PyTorch's own counter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import MixtralConfig, MixtralForCausalLM

from medray.training.flops import Work, peak_of
from medray.training.methods import Freeze, Full, Lora, Method, Prefix, apply_method
from medray.training.objective import Objective

from .architectures import SIZES, examples, make

# Of the small Llama: q and o 32x32, k and v 32x16, three of the MLP 32x48; three layers.
LAYER = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48
HEAD = 64 * 32


def of(model: Any) -> Work:
    found = Work.of(Objective(model, False))
    assert found is not None
    return found


def work(method: Method) -> Work:
    return of(apply_method(make("llama"), method))


def test_experts_are_not_guessed() -> None:
    config = MixtralConfig(**SIZES, num_local_experts=2)
    assert Work.of(Objective(MixtralForCausalLM(config), False)) is None


def test_all_weights_go_forward_and_twice_back() -> None:
    found = work(Full())
    assert (found.linear, found.passed, found.trained) == (3 * LAYER,) * 3
    assert (found.head, found.head_trained, found.passed_layers) == (HEAD, True, 3)


def test_frozen_layers_below_have_no_backward_pass() -> None:
    found = work(Freeze(trained_layers=1))
    assert (found.linear, found.passed, found.trained) == (3 * LAYER, LAYER, LAYER)
    assert (found.head_trained, found.passed_layers) == (False, 1)


def test_lora_passes_gradients_through_what_it_does_not_train() -> None:
    found = work(Lora(rank=2, targets=["q_proj"]))
    added = 3 * 2 * (32 + 32)
    assert (found.linear, found.passed) == (3 * LAYER + added, 3 * LAYER + added)
    assert found.trained == added


def test_a_prefix_trains_no_linear_weight_and_is_attended_to() -> None:
    found = work(Prefix(length=5))
    assert (found.passed, found.trained, found.prefix) == (3 * LAYER, 0, 5)


def test_a_prefix_that_is_not_trained_passes_no_gradient_down() -> None:
    """The second stage of MedGLM.H's chain: the last layers behind the first stage's prefix."""
    model = apply_method(make("llama"), Prefix(length=5))
    model.requires_grad_(False)
    found = of(apply_method(model, Freeze(trained_layers=1)))
    assert (found.passed, found.trained, found.passed_layers) == (LAYER, LAYER, 1)
    assert found.prefix == 5


@pytest.mark.parametrize(
    "method", [Full(), Freeze(trained_layers=2), Freeze(trained_layers=1), Lora(dropout=0.0)]
)
def test_pytorch_counts_as_many(method: Method) -> None:
    """Its counter sees every pair of tokens multiplied; causal attention needs half of them."""
    objective = Objective(apply_method(make("llama"), method), False)
    batch = objective.collate(examples(lengths=(40,)), [0])
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        objective(batch).backward()
    found = Work.of(objective)
    attention = 4 * found.attention_size * (found.layers + 2 * found.passed_layers) * 40 * 20
    ours = found.flops_of(np.asarray([40]), len(batch.targets))
    # LoRA's first layer hands no gradient further down, which is not counted apart.
    near = 0.05 if isinstance(method, Lora) else 0
    assert counter.get_total_flops() == pytest.approx(ours + attention, rel=near)


def test_an_unknown_device_has_no_peak() -> None:
    assert peak_of(torch.device("cpu")) is None
