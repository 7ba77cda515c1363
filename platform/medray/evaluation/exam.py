"""Measuring a served model on exam questions: both ways of answering, and the rationales."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field

from medray.evaluation import statistics
from medray.evaluation.client import Client, EndpointAddress, gather_in_order
from medray.evaluation.extraction import extract
from medray.instruct.prompts import ANSWER_HEADER, prompt_for
from medray.instruct.questions import Question
from medray.intervals import proportion
from medray.languages import LANGUAGES
from medray.recipe import Config
from medray.storage.location import Location

Answer = dict[str, Any]
Row = tuple[Question, Answer]
# Answers are written, and so safe from a kill, after each batch of this many questions.
BATCH = 64
ACCURACIES = ("likelihood_accuracy", "generated_accuracy")
SIMILARITIES = ("bleu_1", "rouge_1", "rouge_l")


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

    Answers are kept in the folder ``answers``, one JSONL file a batch (00000.jsonl, ...), keyed by
    question and prompt: a broken run asks only what is not there yet. ``on_done`` gets (done, all)
    of the questions that were left to ask. ``EndpointError`` where the endpoint gives no answer.
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
    written = len(_answer_files(answers))
    async with Client(address, config.concurrency, config.timeout_s) as client:
        for number, first in enumerate(range(0, len(pending), BATCH), start=written):
            batch = pending[first : first + BATCH]
            calls = [
                partial(ask, client, question, generate, config.maximum_new_tokens)
                for _, question, generate in batch
            ]

            def report(done: int, _: int, first: int = first) -> None:
                on_done(first + done, len(pending))

            found = await gather_in_order(calls, report)
            new = {key: answer for (key, _, _), answer in zip(batch, found, strict=True)}
            _write_answers(answers / f"{number:05}.jsonl", new)
            kept |= new


def _answer_files(answers: Location) -> list[Location]:
    # A kill may leave a .partial beside them.
    return [file for file in answers.files() if file.name.endswith(".jsonl")]


def _write_answers(file: Location, new: dict[str, Answer]) -> None:
    lines = [
        json.dumps({"key": key} | answer, ensure_ascii=False) + "\n" for key, answer in new.items()
    ]
    file.write_bytes("".join(lines).encode())


def _read_answers(answers: Location) -> dict[str, Answer]:
    kept = {}
    for file in _answer_files(answers):
        # bytes.splitlines cuts at ASCII line ends alone; str's also at U+2028, which answers hold.
        for line in file.read_bytes().splitlines():
            answer = json.loads(line)
            kept[answer.pop("key")] = answer
    return kept


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


@dataclass(frozen=True)
class _Items:
    """One language's values, an item each, by the name of what they measure.

    ``scores``: right or wrong (1 or 0) of each accuracy, similarity of each rationale (0..1).
    ``chances``: the accuracy that a guess has of each item, for each accuracy.
    """

    scores: dict[str, list[float]]
    chances: dict[str, list[float]]

    def chance(self, name: str) -> float | None:
        values = self.chances[name]
        return sum(values) / len(values) if values else None


def measure(questions: Sequence[Question], answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the results by language, and their macro average.

    A language has questions, several_answers, unparsed, and {value, n, low, high} of each
    accuracy and similarity. Likelihood names one letter, so its accuracy is over the questions
    with one right letter; ``several_answers`` counts the others. Generation is right where it
    gives the exact set of letters. ``chance`` stands with each accuracy: see ``guess_chance``.

    The macro average is unweighted over the languages that have values of that name; n counts
    their items and ``languages`` them.
    """
    by_language = {}
    for code in LANGUAGES:
        rows = [(q, a) for q, a in zip(questions, answers, strict=True) if q.language == code]
        if rows:
            by_language[code] = (rows, _items(code, rows))
    return {
        "languages": {code: _table_row(rows, items) for code, (rows, items) in by_language.items()},
        "macro": _macro([items for _, items in by_language.values()]),
    }


def _items(code: str, rows: Sequence[Row]) -> _Items:
    single = [(q, a) for q, a in rows if _right_letters(q) == 1]
    generated = [(q, a) for q, a in rows if a["generated"] is not None]
    scores = {
        "likelihood_accuracy": [float(a["likeliest"] == q.answers[0]) for q, a in single],
        "generated_accuracy": [float(set(a["letters"]) == set(q.answers)) for q, a in generated],
    }
    chances = {
        name: [guess_chance(q) for q, _ in asked]
        for name, asked in zip(ACCURACIES, (single, generated), strict=True)
    }
    return _Items(scores | _similarities(code, generated), chances)


def _similarities(code: str, generated: Sequence[Row]) -> dict[str, list[float]]:
    explained = [(q, a) for q, a in generated if q.rationale]
    if not explained:
        return {name: [] for name in SIMILARITIES}
    # Imported here: `evaluate` takes seconds, and most commands need no metric.
    from medray.evaluation.metrics.modules import TextScores

    found: dict[str, list[float]] = TextScores(keep_in_memory=True).compute(
        predictions=[a["rationale"] for _, a in explained],
        references=[q.rationale for q, _ in explained],
        languages=[code] * len(explained),
        names=SIMILARITIES,
        per_item=True,
    )
    return found


def _table_row(rows: Sequence[Row], items: _Items) -> dict[str, Any]:
    row: dict[str, Any] = {
        "questions": len(rows),
        "several_answers": sum(_right_letters(q) > 1 for q, _ in rows),
        "unparsed": sum(a["generated"] is not None and a["rule"] == "unparsed" for _, a in rows),
    }
    for name in ACCURACIES:
        right = items.scores[name]
        row[name] = proportion(int(sum(right)), len(right))
        row[name]["chance"] = items.chance(name)
    return row | {name: statistics.mean(items.scores[name]) for name in SIMILARITIES}


def _macro(languages: Sequence[_Items]) -> dict[str, Any]:
    macro = {
        name: statistics.macro_mean([items.scores[name] for items in languages])
        for name in (*ACCURACIES, *SIMILARITIES)
    }
    for name in ACCURACIES:
        chances = [items.chance(name) for items in languages]
        present = [chance for chance in chances if chance is not None]
        macro[name]["chance"] = sum(present) / len(present) if present else None
    return macro


def guess_chance(question: Question) -> float:
    """Return how often a guess that knows only how many letters are right finds all of them.

    One of the C(options, right letters) sets, drawn at random: of 5 options, 1/5 where one letter
    is right and 1/10 where two are. A guess that does not know their number does worse.
    """
    return 1 / math.comb(len(question.options), _right_letters(question))


def _right_letters(question: Question) -> int:
    # A file may name a letter twice: "A,A".
    return len(set(question.answers))
