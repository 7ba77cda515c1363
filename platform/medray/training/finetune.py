"""The finetune job: a model is taught answers to questions and instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from medray.errors import InputError
from medray.instruct.dialogues import Dialogue
from medray.instruct.inputs import DialogueInput, Entry, QuestionInput, load_entries
from medray.instruct.questions import Question
from medray.models.card import ModelCard
from medray.models.folder import is_prefix, keep_prefix, load_adapter
from medray.models.prepare import card_of
from medray.models.source import Source
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Reference
from medray.storage.location import Location
from medray.training.config import TrainingConfig, TrainingStageConfig, check_mixture
from medray.training.examples import taught_examples
from medray.training.export import export_model
from medray.training.history import History
from medray.training.loop import Assembly
from medray.training.methods import Freeze, Full, Lora, Method, Prefix, apply_method
from medray.training.sequence_store import Split, on_this_node
from medray.training.sequences import Sequences, draw
from medray.training.trainer import check_workers, fit

# Lists of numbers take 8 to 36 bytes a token in Python: of 512 examples, 20 MB.
TOKENISED_AT_ONCE = 512
Taught = Question | Dialogue


class AdaptationConfig(TrainingStageConfig):
    """What a fine-tuning and each trial of a sweep are told."""

    model: Annotated[str, Reference(("model",))] = Field(description="a stage that made a model")
    adapter: Annotated[str | None, Reference(("adapter", "prefix"))] = Field(
        default=None,
        description="a finetune stage to go on from: LoRA is merged in, a prefix stays before it",
    )
    questions: list[QuestionInput] = Field(default=[], description="exam questions")
    dialogues: list[DialogueInput] = Field(default=[], description="instructions and dialogues")
    method: Method = Field(default=Lora(), description="what of the model is trained")
    validation_share: float = Field(
        default=0.125, ge=0, lt=1, description="share of each entry's examples held out"
    )
    maximum_tokens: int = Field(default=1024, ge=16, description="longest example")

    @model_validator(mode="after")
    def _teaches_something(self) -> AdaptationConfig:
        if not self.questions and not self.dialogues:
            raise ValueError("neither questions nor dialogues are given")
        return self


class FinetuneConfig(AdaptationConfig):
    """Configuration of the finetune job."""

    job: Literal["finetune"]


@dataclass(frozen=True)
class FinetuneTask:
    """Training on the answers to questions and instructions."""

    training: TrainingConfig
    seed: int
    method: Method
    entries: tuple[Entry, ...]
    validation_share: float
    maximum_tokens: int
    model: Source
    adapter: Location | None
    output: Location
    card: ModelCard
    key: str

    def build(self) -> Assembly:
        tokenizer = self.model.tokenizer()
        model = apply_method(self._base(), self.method)
        trained, held_out = on_this_node(self.key, partial(self._parts, tokenizer))
        return Assembly(model, trained, held_out if len(held_out) else None, tokenizer)

    def _parts(self, tokenizer: Any) -> Iterator[Split]:
        nothing = Sequences.of([])
        for entry in self.entries:
            trained, held_out = split(entry.examples, self.validation_share, self.seed)
            for made in self._sequences(tokenizer, entry, trained):
                yield made, nothing
            for made in self._sequences(tokenizer, entry, held_out):
                yield nothing, made

    def _sequences(
        self, tokenizer: Any, entry: Entry, taught: Sequence[Taught]
    ) -> Iterator[Sequences]:
        for some in batched(taught):
            made = taught_examples(some, entry.template, tokenizer, self.maximum_tokens, entry.name)
            yield Sequences.of(made)

    def _base(self) -> Any:
        """Return the model that the method is applied to."""
        model = self.model.model()
        if self.adapter is None:
            return model
        folder = self.adapter.local_copy()
        coated = load_adapter(model, folder)
        if not is_prefix(folder):
            return coated.merge_and_unload()
        if not isinstance(self.method, Full | Freeze):
            raise InputError(
                f"adapter: {folder} is a prefix; on it {self.method} cannot be trained: a model "
                "has one adapter"
            )
        return coated

    def export(self, assembly: Assembly, weights: dict[str, Any], history: History) -> None:
        made = kind_of_method(self.method)
        target = self.output / ("model" if made == "model" else "adapter")
        export_model(assembly, weights, target, self.card, history)
        if made == "model" and self.adapter is not None:
            keep_prefix(self.adapter.local_copy(), target)


def batched(taught: Sequence[Taught]) -> Iterator[Sequence[Taught]]:
    """Yield as many at a time as are tokenised in memory at once."""
    for first in range(0, len(taught), TOKENISED_AT_ONCE):
        yield taught[first : first + TOKENISED_AT_ONCE]


def kind_of_method(method: Method) -> str:
    """Return what training by a method makes: a model, an adapter of one, or a prefix.

    A prefix cannot be merged into weights, so what merges adapters must not be given it.
    """
    if isinstance(method, Full | Freeze):
        return "model"
    return "prefix" if isinstance(method, Prefix) else "adapter"


def split(taught: Sequence[Taught], share: float, seed: int) -> tuple[list[Taught], list[Taught]]:
    """Return (training, validation) of one entry's examples, both in the order given.

    ``round(len(taught) * share)`` are held out: those whose ids' draws are the lowest. Examples of
    one id lie on one side; where they are too many for what is left to hold out, they are trained.
    """
    left = round(len(taught) * share)
    held_names = set()
    counts = Counter(id_of(one) for one in taught)
    for name in sorted(counts, key=lambda name: (draw(name, seed), name)):
        if counts[name] <= left:
            held_names.add(name)
            left -= counts[name]
    sides: tuple[list[Taught], list[Taught]] = ([], [])
    for one in taught:
        sides[id_of(one) in held_names].append(one)
    return sides


def id_of(taught: Taught) -> str:
    return taught.question_id if isinstance(taught, Question) else taught.dialogue_id


def make_task(config: AdaptationConfig, context: StageContext) -> FinetuneTask:
    """Return the task that a configuration describes."""
    model = (context.artifacts[config.model] / "model").local_path()
    adapter = config.adapter and context.artifacts[config.adapter] / "adapter"
    return FinetuneTask(
        config.training,
        context.seed,
        config.method,
        load_entries(config.questions, config.dialogues, context),
        config.validation_share,
        config.maximum_tokens,
        Source(str(model)),
        adapter or None,
        context.output,
        card_of(config, context, config.model),
        context.fingerprint,
    )


def check(config: AdaptationConfig, context: StageContext) -> None:
    """Read every example, and check that both splits hold some and that the workers fit.

    Nothing of an entry to train on is wrong too: it would be named and never learned.
    """
    share, where = config.validation_share, f"stages.{context.name}.validation_share"
    entries = load_entries(config.questions, config.dialogues, context)
    told = f"{where}: {share:g} parts the examples into"
    for entry in entries:
        trained, held_out = counts([entry], share, context.seed)
        if not trained:
            raise InputError(f"{told} 0 for training and {held_out} held out in {entry.key}")
    trained, held_out = counts(entries, share, context.seed)
    if share > 0 and not held_out:
        raise InputError(f"{told} {trained} for training and 0 held out")
    parts = [(entry.key, entry.name, entry.language) for entry in entries]
    check_mixture(config.training, parts, context.name)
    check_workers(config.training, context)


def counts(entries: Sequence[Entry], share: float, seed: int) -> tuple[int, int]:
    """Return how many questions and dialogues are (trained on, held out)."""
    parts = [split(entry.examples, share, seed) for entry in entries]
    return sum(len(part[0]) for part in parts), sum(len(part[1]) for part in parts)


def run(config: FinetuneConfig, context: StageContext) -> StageResult:
    """Train and export ``adapter/``, a peft folder, or, of full and freeze, ``model/``."""
    task = make_task(config, context)
    trained, held_out = counts(task.entries, task.validation_share, task.seed)
    history, timings = fit(task, context)
    return StageResult(
        counts={
            "training_questions": trained,
            "validation_questions": held_out,
            "steps": history.step,
        },
        results={
            **history.curves,
            "method": str(config.method),
        },
        timings_s=timings,
    )


JOB = Job("finetune", 3, lambda config: kind_of_method(config.method), FinetuneConfig, run, check)
