"""Loading models from Hugging Face folders and saving them there, safetensors only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.storage.location import Location

# Where a model's folder keeps the prefix that its weights were trained behind.
PREFIX_NAME = "prefix"


def load_model(folder: Path, adapter: Path | None = None) -> Any:
    """Load a causal language model in fp32, with a LoRA adapter merged into it where given.

    Never downloads, never runs code from the folder. Raises InputError for a folder that holds
    no such model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    _need_folder(folder, "config.json")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no model that can be loaded ({error})") from error
    return model if adapter is None else merge_adapter(model, adapter)


def load_adapter(model: Any, adapter: Path) -> Any:
    """Return a model in the coat of a peft folder, whose weights are not to be trained."""
    from peft import PeftModel

    _need_folder(adapter, "adapter_config.json")
    return PeftModel.from_pretrained(model, str(adapter))


def merge_adapter(model: Any, adapter: Path) -> Any:
    """Return a model with a LoRA folder's updates in its weights; InputError for a prefix."""
    if is_prefix(adapter):
        raise InputError(f"{adapter}: a prefix is no part of the weights, so it cannot be merged")
    return load_adapter(model, adapter).merge_and_unload()


def is_prefix(adapter: Path) -> bool:
    """Return whether a peft folder holds a prefix; InputError where it is none."""
    _need_folder(adapter, "adapter_config.json")
    kind = json.loads((adapter / "adapter_config.json").read_text("utf-8")).get("peft_type")
    return kind in ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING")


def keep_prefix(adapter: Path, model: Location) -> None:
    """Put a prefix into the folder of the model that was trained behind it; LoRA is left out."""
    if is_prefix(adapter):
        (model / PREFIX_NAME).upload(adapter)


def need_no_prefix(folder: Path) -> None:
    """InputError for a folder whose weights answer rightly behind their prefix alone."""
    if (folder / PREFIX_NAME).is_dir():
        raise InputError(
            f"{folder}: its weights were trained behind the prefix in {PREFIX_NAME}/; it can be "
            "served, but not trained further"
        )


def need_whole_weights(folder: Path) -> None:
    """InputError for a folder of quantised weights, which cannot be trained or merged into."""
    config = folder / "config.json"
    if config.is_file() and "quantization_config" in json.loads(config.read_text("utf-8")):
        raise InputError(
            f"{folder}: its weights are quantised; name the model that it was made from"
        )


def _need_folder(folder: Path, file: str) -> None:
    if not (folder / file).is_file():
        raise InputError(f"{folder}: no {file} there; a Hugging Face folder is wanted")


def save_model(model: Any, state: Mapping[str, Any], tokenizer: Any, folder: Path) -> None:
    """Write a Hugging Face folder: config, safetensors, generation config, tokenizer.

    ``state`` is the whole state dict (an engine may hold the module's weights in parts). For a
    peft model only the adapter is written.
    """
    with whole_prefix(model, state):
        model.save_pretrained(folder, state_dict=dict(state))
    tokenizer.save_pretrained(folder)


@contextmanager
def whole_prefix(model: Any, state: Mapping[str, Any]) -> Iterator[None]:
    """Have a prefix's module whole while the block runs; nothing else is touched.

    peft computes the prefix that it writes by the module itself, not from the state dict: where
    the weights lie in parts on other workers, it would wait for them for ever.
    """
    config = getattr(model, "active_peft_config", None)
    if config is None or config.peft_type != "PREFIX_TUNING":
        yield
        return
    from peft import PrefixEncoder

    name = model.active_adapter
    begins = f"prompt_encoder.{name}."
    whole = PrefixEncoder(config)
    whole.load_state_dict(
        {key.removeprefix(begins): v for key, v in state.items() if key.startswith(begins)}
    )
    parted = model.prompt_encoder[name]
    model.prompt_encoder[name] = whole
    try:
        yield
    finally:
        model.prompt_encoder[name] = parted
