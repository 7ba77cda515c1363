"""Running `medray` as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = "${samples}"
# The quickstart recipe, every stage of it, on two languages and a model of a few thousand weights.
SMALL = [
    f'ocr.inputs=[{{language: en, files: "{SAMPLES}/scans/en/*.pdf"}}]',
    f'curate.inputs=[{{language: en, files: "{SAMPLES}/corpus/en/*.parquet"}}, '
    f'{{language: ja, files: "{SAMPLES}/corpus/ja/*.parquet"}}]',
    "curate.shard_rows=10",
    "curate.tokenizer.vocabulary_size=1024",
    "curate.windows={window_tokens: 64, overlap_tokens: 16}",
    "pretrain.model.new={hidden_size: 64, layers: 2, attention_heads: 4, key_value_heads: 2, "
    "feed_forward_size: 128}",
    "pretrain.training.steps=12",
    "pretrain.training.global_batch_size=8",
    "pretrain.training.micro_batch_tokens=1024",
    "pretrain.training.checkpoint_every_steps=4",
    f'finetune.questions=[{{language: en, files: "{SAMPLES}/exams/Train/English.jsonl"}}]',
    "finetune.training.steps=4",
    "finetune.training.evaluate_every_steps=2",
    "finetune.maximum_tokens=256",
    f'sweep.questions=[{{language: en, files: "{SAMPLES}/exams/Train/English.jsonl"}}]',
    "sweep.lora_ranks=[4]",
    "sweep.training.steps=4",
    "sweep.training.evaluate_every_steps=2",
    "sweep.maximum_tokens=256",
    f'benchmark.questions=[{{language: en, files: "{SAMPLES}/exams/Test/English.jsonl"}}, '
    f'{{language: ja, files: "{SAMPLES}/exams/Test/Japanese.jsonl", limit: 4}}]',
    "benchmark.exam.maximum_new_tokens=16",
]


def command(verb: str, recipe: str, workspace: Path, overrides: Sequence[str]) -> list[str]:
    words = [sys.executable, "-m", "jobs.cli", verb, recipe, "--workspace", str(workspace)]
    for override in overrides:
        words += ["--set", override]
    return [*words, "--json", "--debug"]


@dataclass
class Run:
    """One running `medray` process; its log goes to a file beside its workspace."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, workspace: Path, overrides: Sequence[str] = SMALL, verb: str = "run") -> Run:
        log = workspace.with_suffix(".log")
        words = command(verb, "quickstart", workspace, overrides)
        with log.open("ab") as sink:
            process = subprocess.Popen(words, stdout=sink, stderr=sink, env=os.environ)
        return cls(process, log)

    def wait(self, timeout_s: float = 900.0) -> None:
        """Wait for a good end; the log's end is shown where it is none."""
        code = self.process.wait(timeout_s)
        assert code == 0, f"exit {code}\n{self.log.read_text(errors='replace')[-4000:]}"

    def kill_when(self, reached: Callable[[], bool], timeout_s: float = 300.0) -> None:
        """Send SIGKILL to the process as soon as ``reached``."""
        deadline = time.monotonic() + timeout_s
        while not reached():
            ended = self.process.poll()
            assert ended is None, f"ended first\n{self.log.read_text(errors='replace')[-4000:]}"
            assert time.monotonic() < deadline, "the place to kill at was not reached"
            time.sleep(0.02)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def messages(self, stage: str) -> list[str]:
        """Return what the log says of one stage, all processes of this workspace together."""
        lines = self.log.read_text(errors="replace").splitlines()
        events = [json.loads(line) for line in lines if line.startswith('{"time"')]
        return [event["message"] for event in events if event["stage"] == stage]


def results(workspace: Path) -> dict[str, Any]:
    """Return results.json without its times."""
    found = dict(json.loads((workspace / "results.json").read_text(encoding="utf-8")))
    assert set(found.pop("seconds")) >= {"curate", "pretrain", "finetune", "sweep", "benchmark"}
    return found
