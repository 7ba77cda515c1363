"""Where a model comes from: a folder, the Hugging Face hub, an earlier stage, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from medray.corpus.tokens.tokenizer import load_tokenizer
from medray.errors import InputError
from medray.models.folder import load_model, need_no_prefix, need_whole_weights
from medray.models.small import NewModelConfig
from medray.pipeline import StageContext
from medray.recipe import Config, InputFolder, Reference


class SourceConfig(Config):
    """An existing causal language model: exactly one of folder, hub and stage."""

    folder: Annotated[str | None, InputFolder()] = Field(
        default=None, description="Hugging Face folder"
    )
    hub: str | None = Field(
        default=None,
        description="organisation/name on the Hugging Face hub, in safetensors",
    )
    revision: str = Field(
        default="main",
        description="commit on the hub; where a branch moves on is not seen later",
    )
    stage: Annotated[str | None, Reference(("model",))] = Field(
        default=None, description="an earlier stage that made a model"
    )

    @property
    def named(self) -> list[str]:
        return [name for name in ("folder", "hub", "stage") if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _one(self) -> SourceConfig:
        if len(self.named) > 1:
            raise ValueError(f"{' and '.join(self.named)} are both given; a model has one source")
        return self


class ModelConfig(SourceConfig):
    """The model to train: an existing one, or the sizes of a new one."""

    new: NewModelConfig = Field(default=NewModelConfig(), description="where no source is given")


@dataclass(frozen=True)
class Source:
    """An existing model, as a worker on any node finds it."""

    place: str
    revision: str | None = None

    @property
    def name(self) -> str:
        """What others know it by: a hub name, or the folder's own."""
        return self.place if self.revision else Path(self.place).name

    def tokenizer(self) -> Any:
        """Load the tokenizer alone."""
        if self.revision is None:
            return load_tokenizer(Path(self.place))
        return _from_hub("AutoTokenizer", self.place, self.revision)

    def model(self) -> Any:
        """Load the model in fp32; InputError where it is quantised or answers behind a prefix."""
        if self.revision is None:
            need_whole_weights(Path(self.place))
            need_no_prefix(Path(self.place))
            return load_model(Path(self.place))
        import torch

        model = _from_hub(
            "AutoModelForCausalLM",
            self.place,
            self.revision,
            dtype=torch.float32,
            use_safetensors=True,
        )
        if getattr(model.config, "quantization_config", None) is not None:
            raise InputError(f"hub {self.place}: its weights are quantised, so none are trained")
        return model


def find_source(config: SourceConfig, context: StageContext, key: str) -> Source | None:
    """Return where the model lies, or None where a configuration names none."""
    if config.folder is not None:
        return Source(str(context.folder(config.folder, f"{key}.folder")))
    if config.hub is not None:
        return Source(config.hub, config.revision)
    if config.stage is not None:
        return Source(str((context.artifacts[config.stage] / "model").local_path()))
    return None


def _from_hub(kind: str, name: str, revision: str, **options: Any) -> Any:
    """Load from the hub or its cache on this machine; never runs code from there."""
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(name, revision=revision, **options)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"hub {name} at {revision}: cannot be loaded ({first})") from error
