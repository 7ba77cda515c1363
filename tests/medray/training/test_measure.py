"""The step loop without Ray, as a bare GPU machine would measure it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SMALL = ["--steps", "3", "--warm-up-steps", "1", "--global-batch-size", "4"]
SMALL += ["--window-tokens", "64", "--micro-batch-tokens", "128"]


def measure(*words: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "medray.training.measure", *SMALL, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_full_and_lora_are_told_and_no_utilisation_where_no_peak_is_known() -> None:
    full, lora = measure()
    assert [full["method"], lora["method"]] == ["all weights", "LoRA of rank 16"]
    for row in (full, lora):
        assert row["device"] == "cpu" and row["mfu"] is None
        assert row["tokens_per_s"] > 0 and row["memory_bytes"] > 0  # type: ignore[operator]
    assert full["flops_per_s"] != lora["flops_per_s"]


@pytest.mark.slow
def test_a_compiled_model_learns_the_same() -> None:
    """On a CPU it takes a C++ compiler and half a minute."""
    words = ["--method", "full", "--precision", "fp32"]
    plain, compiled = measure(*words)[0], measure(*words, "--compile")[0]
    assert compiled["loss"] == pytest.approx(plain["loss"], abs=1e-4)
