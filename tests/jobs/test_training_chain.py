"""MedGLM.H's chain as a recipe: P-Tuning v2 on general questions, the last layers on records."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel
from plain_loop import padded_loss
from transformers import AutoModelForCausalLM, AutoTokenizer

from disturbed import Driver, spawn
from engine_under_test import at_once, check_score, config_of, loaded, logprobs
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.errors import InputError
from medray.models.folder import load_adapter, load_model, save_model
from medray.models.small import NewModelConfig, make_model
from medray.models.source import Source
from medray.storage.artifact import Artifact
from medray.storage.location import Location
from medray.training.sequences import Sequences
from serving.engine import ScoreJob

pytestmark = pytest.mark.slow

GENERAL = [
    {"instruction": f"Which drug helps against {disease}?", "output": f"{drug} helps."}
    for disease, drug in (("pain", "Paracetamol"), ("fever", "Ibuprofen"), ("cough", "Codeine"))
] * 8
RECORDS = [
    {"instruction": f"A patient of {age} with a liver cyst.", "output": "Watch it by ultrasound."}
    for age in range(40, 64)
]
TRAINING = {
    "workers": {"count": 1},
    "steps": 12,
    "global_batch_size": 8,
    "micro_batch_tokens": 1024,
    "precision": "fp32",
}


def recipe(folder: Path, base: Path) -> Path:
    for name, rows in (("general", GENERAL), ("records", RECORDS)):
        (folder / f"{name}.json").write_text(json.dumps(rows))

    def taught(name: str) -> dict[str, Any]:
        return {"language": "en", "files": str(folder / f"{name}.json"), "template": "chatglm"}

    def rate(value: float) -> dict[str, Any]:
        return TRAINING | {"optimizer": {"learning_rate": value}}

    stages = {
        "base": {"job": "model", "source": {"folder": str(base)}, "added_tokens": ["<record>"]},
        "general": {
            "job": "finetune",
            "model": "base",
            "method": {"kind": "prefix", "length": 8},
            "dialogues": [taught("general")],
            "training": rate(2e-2),
        },
        "small": {"job": "model", "source": {"stage": "base"}, "quantise": "nf4"},
        "records": {
            "job": "finetune",
            "model": "base",
            "adapter": "general",
            "method": {"kind": "freeze", "trained_layers": 2},
            "dialogues": [taught("records")],
            "training": rate(1e-3),
        },
    }
    file = folder / "recipe.yaml"
    file.write_text(
        yaml.safe_dump({"name": "medglm", "seed": 3, "stages": stages}, sort_keys=False)
    )
    return file


def run(file: Path, workspace: Path) -> str:
    command = [sys.executable, "-m", "jobs.cli", "run", str(file)]
    log = workspace.with_suffix(".log")
    driver = Driver(spawn([*command, "--workspace", str(workspace)], log, os.environ), log)
    return driver.wait()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    texts = [f"{row['instruction']} {row['output']}" for row in GENERAL + RECORDS]
    tokenizer = train_tokenizer(iter(texts), 400)
    sizes = NewModelConfig(
        hidden_size=64, layers=4, attention_heads=4, key_value_heads=2, feed_forward_size=128
    )
    model = make_model(sizes, tokenizer, 0)
    save_model(model, model.state_dict(), tokenizer, folder / "base")
    run(recipe(folder, folder / "base"), folder / "work")
    return folder / "work"


def kind(workspace: Path, stage: str) -> str:
    artifact = Artifact.open(Location.of(workspace / stage))
    assert artifact is not None
    return artifact.manifest.kind


def test_each_stage_makes_what_its_method_makes(workspace: Path) -> None:
    made = {name: kind(workspace, name) for name in ("base", "small", "general", "records")}
    assert made == {"base": "model", "small": "model", "general": "prefix", "records": "model"}
    assert not (workspace / "general" / "model").exists()
    card = (workspace / "records" / "model" / "README.md").read_text()
    assert "trained_layers: 2" in card and "base_model: base" in card
    assert (workspace / "records" / "metrics.jsonl").is_file()


def test_freezing_changes_the_last_layers_alone(workspace: Path) -> None:
    before = load_model(workspace / "base" / "model").state_dict()
    after = load_model(workspace / "records" / "model").state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert {int(name.split(".")[2]) for name in changed} == {2, 3}


def test_the_chain_has_learned_its_records_behind_its_prefix(workspace: Path) -> None:
    def loss(model: Path, prefixed: bool) -> float:
        from medray.corpus.tokens.tokenizer import load_tokenizer
        from medray.instruct.dialogues import Dialogue, Turn
        from medray.training.examples import taught_examples

        tokenizer = load_tokenizer(workspace / "base" / "model")
        rows = [
            Dialogue(dialogue_id=str(n), language="en", turns=(Turn.model_validate(row),))
            for n, row in enumerate(RECORDS)
        ]
        examples = taught_examples(rows, "chatglm", tokenizer, 512)
        loaded = load_model(model)
        if prefixed:
            loaded = load_adapter(loaded, workspace / "general" / "adapter")
        with torch.inference_mode():
            chosen = list(range(8))
            return padded_loss(loaded.eval(), Sequences.of(examples), chosen).item()

    base, records = workspace / "base" / "model", workspace / "records" / "model"
    assert loss(records, prefixed=True) < loss(base, prefixed=True) - 0.5


def test_a_quantised_stage_is_a_model_of_fewer_bytes_that_answers_alike(workspace: Path) -> None:
    def logits(stage: str) -> torch.Tensor:
        folder = workspace / stage / "model"
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        with torch.inference_mode():
            found: torch.Tensor = model(input_ids=torch.arange(3, 40)[None]).logits.float()
        return found

    def weight_bytes(stage: str) -> int:
        return (workspace / stage / "model" / "model.safetensors").stat().st_size

    assert weight_bytes("small") < 0.5 * weight_bytes("base")
    assert (logits("small") - logits("base")).abs().max() < 0.5
    assert len(AutoTokenizer.from_pretrained(workspace / "small" / "model")) > 0


def test_a_model_behind_a_prefix_is_served_with_it_and_not_trained_without(workspace: Path) -> None:
    folder = workspace / "records" / "model"
    kept, made = folder / "prefix", workspace / "general" / "adapter"
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (kept / file).read_bytes() == (made / file).read_bytes()
    with pytest.raises(InputError, match=r"trained behind the prefix in prefix/"):
        Source(str(folder)).model()
    job = ScoreJob(list(range(5, 40)))
    for model, adapter in ((folder, None), (workspace / "base" / "model", made)):
        plain = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
        coated = PeftModel.from_pretrained(plain, made).eval()
        with loaded(config_of(model, adapter=adapter)) as engine:
            [[score]] = at_once([engine.score([job])])
        check_score(score, job, logprobs(coated, job.tokens))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--set", "records.method={kind: lora, rank: 4}"],
            "is a prefix; on it LoRA of rank 4 cannot be trained",
        ),
        (["--set", "records.model=small"], "its weights are quantised; name the model"),
        (["--set", "records.model=records"], "records"),
        (
            ["--set", "small.adapter=general"],
            "stages.small.adapter: stage general makes a prefix; wanted is: adapter",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    workspace: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    file = recipe(tmp_path, workspace.parent / "base")
    log = (tmp_path / "x").with_suffix(".log")
    command = [sys.executable, "-m", "jobs.cli", "run", str(file), "--workspace", str(workspace)]
    refused = Driver(spawn([*command, *words], log, os.environ), log).wait(2)
    assert told in refused
