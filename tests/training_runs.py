"""`medray pretrain` in a process of its own, on a small corpus, and what it left."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import SAMPLES

from disturbed import Driver, spawn
from medray.storage.location import Location

RECIPE = """
name: faults
seed: 7
stages:
  curate:
    job: curate
    inputs:
      - {{language: en, files: "{samples}/corpus/en/*.parquet"}}
      - {{language: ja, files: "{samples}/corpus/ja/*.parquet"}}
    tokenizer: {{vocabulary_size: 600}}
    windows: {{window_tokens: 128, overlap_tokens: 32}}
  pretrain:
    job: pretrain
    corpus: curate
    validation_share: 0.1
    model:
      new: {{hidden_size: 256, layers: 4, attention_heads: 4, key_value_heads: 2,
            feed_forward_size: 512}}
    training:
      workers: {{count: 2}}
      steps: 30
      log_every_steps: 1
      evaluate_every_steps: 10
      checkpoint_every_steps: 4
      global_batch_size: 48
      micro_batch_tokens: 1024
      optimizer: {{learning_rate: 1.0e-3, warmup_steps: 3}}
"""


def write_recipe(folder: Path) -> Path:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(samples=SAMPLES), encoding="utf-8")
    return recipe


class Pretraining(Driver):
    """One running `medray pretrain`."""

    workspace: Path

    @classmethod
    def start(
        cls, recipe: Path, workspace: Path, environment: Mapping[str, str], *words: str
    ) -> Pretraining:
        command = [sys.executable, "-m", "jobs.cli", "pretrain", str(recipe)]
        command += ["--workspace", str(workspace), "--json", *words]
        log = workspace.with_suffix(".log")
        made = cls(spawn(command, log, environment), log)
        made.workspace = workspace
        return made

    def step(self) -> int:
        """Return the last step that was told."""
        return max((row["step"] for row in metrics(self.workspace)), default=0)


def resumed(workspace: Path) -> list[int]:
    """Return the steps that worker groups went on after, over all starts of the run."""
    lines = workspace.with_suffix(".log").read_text(errors="replace").splitlines()
    told = [json.loads(line) for line in lines if line.startswith('{"time"')]
    return [row["after_step"] for row in told if row["message"] == "training goes on"]


def metrics(workspace: Path) -> list[dict[str, Any]]:
    """Return the lines of the metrics, without what a clock or the machine says."""
    file = workspace / "pretrain" / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    timed = {"tokens_per_s", "mfu", "memory_bytes", "workers"}
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return [{k: v for k, v in row.items() if k not in timed} for row in rows]


def weights(workspace: Path) -> bytes:
    """Return the bytes of the weights that were exported."""
    return (workspace / "pretrain" / "model" / "model.safetensors").read_bytes()


def results(workspace: Path) -> dict[str, Any]:
    manifest = Location.of(workspace / "pretrain" / "manifest.json").read_json()
    return dict(manifest["results"])
