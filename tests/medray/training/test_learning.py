"""Models that learn what they should, on real text and real questions."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medray.languages import LANGUAGES

pytestmark = pytest.mark.slow


def run(kind: str, data: Path, work: Path) -> dict[str, Any]:
    """Let a model learn in a process of its own."""
    begin = "import sys, learning_runs; learning_runs.main(*sys.argv[1:])"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", begin, kind, str(data)],
        env={**os.environ, "PYTHONPATH": paths, "WORK": str(work)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(kind, found)
    return found


def test_64_real_questions_are_learned_by_heart(real_data: Path, tmp_path: Path) -> None:
    found = run("memorise", real_data, tmp_path)
    assert found["n"] == 64
    assert found["before"] < 0.5
    assert found["after"] == 1.0


def test_a_task_is_learned_beyond_its_examples(tmp_path: Path) -> None:
    """Frames and ages that no disease was seen with; chance is 25 %."""
    found = run("generalise", tmp_path, tmp_path)
    assert found["n"] >= 100
    # So high that a guesser reaches it less than once in 10^9 times.
    assert found["after"] > 0.25 + 6 * math.sqrt(0.25 * 0.75 / found["n"])


def test_pretraining_lowers_held_out_perplexity_in_six_languages(
    real_data: Path, tmp_path: Path
) -> None:
    found = run("perplexity", real_data, tmp_path)
    assert set(found["after"]) == {*LANGUAGES, ""}
    for code in LANGUAGES:
        assert math.exp(found["after"][code]) < 0.5 * math.exp(found["before"][code]), code
