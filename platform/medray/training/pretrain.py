"""The pretrain job: next-token training of a model on a corpus's windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from medray.corpus.folders import CorpusFolders
from medray.corpus.tokens.tokenizer import load_tokenizer
from medray.errors import InputError
from medray.models.card import ModelCard
from medray.models.prepare import card_of
from medray.models.small import NewModelConfig, make_model
from medray.models.source import ModelConfig, Source, find_source
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Reference
from medray.storage.location import Location
from medray.training.config import TrainingConfig, TrainingStageConfig, check_mixture
from medray.training.export import export_model
from medray.training.history import History
from medray.training.loop import Assembly
from medray.training.sequence_store import Split, on_this_node
from medray.training.sequences import hold_out, read_windows
from medray.training.trainer import check_workers, fit


class PretrainConfig(TrainingStageConfig):
    """Configuration of the pretrain job."""

    job: Literal["pretrain"]
    corpus: Annotated[str, Reference(("corpus",))] = Field(description="a curate stage")
    model: ModelConfig = Field(default=ModelConfig())
    validation_share: float = Field(
        default=0.0, ge=0, lt=1, description="share of documents held out for perplexity"
    )


@dataclass(frozen=True)
class PretrainTask:
    """Next-token prediction on every token of every window."""

    training: TrainingConfig
    seed: int
    new_model: NewModelConfig
    base: Source | None
    corpus: Location
    validation_share: float
    output: Location
    card: ModelCard
    key: str

    def build(self) -> Assembly:
        tokenizer = load_tokenizer(CorpusFolders.read(self.corpus).tokenizer.local_copy())
        if self.base is not None:
            model = self.base.model()
        else:
            model = make_model(self.new_model, tokenizer, self.seed)
        trained, held_out = on_this_node(self.key, self._parts)
        return Assembly(model, trained, held_out if len(held_out) else None, tokenizer)

    def _parts(self) -> Iterator[Split]:
        for file in window_files(self.corpus):
            yield hold_out(read_windows([file]), self.validation_share, self.seed)

    def export(self, assembly: Assembly, weights: dict[str, Any], history: History) -> None:
        export_model(assembly, weights, self.output / "model", self.card, history)


def window_files(corpus: Location) -> list[Location]:
    """Return the files of a corpus's windows, by name."""
    files = CorpusFolders.read(corpus).windows.files()
    return [file for file in files if file.name.endswith(".parquet")]


def check(config: PretrainConfig, context: StageContext) -> None:
    """Check that a mixture weighs languages, and that the workers fit."""
    check_mixture(config.training, (), context.name)
    check_workers(config.training, context)


def check_vocabulary(base: Source, corpus: Location, stage: str) -> None:
    """A model reads token numbers: a corpus cut by another tokenizer would be noise to it."""
    own = base.tokenizer().get_vocab()
    if own != load_tokenizer(CorpusFolders.read(corpus).tokenizer.local_copy()).get_vocab():
        raise InputError(
            f"stages.{stage}.model: the tokenizer of {base.place} is not the corpus's; set the "
            "curate stage's tokenizer.folder to that folder"
        )


def run(config: PretrainConfig, context: StageContext) -> StageResult:
    """Train and export ``model/``, a Hugging Face folder."""
    corpus = context.artifacts[config.corpus]
    base = find_source(config.model, context, "model")
    if base is not None:
        check_vocabulary(base, corpus.location, context.name)
    task = PretrainTask(
        config.training,
        context.seed,
        config.model.new,
        base,
        corpus.location,
        config.validation_share,
        context.output,
        card_of(config, context, base.name if base else ""),
        context.fingerprint,
    )
    history, timings = fit(task, context)
    windows = corpus.manifest.counts["windows"]
    seen = history.step * config.training.global_batch_size
    return StageResult(
        counts={
            "windows": windows,
            "windows_trained_on": history.sequences,
            "windows_seen": seen,
            "steps": history.step,
        },
        # In a mixture some come up more often than others.
        results=history.curves
        | ({} if config.training.mixture else {"epochs": round(seen / history.sequences, 3)}),
        timings_s=timings,
    )


JOB = Job("pretrain", 2, "model", PretrainConfig, run, check)
