from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.training.config import (
    OptimizerConfig,
    TrainingConfig,
    learning_rate_at,
)


def rates(schedule: str, warmup_steps: int, steps: int = 10) -> list[float]:
    config = OptimizerConfig.model_validate(
        {"learning_rate": 8.0, "schedule": schedule, "warmup_steps": warmup_steps}
    )
    return [learning_rate_at(step, steps, config) for step in range(steps)]


def test_warm_up_rises_evenly_to_the_peak() -> None:
    for schedule in ("cosine", "linear", "constant"):
        assert rates(schedule, 4)[:5] == [2.0, 4.0, 6.0, 8.0, 8.0]


def test_linear_falls_evenly_towards_zero() -> None:
    assert rates("linear", 2) == pytest.approx([4, 8, 8, 7, 6, 5, 4, 3, 2, 1])


def test_cosine_is_half_way_down_in_the_middle() -> None:
    found = rates("cosine", 2)
    assert found[2] == 8
    assert found[6] == pytest.approx(4)
    assert found[4] == pytest.approx(4 * (1 + math.sqrt(0.5)))
    assert found[8] == pytest.approx(4 * (1 - math.sqrt(0.5)))


def test_warm_up_may_be_a_share_of_all_steps() -> None:
    config = OptimizerConfig(learning_rate=8.0, schedule="linear", warmup_ratio=0.15)
    # 0.15 of 10 steps, rounded up as transformers' Trainer does.
    found = [learning_rate_at(step, 10, config) for step in range(10)]
    assert found == rates("linear", 2)
    both = config.model_copy(update={"warmup_steps": 4})
    assert [learning_rate_at(step, 10, both) for step in range(10)] == rates("linear", 4)


def test_epochs_are_turned_into_steps() -> None:
    config = TrainingConfig(epochs=1.5, global_batch_size=8)
    assert config.of_length(100).steps == 19
    assert config.of_length(1).steps == 1
    assert TrainingConfig(steps=7).of_length(100).steps == 7


def test_constant_stays_at_the_peak() -> None:
    assert rates("constant", 0) == [8.0] * 10


@given(
    st.integers(1, 200),
    st.integers(0, 300),
    st.sampled_from(["cosine", "linear", "constant"]),
)
def test_a_rate_is_never_zero_nor_above_the_peak_and_falls_once_warm(
    steps: int, warmup_steps: int, schedule: str
) -> None:
    found = rates(schedule, warmup_steps, steps)
    assert all(0 < rate <= 8 for rate in found)
    warm = found[warmup_steps:]
    assert warm == sorted(warm, reverse=True)
    rising = found[:warmup_steps]
    assert rising == sorted(rising)


@pytest.mark.parametrize(
    "fields",
    [
        {"zero_stage": 4},
        {"precision": "fp16"},
        {"steps": 0},
        {"optimizer": {"learning_rate": 0}},
        {"optimizer": {"beta2": 1}},
        {"workers": {"count": 0}},
        {"optimiser": {}},
        {"offload": "optimizer", "zero_stage": 0},
        {"offload": "parameters", "zero_stage": 2},
        {"steps": 4, "epochs": 1},
        {"epochs": 0},
        {"mixture": {}},
        {"mixture": {"en": 0.0}},
        {"mixture": {"en": 1.0, "fr": -1.0}},
    ],
)
def test_a_wrong_value_is_told(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate(fields)
