"""The model job: take a model from elsewhere, merge, add tokens, quantise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from medray.models.card import ModelCard
from medray.models.folder import merge_adapter, save_model
from medray.models.quantise import Bits, need_bitsandbytes, quantised
from medray.models.source import SourceConfig, find_source
from medray.models.tokens import add_tokens
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Reference, StageConfig
from medray.storage.scratch import temporary_folder


class PrepareConfig(StageConfig):
    """Configuration of the model job."""

    job: Literal["model"]
    source: SourceConfig
    adapter: Annotated[str | None, Reference(("adapter",))] = Field(
        default=None, description="a LoRA stage whose adapter is merged in"
    )
    added_tokens: list[str] = Field(
        default=[], description="special tokens; their embeddings begin as the mean of all"
    )
    quantise: Bits = Field(default="none", description="weights for serving; none: as they are")

    @model_validator(mode="after")
    def _has_source(self) -> PrepareConfig:
        if not self.source.named:
            raise ValueError("source: one of folder, hub and stage is wanted")
        return self


def check(config: PrepareConfig, context: StageContext) -> None:
    """Check that a quantiser is there where one is wanted."""
    if config.quantise != "none":
        need_bitsandbytes()


def run(config: PrepareConfig, context: StageContext) -> StageResult:
    """Write ``model/``, a Hugging Face folder."""
    source = find_source(config.source, context, "source")
    assert source is not None  # the configuration was checked
    model, tokenizer = source.model(), source.tokenizer()
    if config.adapter is not None:
        adapter = (context.artifacts[config.adapter] / "adapter").local_path()
        model = merge_adapter(model, adapter)
    added = add_tokens(model, tokenizer, config.added_tokens) if config.added_tokens else 0
    with temporary_folder() as folder:
        save_model(model, model.state_dict(), tokenizer, folder)
        if config.quantise != "none":
            _quantise(folder, config.quantise)
        size_bytes = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        card_of(config, context, source.name).write(folder)
        (context.output / "model").upload(folder)
    return StageResult(
        counts={
            "parameters": model.num_parameters(),
            "added_tokens": added,
            "weight_bytes": size_bytes,
        },
        results={"quantise": config.quantise},
    )


def _quantise(folder: Path, bits: Bits) -> None:
    model = quantised(folder, bits)
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    model.save_pretrained(folder)


def card_of(config: StageConfig, context: StageContext, base: str, **known: Any) -> ModelCard:
    """Return a stage's model card."""
    return ModelCard(
        stage=context.name,
        recipe=context.recipe.name,
        fingerprint=context.fingerprint,
        inputs=dict(context.inputs),
        config=config.model_dump(mode="json"),
        base=base,
        **known,
    )


JOB = Job("model", 1, "model", PrepareConfig, run, check)
