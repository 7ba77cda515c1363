"""Which engine a replica runs, where vLLM is absent, broken or there."""

from __future__ import annotations

import importlib.util
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from serving.app import deploy
from serving.engines import load_engine, vllm_environment

if TYPE_CHECKING:
    from pathlib import Path

    from serving.config import ServingConfig

HAS_VLLM = importlib.util.find_spec("vllm") is not None
absent = pytest.mark.skipif(HAS_VLLM, reason="vllm is installed here")


def engine_of(config: ServingConfig, wanted: str) -> str:
    engine = load_engine(config.model_copy(update={"engine": wanted}))
    engine.close()
    return engine.name


@absent
def test_without_vllm_the_default_engine_is_taken(config: ServingConfig) -> None:
    assert engine_of(config, "auto") == "transformers"
    with pytest.raises(RuntimeError, match="vllm is demanded, but vllm is not installed here"):
        engine_of(config, "vllm")


@absent
def test_a_deployment_says_in_one_line_that_vllm_is_absent(
    served: None, config: ServingConfig
) -> None:
    demanding = config.model_copy(update={"engine": "vllm", "route_prefix": "/demanding"})
    with pytest.raises(RuntimeError) as caught:
        deploy(demanding)
    assert str(caught.value) == (
        "no replica of small-llama came up: "
        "RuntimeError: engine: vllm is demanded, but vllm is not installed here"
    )


@absent
def test_a_vllm_that_does_not_import_is_told(
    config: ServingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "vllm").mkdir()
    broken = 'raise OSError("libcudart.so.13: cannot open\\nmore")'
    (tmp_path / "vllm" / "__init__.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    for name in vllm_environment(config):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logging.getLogger("ray.serve"), "handlers", [caplog.handler])
    caplog.set_level(logging.WARNING, "ray.serve")
    assert engine_of(config, "auto") == "transformers"
    assert "vllm is installed, but does not import: OSError: libcudart.so.13" in caplog.text
    with pytest.raises(
        RuntimeError, match=r"does not import here: OSError: libcudart.so.13: [a-z ]+$"
    ):
        engine_of(config, "vllm")
    assert "vllm" not in sys.modules


def test_the_default_engine_can_be_demanded(config: ServingConfig) -> None:
    assert engine_of(config, "transformers") == "transformers"


def test_vllm_gets_the_replicas_threads_and_tells_nobody(config: ServingConfig) -> None:
    of_cpu = vllm_environment(config.model_copy(update={"num_cpus": 3.0}))
    assert of_cpu["OMP_NUM_THREADS"] == "3"
    assert of_cpu["VLLM_NO_USAGE_STATS"] == of_cpu["VLLM_DO_NOT_TRACK"] == "1"
    of_gpu = vllm_environment(config.model_copy(update={"num_gpus": 1.0}))
    assert "OMP_NUM_THREADS" not in of_gpu
