"""A served model's weights, with the adapter that is merged into them."""

from __future__ import annotations

from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from serving.config import ServingConfig
from serving.folders import LORA, adapter_kind


def load_model(config: ServingConfig) -> PreTrainedModel:
    """Load the weights, safetensors only and without remote code, and merge the adapter, if a LoRA.

    Raises ``OSError`` where a file is missing or the weights are not safetensors.
    """
    model = AutoModelForCausalLM.from_pretrained(
        config.model,
        dtype=config.dtype,
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    if config.adapter is not None and adapter_kind(config.adapter) == LORA:
        weights = config.adapter / "adapter_model.safetensors"
        if not weights.is_file():  # peft would fall back to a pickle
            raise FileNotFoundError(f"no {weights}: an adapter is taken as safetensors only")
        model = PeftModel.from_pretrained(model, config.adapter).merge_and_unload()
    return model.to("cuda" if config.num_gpus > 0 else "cpu").eval()
