"""The pretrain job: next-token training of a model on a corpus's windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from medray.corpus.folders import CorpusFolders
from medray.corpus.tokens.tokenizer import load_tokenizer
from medray.errors import InputError
from medray.models.folder import load_model, save_model
from medray.models.small import NewModelConfig, make_model
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Config, InputFolder, Reference
from medray.storage.location import Location
from medray.storage.scratch import temporary_folder
from medray.training.config import TrainingConfig, TrainingStageConfig
from medray.training.loop import Assembly
from medray.training.sequences import Sequences, read_windows
from medray.training.trainer import check_workers, fit


class ModelConfig(Config):
    """The model to train: an existing Hugging Face folder, or sizes of a new one."""

    folder: Annotated[str | None, InputFolder()] = Field(
        default=None, description="folder to go on from; none: a new model"
    )
    new: NewModelConfig = Field(default=NewModelConfig())


class PretrainConfig(TrainingStageConfig):
    """Configuration of the pretrain job."""

    job: Literal["pretrain"]
    corpus: Annotated[str, Reference(("corpus",))] = Field(description="a curate stage")
    model: ModelConfig = Field(default=ModelConfig())


@dataclass(frozen=True)
class PretrainTask:
    """Next-token prediction on every token of every window."""

    training: TrainingConfig
    seed: int
    new_model: NewModelConfig
    base: Path | None
    corpus: Location
    output: Location

    def build(self) -> Assembly:
        tokenizer = load_tokenizer(CorpusFolders.read(self.corpus).tokenizer.local_copy())
        if self.base is not None:
            model = load_model(self.base)
        else:
            model = make_model(self.new_model, tokenizer, self.seed)
        return Assembly(model, windows_of(self.corpus), None, tokenizer)

    def export(self, assembly: Assembly, weights: dict[str, Any]) -> None:
        export_model(assembly, weights, self.output / "model")


def export_model(assembly: Assembly, weights: dict[str, Any], target: Location) -> None:
    """Write the model's Hugging Face folder to a location, local or not."""
    assembly.model.config.use_cache = True
    with temporary_folder() as folder:
        save_model(assembly.model, weights, assembly.tokenizer, folder)
        target.upload(folder)


def windows_of(corpus: Location) -> Sequences:
    """Return all windows of a corpus, in the order of their files' names."""
    files = CorpusFolders.read(corpus).windows.files()
    return read_windows(file for file in files if file.name.endswith(".parquet"))


def check(config: PretrainConfig, context: StageContext) -> None:
    """Check that the workers fit."""
    check_workers(config.training, context)


def check_vocabulary(base: Path, corpus: Location, stage: str) -> None:
    """A model reads token numbers: a corpus cut by another tokenizer would be noise to it."""
    own = load_tokenizer(base).get_vocab()
    if own != load_tokenizer(CorpusFolders.read(corpus).tokenizer.local_copy()).get_vocab():
        raise InputError(
            f"stages.{stage}.model.folder: the tokenizer of {base} is not the corpus's; set the "
            "curate stage's tokenizer.folder to that folder"
        )


def run(config: PretrainConfig, context: StageContext) -> StageResult:
    """Train and export ``model/``, a Hugging Face folder."""
    corpus = context.artifacts[config.corpus]
    base = None
    if config.model.folder is not None:
        base = context.folder(config.model.folder, "model.folder")
        check_vocabulary(base, corpus.location, context.name)
    task = PretrainTask(
        config.training, context.seed, config.model.new, base, corpus.location, context.output
    )
    history = fit(task, context)
    windows = corpus.manifest.counts["windows"]
    seen = config.training.steps * config.training.global_batch_size
    return StageResult(
        counts={"windows": windows, "windows_seen": seen, "steps": config.training.steps},
        results={
            "loss": history.loss,
            "first_loss": history.loss[0][1],
            "last_loss": history.loss[-1][1],
            "epochs": round(seen / windows, 3),
        },
    )


JOB = Job("pretrain", 1, "model", PretrainConfig, run, check)
