"""What vLLM is told of a model before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from vllm.engine.arg_utils import AsyncEngineArgs

from serving.config import CACHE_BLOCK_TOKENS, ServingConfig
from serving.vllm_adapters import rank_with_room
from serving.weights import load_model

# Tokens that share a place in the cache: a common beginning is found in steps of so many. vLLM's
# CPU kernels want multiples of 32.
PAGE_TOKENS = 32
# Sequences in one pass at most, where the pass has room for so many tokens.
MOST_SEQUENCES = 256
# vLLM keeps one page for itself, and wants a place for the last token, which is never read.
SPARE_PAGES = 2


@dataclass(frozen=True)
class ServedModel:
    """What a model's folder says of it. ``dtype``: of the weights, as vLLM names it."""

    vocabulary_size: int
    context_tokens: int
    end_tokens: list[int]
    dtype: str

    @classmethod
    def of(cls, config: ServingConfig) -> ServedModel:
        """Read the folder of ``config.model``; no weights."""
        whole = AutoConfig.from_pretrained(
            config.model, local_files_only=True, trust_remote_code=False
        )
        about = whole.get_text_config()
        # Models without positions (ALiBi) are bounded by the cache alone.
        cache_tokens = config.num_blocks * CACHE_BLOCK_TOKENS
        positions = getattr(about, "max_position_embeddings", cache_tokens)
        if (config.model / "generation_config.json").is_file():
            end = GenerationConfig.from_pretrained(config.model).eos_token_id
        else:
            end = GenerationConfig.from_model_config(whole).eos_token_id
        dtype: str = config.dtype
        if dtype == "auto":  # vLLM's own "auto" makes 16 bits of 32
            dtype = str(about.dtype or "float32").removeprefix("torch.")
        ends = [] if end is None else [end] if isinstance(end, int) else list(end)
        return cls(about.vocab_size, min(positions, cache_tokens), ends, dtype)


def engine_arguments(
    config: ServingConfig, model: ServedModel, folder: Path, targets: Sequence[str] | None
) -> AsyncEngineArgs:
    """Return how vLLM is to run the weights of ``folder``, with the cache that ``config`` says.

    ``targets``: the modules that adapters may change; None: there are no adapters.
    """
    on_cpu = config.num_gpus == 0
    pages = config.num_blocks * CACHE_BLOCK_TOKENS // PAGE_TOKENS + SPARE_PAGES
    return AsyncEngineArgs(
        model=str(folder),
        tokenizer=str(config.model),
        dtype=model.dtype,
        load_format="safetensors",
        trust_remote_code=False,
        generation_config="vllm",  # none of the folder's penalties and sampling defaults
        max_model_len=model.context_tokens + 1,
        block_size=PAGE_TOKENS,
        num_gpu_blocks_override=pages,
        kv_cache_memory_bytes=1,  # the pages above say all; without it vLLM measures free memory
        enable_prefix_caching=True,
        **_passes(config, model, on_cpu),
        max_logprobs=-1,
        logprobs_mode="raw_logprobs",
        structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
        enable_lora=targets is not None,
        lora_target_modules=None if targets is None else list(targets),
        # On CPUs, rows without an adapter go through the last place, which must stay empty.
        max_loras=config.loaded_adapters + on_cpu,
        max_lora_rank=rank_with_room(config.max_adapter_rank),
        tensor_parallel_size=max(1, int(config.num_gpus)),
        enforce_eager=on_cpu,  # compiling for a CPU takes minutes and a C++ compiler
        disable_log_stats=True,
        enable_log_requests=False,
    )


def _passes(config: ServingConfig, model: ServedModel, on_cpu: bool) -> dict[str, Any]:
    """Return how many tokens and sequences one pass has.

    On a CPU a prompt is read in one pass, however long. vLLM would take a draw back for each piece
    of a prompt but the last, which PyTorch's generators cannot on a CPU: the engine would die.
    """
    sequences = min(config.max_batch_tokens, MOST_SEQUENCES)
    tokens = config.max_batch_tokens
    if on_cpu:
        # A place for each sequence that generates meanwhile, or a long prompt would wait for all.
        tokens = max(tokens, model.context_tokens + sequences)
    return {
        "enable_chunked_prefill": not on_cpu,
        "max_num_batched_tokens": tokens,
        "max_num_seqs": sequences,
    }


def merged(config: ServingConfig, where: Path) -> Path:
    """Return the folder of the weights to serve: with an adapter, a copy that has it merged in."""
    if config.adapter is None:
        return config.model
    folder = where / "merged"
    load_model(config.model_copy(update={"num_gpus": 0.0})).save_pretrained(folder)
    AutoTokenizer.from_pretrained(
        config.model, local_files_only=True, trust_remote_code=False
    ).save_pretrained(folder)
    return folder
