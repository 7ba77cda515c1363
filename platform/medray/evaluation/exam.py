"""Measuring a served model on exam questions: both ways of answering, and the rationales."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pydantic import Field

from medray.evaluation import statistics
from medray.evaluation.client import Client, EndpointAddress, gather_in_order
from medray.evaluation.extraction import extract
from medray.evaluation.similarity import NAMES
from medray.instruct.prompts import ANSWER_HEADER, prompt_for
from medray.instruct.questions import Question
from medray.languages import LANGUAGES
from medray.recipe import Config
from medray.storage.location import Location

Answer = dict[str, Any]
# Answers are written, and so safe from a kill, after each batch of this many questions.
BATCH = 64


class ExamConfig(Config):
    """How questions are asked."""

    maximum_new_tokens: int = Field(default=256, ge=8, description="longest generated answer")
    generated_limit: int | None = Field(
        default=None, ge=0, description="generate for only the first so many of each language"
    )
    concurrency: int = Field(default=16, ge=1, description="requests in flight")
    timeout_s: float = Field(default=600.0, gt=0, description="longest wait for one answer")


def ask_all(
    questions: Sequence[Question],
    address: EndpointAddress,
    config: ExamConfig,
    answers: Location,
    on_done: Callable[[int, int], None],
) -> list[Answer]:
    """Ask every question and return one answer each, in order.

    Answers are kept in ``answers`` (JSONL), keyed by question and prompt: a broken run asks only
    what is not there yet.
    """
    kept = _read_answers(answers)
    generated: dict[str, int] = {}
    plan: list[tuple[str, Question, bool]] = []
    for question in questions:
        number = generated[question.language] = generated.get(question.language, 0) + 1
        generate = config.generated_limit is None or number <= config.generated_limit
        plan.append((_key(question, generate, config.maximum_new_tokens), question, generate))
    pending = [entry for entry in plan if entry[0] not in kept]
    asyncio.run(_ask(pending, address, config, answers, kept, on_done))
    return [kept[key] for key, _, _ in plan]


async def _ask(
    pending: Sequence[tuple[str, Question, bool]],
    address: EndpointAddress,
    config: ExamConfig,
    answers: Location,
    kept: dict[str, Answer],
    on_done: Callable[[int, int], None],
) -> None:
    async with Client(address, config.concurrency, config.timeout_s) as client:
        for first in range(0, len(pending), BATCH):
            batch = pending[first : first + BATCH]
            calls = [
                partial(ask, client, question, generate, config.maximum_new_tokens)
                for _, question, generate in batch
            ]

            def report(done: int, _: int, first: int = first) -> None:
                on_done(first + done, len(pending))

            for (key, _, _), answer in zip(
                batch, await gather_in_order(calls, report), strict=True
            ):
                kept[key] = answer
            answers.write_json(kept)


def _read_answers(answers: Location) -> dict[str, Answer]:
    return dict(answers.read_json()) if answers.is_file() else {}


def _key(question: Question, generate: bool, maximum_new_tokens: int) -> str:
    prompts = [prompt_for(question, rationale=rationale) for rationale in (False, True)]
    text = json.dumps([question.question_id, prompts, generate, maximum_new_tokens])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


async def ask(client: Client, question: Question, generate: bool, max_tokens: int) -> Answer:
    """Ask one question both ways.

    By likelihood: the option whose letter the model finds likeliest after the answer's header.
    By generation: the letters that ``extract`` finds in the greedy answer.
    """
    # Without the header's last blank, which belongs to the letter's own token.
    prompt = prompt_for(question, rationale=False) + ANSWER_HEADER.rstrip()
    letters = list(question.options)
    likelihoods = await client.continuation_log_likelihoods(prompt, [f" {x}" for x in letters])
    best = max(range(len(letters)), key=lambda i: likelihoods[i])
    answer: Answer = {
        "question_id": question.question_id,
        "language": question.language,
        "gold": list(question.answers),
        "likelihoods": dict(zip(letters, likelihoods, strict=True)),
        "likeliest": letters[best],
        "generated": None,
    }
    if generate:
        text = await client.complete(prompt_for(question, rationale=True), max_tokens)
        found = extract(text, letters)
        answer |= {
            "generated": text,
            "letters": list(found.letters),
            "rule": found.rule,
            "rationale": found.rationale,
        }
    return answer


def measure(questions: Sequence[Question], answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the results by language, and their macro average over the languages present."""
    table: dict[str, Any] = {}
    for code in LANGUAGES:
        rows = [(q, a) for q, a in zip(questions, answers, strict=True) if q.language == code]
        if rows:
            table[code] = _measure_language(code, rows)
    names = ("likelihood_accuracy", "generated_accuracy", "chance", *NAMES)
    macro = {}
    for name in names:
        values = [_value(row[name]) for row in table.values()]
        present = [value for value in values if value is not None]
        macro[name] = sum(present) / len(present) if present else None
    return {"languages": table, "macro": macro}


def _value(cell: Any) -> float | None:
    number: float | None = cell["value"] if isinstance(cell, dict) else cell
    return number


def _measure_language(code: str, rows: Sequence[tuple[Question, Answer]]) -> dict[str, Any]:
    likely = sum(a["likeliest"] == "".join(q.answers) for q, a in rows)
    generated = [(q, a) for q, a in rows if a["generated"] is not None]
    right = sum(set(a["letters"]) == set(q.answers) for q, a in generated)
    explained = [(q, a) for q, a in generated if q.rationale]
    scores: dict[str, list[float]] = {name: [] for name in NAMES}
    if explained:
        # Imported here: `evaluate` takes seconds, and most commands need no metric.
        from medray.evaluation.metrics import RationaleSimilarity

        scores = RationaleSimilarity(keep_in_memory=True).compute(
            predictions=[a["rationale"] for _, a in explained],
            references=[q.rationale for q, _ in explained],
            languages=[code] * len(explained),
            per_item=True,
        )
    return {
        "questions": len(rows),
        "chance": sum(chance(q) for q, _ in rows) / len(rows),
        "likelihood_accuracy": statistics.proportion(likely, len(rows)),
        "generated_accuracy": statistics.proportion(right, len(generated)),
        "unparsed": sum(a["rule"] == "unparsed" for _, a in generated),
    } | {name: statistics.mean(scores[name]) for name in NAMES}


def chance(question: Question) -> float:
    """Return the accuracy of one letter drawn at random: 0 where several letters are right.

    Both ways are scored by the exact set, and likelihood names one letter.
    """
    return 1 / len(question.options) if len(question.answers) == 1 else 0.0
