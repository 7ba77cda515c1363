"""Writing what was trained as a folder that transformers or peft loads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medray.models.card import ModelCard
from medray.models.folder import save_model
from medray.storage.location import Location
from medray.storage.scratch import temporary_folder
from medray.training.history import History
from medray.training.loop import Assembly


def export_model(
    assembly: Assembly,
    weights: dict[str, Any],
    target: Location,
    card: ModelCard,
    history: History,
) -> None:
    """Write a model's Hugging Face folder, or an adapter's peft folder, to a location.

    A model that was trained behind a prefix is written without it: the prefix lies in its own
    folder, unchanged.
    """
    model = assembly.model
    coated = hasattr(model, "peft_config")
    trains_adapter = coated and any(
        p.requires_grad for name, p in model.named_parameters() if _is_adapter(name)
    )
    if coated and not trains_adapter:
        weights = {
            name.removeprefix("base_model."): tensor
            for name, tensor in weights.items()
            if name.startswith("base_model.")
        }
        model = model.get_base_model()
    (model.get_base_model() if trains_adapter else model).config.use_cache = True
    results: dict[str, Any] = {"steps": history.step, "loss, nats a token": history.loss[-1][1]}
    if history.validation_loss:
        results["validation loss, nats a token"] = history.validation_loss[-1][1]
    languages = set(assembly.sequences.language_names) - {""}
    with temporary_folder() as folder:
        save_model(model, weights, assembly.tokenizer, folder)
        replace(
            card,
            library="peft" if trains_adapter else "transformers",
            languages=tuple(sorted(languages)),
            results=results,
        ).write(folder)
        target.upload(folder)


def _is_adapter(name: str) -> bool:
    return "lora_" in name or name.startswith("prompt_encoder.")
