"""Which engine a replica runs."""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path

from serving.config import ServingConfig
from serving.engine import Engine
from serving.folders import check_folders, prefix_folder

logger = logging.getLogger("ray.serve")

LOGGING = Path(__file__).with_name("vllm_logging.json")


def load_engine(config: ServingConfig) -> Engine:
    """Load the model of ``config`` into the engine that it names, or the one that is to be had.

    ``RuntimeError`` where vLLM is demanded and does not import; as ``check_folders`` and the
    engines raise.
    """
    check_folders(config)
    engine: Engine
    prefix = prefix_folder(config)  # which vLLM has no place for
    if config.engine != "transformers" and prefix is None and _vllm_imports(config):
        from serving.vllm_engine import VllmEngine

        engine = VllmEngine(config)
    else:
        from serving.transformers_engine import TransformersEngine

        engine = TransformersEngine.load(config)
    logger.info("the engine of %s is %s", config.model_name, engine.name)
    return engine


def _vllm_imports(config: ServingConfig) -> bool:
    """Prepare this process for vLLM and say whether it imports.

    Where it is there and does not, that is logged, or raised where it is demanded.
    """
    if importlib.util.find_spec("vllm") is None:
        if config.engine == "vllm":
            raise RuntimeError("engine: vllm is demanded, but vllm is not installed here")
        return False
    os.environ.update(vllm_environment(config))
    try:
        importlib.import_module("vllm.v1.engine.async_llm")
    except Exception as error:
        # A build that does not fit its libraries fails in many ways, not by ImportError alone.
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if config.engine == "vllm":
            message = f"engine: vllm is demanded, but vllm does not import here: {reason}"
            raise RuntimeError(message) from error
        logger.warning("vllm is installed, but does not import: %s", reason)
        return False
    return True


def vllm_environment(config: ServingConfig) -> dict[str, str]:
    """Return the variables that vLLM reads when it is imported, for it and its processes."""
    variables = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        # Without what it knows of requests: a schema or the text under a guide.
        "VLLM_LOGGING_CONFIG_PATH": str(LOGGING),
        # A forked process would have this one's locks, and no threads to open them.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        # The place of the last token is counted, though it is never read: one more than the model.
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
        "HF_HUB_OFFLINE": "1",
    }
    if config.num_gpus == 0:
        # As many threads as the replica has CPUs, none bound to a core that another replica has.
        variables["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        variables["OMP_NUM_THREADS"] = str(max(1, int(config.num_cpus)))
        # Else single operations are compiled, which takes a C++ compiler on every node.
        variables["TORCHDYNAMO_DISABLE"] = "1"
    return variables
