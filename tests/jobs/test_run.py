"""The whole quickstart recipe: made, broken off by SIGKILL in three stages, side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import recipe_runs as runs
from medray.evaluation.report import STEP_TEXTS

STAGES = ["ocr", "curate", "pretrain", "finetune", "sweep", "benchmark", "report"]


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two workspaces made at the same time: one undisturbed, one killed in three stages."""
    folder = tmp_path_factory.mktemp("runs")
    undisturbed, broken = folder / "undisturbed", folder / "broken"
    beside = runs.Run.start(undisturbed)
    for stage, pattern in (
        ("curate", "filter/*/receipts/*.json"),
        ("pretrain", "checkpoints/*/checkpoint_*/history.json"),
        ("sweep", "trials/tune/*/result.json"),
    ):
        place = broken / stage

        def reached(place: Path = place, pattern: str = pattern) -> bool:
            return any(file.stat().st_size for file in place.glob(pattern))

        runs.Run.start(broken).kill_when(reached)
        assert not (place / "manifest.json").exists(), f"{stage} ended before it was killed"
    runs.Run.start(broken).wait()
    beside.wait()
    return undisturbed, broken


def test_every_stage_leaves_an_artifact(workspaces: tuple[Path, Path]) -> None:
    for workspace in workspaces:
        for stage in STAGES:
            manifest = json.loads((workspace / stage / "manifest.json").read_text())
            assert manifest["files"], stage
            assert not (workspace / stage / "in_progress.json").exists()


def test_killed_run_ends_with_equal_results(workspaces: tuple[Path, Path]) -> None:
    undisturbed, broken = (runs.results(workspace) for workspace in workspaces)
    assert undisturbed == broken
    assert set(undisturbed) >= {"curate", "pretrain", "finetune", "sweep", "benchmark"}


def test_killed_stages_are_resumed_and_finished_ones_skipped(
    workspaces: tuple[Path, Path],
) -> None:
    log = workspaces[1].with_suffix(".log").read_text(errors="replace")
    events = [json.loads(line) for line in log.splitlines() if line.startswith('{"time"')]
    said = [(event["stage"], event["message"]) for event in events]
    for stage in ("curate", "pretrain", "sweep"):
        assert (stage, "resumed: an earlier run was broken off here") in said
    assert said.count(("ocr", "started")) == 1
    assert said.count(("curate", "started")) == 2
    assert said.count(("finetune", "started")) == 1


def test_second_run_skips_every_stage(workspaces: tuple[Path, Path]) -> None:
    words = runs.command("run", "quickstart", workspaces[0], runs.SMALL)
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["stages"] == dict.fromkeys(STAGES, "skipped")
    assert done.stderr.count("skipped: already made") == len(STAGES)
    assert '"started"' not in done.stderr


def test_change_rebuilds_what_depends_on_it_and_names_the_key(
    workspaces: tuple[Path, Path],
) -> None:
    """The benchmark is then the first stage that needs Ray."""
    overrides = [*runs.SMALL, "benchmark.exam.maximum_new_tokens=8"]
    words = runs.command("run", "quickstart", workspaces[1], overrides)
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "rebuilt: exam.maximum_new_tokens: 16 -> 8" in done.stderr
    made = dict.fromkeys(STAGES, "skipped") | {"benchmark": "made", "report": "made"}
    assert json.loads(done.stdout.splitlines()[-1])["stages"] == made


def test_results_are_of_the_right_shape(workspaces: tuple[Path, Path]) -> None:
    found = runs.results(workspaces[0])
    funnel = found["curate"]["funnel"]
    for code in ("en", "ja"):
        row = funnel[code]
        assert row["documents"] == sum(row[step] for step in STEP_TEXTS)
    assert funnel["en"]["documents"] == 62  # 60 documents and 2 scanned pages
    assert funnel["en"]["kept"] == 32
    pretrain = found["pretrain"]
    assert pretrain["last_loss"] < pretrain["first_loss"]
    assert [step for step, _ in pretrain["loss"]] == [1, 5, 10, 12]
    assert len(found["sweep"]["trials"]) == 2
    losses = [trial["validation_loss"] for trial in found["sweep"]["trials"]]
    assert found["sweep"]["best"]["validation_loss"] == min(losses)
    languages = found["benchmark"]["languages"]
    assert {code: row["questions"] for code, row in languages.items()} == {"en": 8, "ja": 4}
    for row in languages.values():
        for name in ("likelihood_accuracy", "generated_accuracy", "bleu_1", "rouge_1", "rouge_l"):
            assert row[name]["low"] <= row[name]["value"] <= row[name]["high"]
            assert row[name]["n"] == row["questions"]


def test_exported_model_loads_with_transformers_and_peft(workspaces: tuple[Path, Path]) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = workspaces[0] / "pretrain" / "model"
    assert list(folder.glob("*.safetensors"))
    assert not list(folder.glob("*.bin"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    adapted = PeftModel.from_pretrained(model, workspaces[0] / "finetune" / "adapter")
    text = "Le patient a de la fièvre. 患者は発熱している。"
    tokens = tokenizer(text, return_tensors="pt")
    assert tokenizer.decode(tokens["input_ids"][0], skip_special_tokens=True) == text
    assert adapted(**tokens).logits.shape[-1] == len(tokenizer)


def test_report_is_one_page_with_every_part(workspaces: tuple[Path, Path]) -> None:
    page = (workspaces[0] / "report.html").read_text(encoding="utf-8")
    for part in ("ocr", "corpus", "pretrain", "finetune", "sweep", "benchmark"):
        assert f'<section id="{part}">' in page
    assert "<link" not in page
    assert "<script" not in page
    assert 'src="http' not in page


def test_status_tells_each_stage(workspaces: tuple[Path, Path]) -> None:
    words = [sys.executable, "-m", "jobs.cli", "status", str(workspaces[0]), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    states = {name: stage["state"] for name, stage in json.loads(done.stdout).items()}
    assert states == dict.fromkeys(STAGES, "done")
