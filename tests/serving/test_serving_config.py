from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from serving.application import build_application
from serving.config import ServingConfig
from serving.transformers_engine import load_model

if TYPE_CHECKING:
    from conftest import Small


def test_the_model_is_named_after_its_folder() -> None:
    assert ServingConfig(model=Path("models/medglm")).model_name == "medglm"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"modle": "x"}, "modle"),
        ({"num_blocks": 2}, "does not fit the cache: num_blocks 2 x 256 = 512"),
        ({"autoscaling": {"min_replicas": 2}}, "min_replicas 2 is larger than max_replicas 1"),
        ({"route_prefix": "models/"}, "route_prefix"),
    ],
)
def test_contradictions_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ServingConfig.model_validate({"model": "m"} | fields)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        build_application(ServingConfig(model=tmp_path))


def test_code_that_a_model_folder_brings_is_not_run(small: Small, tmp_path: Path) -> None:
    folder, trace = tmp_path / "model", tmp_path / "was-run"
    shutil.copytree(small.folder, folder)
    about = json.loads((folder / "config.json").read_text())
    about |= {
        "model_type": "unheard-of",
        "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"},
    }
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "code.py").write_text(f"open({str(trace)!r}, 'w')")
    with pytest.raises(ValueError, match=r"trust_remote_code|unheard-of"):
        load_model(ServingConfig(model=folder))
    assert not trace.exists()
