"""The finetune job: LoRA on question -> rationale and answer, loss on the response alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from medray.corpus.tokens.tokenizer import load_tokenizer
from medray.errors import InputError
from medray.instruct.inputs import QuestionInput, load_questions
from medray.instruct.prompts import prompt_for, response_for
from medray.instruct.questions import Question
from medray.languages import LANGUAGES
from medray.models.folder import load_model, save_model
from medray.pipeline import Job, StageContext, StageResult
from medray.recipe import Reference
from medray.storage.location import Location
from medray.storage.scratch import temporary_folder
from medray.training.config import TrainingConfig, TrainingStageConfig
from medray.training.loop import Assembly
from medray.training.methods import Lora, Method, apply_method
from medray.training.sequences import IGNORED, Example, Sequences
from medray.training.trainer import check_workers, fit


class AdaptationConfig(TrainingStageConfig):
    """What a fine-tuning and each trial of a sweep are told."""

    model: Annotated[str, Reference(("model",))] = Field(description="a pretrain stage")
    questions: list[QuestionInput] = Field(min_length=1)
    method: Method = Field(default=Lora(), description="what of the model is trained")
    validation_share: float = Field(
        default=0.125, ge=0, lt=1, description="share of questions held out for validation loss"
    )
    maximum_tokens: int = Field(default=1024, ge=16, description="longest example")


class FinetuneConfig(AdaptationConfig):
    """Configuration of the finetune job."""

    job: Literal["finetune"]


@dataclass(frozen=True)
class FinetuneTask:
    """Training on the responses to questions."""

    training: TrainingConfig
    seed: int
    method: Method
    questions: tuple[Question, ...]
    validation_share: float
    maximum_tokens: int
    model: Location
    output: Location

    def build(self) -> Assembly:
        folder = self.model.local_path()
        tokenizer = load_tokenizer(folder)
        model = apply_method(load_model(folder), self.method)
        trained, held_out = split(self.questions, self.validation_share)
        return Assembly(
            model,
            encode(trained, tokenizer, self.maximum_tokens),
            encode(held_out, tokenizer, self.maximum_tokens) if held_out else None,
            tokenizer,
        )

    def export(self, assembly: Assembly, weights: dict[str, Any]) -> None:
        with temporary_folder() as folder:
            save_model(assembly.model, weights, assembly.tokenizer, folder)
            (self.output / "adapter").upload(folder)


def split(questions: Sequence[Question], share: float) -> tuple[list[Question], list[Question]]:
    """Return (training, validation): of each language, its last ``share`` is held out."""
    trained, held_out = [], []
    for code in LANGUAGES:
        mine = [q for q in questions if q.language == code]
        cut = len(mine) - round(len(mine) * share)
        trained += mine[:cut]
        held_out += mine[cut:]
    return trained, held_out


def encode(questions: Sequence[Question], tokenizer: Any, maximum_tokens: int) -> Sequences:
    """Return one or two sequences a question: with rationale, where it has one, and without.

    MMedLM trains on both forms. Prompt tokens have no label. A prompt that is too long loses
    tokens on its left, never its question's end or the response header; so does a response that
    alone is too long, for its answer stands last.
    """
    examples = []
    for question in questions:
        for rationale in (True, False) if question.rationale else (False,):
            prompt = tokenizer(prompt_for(question, rationale=rationale))["input_ids"]
            response = tokenizer(
                response_for(question, rationale=rationale), add_special_tokens=False
            )["input_ids"]
            response = [*response, tokenizer.eos_token_id][-maximum_tokens:]
            prompt = prompt[max(0, len(prompt) + len(response) - maximum_tokens) :]
            labels = [IGNORED] * len(prompt) + response
            examples.append(
                Example(prompt + response, labels, question.language, question.question_id)
            )
    return Sequences.of(examples)


def make_task(config: AdaptationConfig, context: StageContext) -> FinetuneTask:
    """Return the task that a configuration describes."""
    return FinetuneTask(
        config.training,
        context.seed,
        config.method,
        load_questions(config.questions, context),
        config.validation_share,
        config.maximum_tokens,
        context.artifacts[config.model] / "model",
        context.output,
    )


def check(config: AdaptationConfig, context: StageContext) -> None:
    """Read every question, and check that both splits hold some and that the workers fit."""
    trained, held_out = split(load_questions(config.questions, context), config.validation_share)
    if not trained or (config.validation_share > 0 and not held_out):
        raise InputError(
            f"stages.{context.name}.validation_share: {config.validation_share:g} parts the "
            f"questions into {len(trained)} for training and {len(held_out)} held out"
        )
    check_workers(config.training, context)


def run(config: FinetuneConfig, context: StageContext) -> StageResult:
    """Train and export ``adapter/``, a peft folder."""
    task = make_task(config, context)
    trained, held_out = split(task.questions, task.validation_share)
    history = fit(task, context)
    return StageResult(
        counts={
            "training_questions": len(trained),
            "validation_questions": len(held_out),
            "steps": config.training.steps,
        },
        results={
            "loss": history.loss,
            "validation_loss": history.validation_loss,
            "first_loss": history.loss[0][1],
            "last_loss": history.loss[-1][1],
            "method": str(config.method),
        },
    )


JOB = Job("finetune", 1, "adapter", FinetuneConfig, run, check)
