"""Measuring a served model on exam questions: both ways of answering, and the rationales."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from medray.evaluation import statistics
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.client import EndpointAddress, EndpointError
from medray.evaluation.extraction import extract
from medray.evaluation.prompts import mmedlm
from medray.evaluation.running.asking import send
from medray.evaluation.running.plan import Ask, ask_of, words_of
from medray.evaluation.running.settings import RunSettings
from medray.evaluation.scoring.measures import guess_chance
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
    of the questions that were left to ask. ``EndpointError`` where the endpoint gives no answer; a
    question that it refuses for what is in it is told when all others are answered.
    """
    kept = _read_answers(answers)
    asks = list(_asks(questions, config, address.model_name))
    pending = [ask for ask in asks if ask.key not in kept]
    settings = RunSettings(concurrency=config.concurrency, timeout_s=config.timeout_s)
    if pending:
        with _Batches(answers, kept) as batches:
            refused = send(pending, address, settings, batches.keep, len(pending), on_done)
        if refused:
            first = next(iter(refused.values()))
            raise EndpointError(f"{len(refused)} questions were refused, the first: {first}")
    return [_answer(question, kept[ask.key]) for question, ask in zip(questions, asks, strict=True)]


def _asks(questions: Sequence[Question], config: ExamConfig, model_name: str) -> Iterator[Ask]:
    """Yield what is asked: the likelihood of every letter, and of the first also an answer."""
    words = words_of(mmedlm.NAME)
    generated: dict[str, int] = {}
    for question in questions:
        number = generated[question.language] = generated.get(question.language, 0) + 1
        generate = config.generated_limit is None or number <= config.generated_limit
        settings = RunSettings(
            way="both" if generate else "likelihood",
            maximum_new_tokens=config.maximum_new_tokens,
        )
        yield ask_of(item_of(question), words, settings, model_name)


def item_of(question: Question) -> Item:
    """Return a question as an item of a benchmark."""
    return Item(
        item_id=question.question_id,
        language=question.language,
        question=question.question,
        answers=question.answers,
        form="choices",
        options=question.options,
        rationale=question.rationale,
    )


class _Batches:
    """Writes answers as they come, ``BATCH`` a file, the rest at the end; also of a broken run."""

    def __init__(self, answers: Location, kept: dict[str, Answer]) -> None:
        self._answers, self._kept = answers, kept
        self._number = len(_answer_files(answers))
        self._new: dict[str, Answer] = {}

    def __enter__(self) -> _Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def keep(self, key: str, answer: Answer) -> None:
        self._kept[key] = self._new[key] = answer
        if len(self._new) >= BATCH:
            self._write()

    def _write(self) -> None:
        if self._new:
            rows = [{"key": key} | answer for key, answer in self._new.items()]
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            data = "".join(lines).encode("utf-8", "backslashreplace")
            (self._answers / f"{self._number:05}.jsonl").write_bytes(data)
            self._number, self._new = self._number + 1, {}


def _answer_files(answers: Location) -> list[Location]:
    # A kill may leave a .partial beside them.
    return [file for file in answers.files() if file.name.endswith(".jsonl")]


def _read_answers(answers: Location) -> dict[str, Answer]:
    kept = {}
    for file in _answer_files(answers):
        # bytes.splitlines cuts at ASCII line ends alone; str's also at U+2028, which answers hold.
        for line in file.read_bytes().splitlines():
            answer = json.loads(line)
            kept[answer.pop("key")] = answer
    return kept


def _answer(question: Question, asked: Answer) -> Answer:
    """Return a question's answer, read both ways.

    By likelihood: the option whose letter the model finds likeliest after the answer's header.
    By generation: the letters that ``extract`` finds in the greedy answer.
    """
    likelihoods = asked["likelihoods"]
    answer: Answer = {
        "question_id": question.question_id,
        "language": question.language,
        "gold": list(question.answers),
        "likelihoods": likelihoods,
        "likeliest": max(likelihoods, key=likelihoods.__getitem__),
        "generated": asked.get("output"),
    }
    if answer["generated"] is not None:
        found = extract(answer["generated"], question.options)
        answer |= {
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
        name: [guess_chance(item_of(q)) for q, _ in asked]
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


def _right_letters(question: Question) -> int:
    # A file may name a letter twice: "A,A".
    return len(set(question.answers))
