"""What a sweep asks of its configuration, and what a trial is; tests/jobs/test_run.py runs one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medray.models.card import ModelCard
from medray.models.source import Source
from medray.storage.location import Location
from medray.training.finetune import FinetuneTask
from medray.training.methods import Lora
from medray.tuning.sweep import SweepConfig, trial_task

BASE: dict[str, Any] = {
    "job": "sweep",
    "model": "pretrain",
    "questions": [{"language": "en", "files": "x"}],
    "learning_rates": [1e-3, 1e-4],
    "lora_ranks": [4, 8],
    "training": {"steps": 4, "evaluate_every_steps": 2, "global_batch_size": 8},
}


def test_a_trial_changes_the_two_axes_and_nothing_else(tmp_path: Path) -> None:
    config = SweepConfig.model_validate(
        BASE | {"method": {"kind": "lora", "rank": 16, "alpha": 32}}
    )
    place = Location.of(tmp_path)
    card = ModelCard("sweep", "test", "", {}, {})
    task = FinetuneTask(
        config.training, 7, config.method, (), 0.25, 64, Source("x"), None, place, card, "key"
    )
    trial = trial_task(task, {"learning_rate": 1e-3, "lora_rank": 4})
    assert trial.training.optimizer.learning_rate == 1e-3
    assert trial.method == Lora(rank=4, alpha=8.0)
    rest = trial.training.model_copy(update={"optimizer": task.training.optimizer})
    assert rest == task.training
    assert (trial.seed, trial.validation_share) == (task.seed, task.validation_share)
    assert task.method == Lora(rank=16, alpha=32.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"validation_share": 0}, "validation_share > 0"),
        ({"training": {"steps": 4, "evaluate_every_steps": 0}}, "evaluate_every_steps in 1..steps"),
        ({"training": {"steps": 4, "evaluate_every_steps": 5}}, "evaluate_every_steps in 1..steps"),
        (
            {"training": {"epochs": 1, "evaluate_every_steps": 2}},
            r"counts in training\.steps, not in epochs",
        ),
        ({"learning_rates": []}, "at least 1 item"),
    ],
)
def test_a_sweep_that_could_not_compare_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SweepConfig.model_validate(BASE | change)
