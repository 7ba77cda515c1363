"""Exam questions: one schema, and readers of the files that the exams come in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from medray.errors import InputError
from medray.storage.location import Location

Format = Literal[
    "mmedbench",
    "medqa_us",
    "medmcqa",
    "medqa_zh",
    "igakuqa",
    "frenchmedmcqa",
    "rumeddanet",
    "headqa",
]
LETTERS = "ABCDEFGHIJ"


class Question(BaseModel):
    """One multiple-choice question. ``options``: letter -> text; ``answers``: right letters."""

    model_config = ConfigDict(frozen=True)

    question_id: str
    language: str
    question: str
    options: dict[str, str]
    answers: tuple[str, ...]
    rationale: str = ""

    @model_validator(mode="after")
    def _answers_are_options(self) -> Question:
        if not self.question.strip():
            raise ValueError("the question is empty")
        if not self.answers:
            raise ValueError("no answer")
        if unknown := [a for a in self.answers if a not in self.options]:
            raise ValueError(f"answer {', '.join(unknown)} is none of {', '.join(self.options)}")
        return self


Row = dict[str, Any]


def _lettered(texts: list[str]) -> dict[str, str]:
    return dict(zip(LETTERS, texts, strict=False))


def _mmedbench(row: Row) -> Row:
    """MMedBench's JSONL; answer_idx is a comma-separated string or a list."""
    index = row.get("answer_idx") or ""
    letters = index if isinstance(index, list) else index.split(",")
    return {
        "question": row["question"],
        "options": row["options"],
        "answers": [letter.strip() for letter in letters if letter.strip()],
        "rationale": row.get("rationale") or "",
    }


def _medmcqa(row: Row) -> Row:
    """MedMCQA; ``cop`` counts from 1, ``exp`` explains and may be null."""
    return {
        "question": row["question"],
        "options": _lettered([row["opa"], row["opb"], row["opc"], row["opd"]]),
        "answers": [LETTERS[row["cop"] - 1]],
        "rationale": row.get("exp") or "",
    }


def _choices(row: Row) -> Row:
    """IgakuQA and the Chinese MedQA: lower-case letters into a list of choices."""
    return {
        "question": row["problem_text"],
        "options": _lettered(row["choices"]),
        "answers": [letter.upper() for letter in row["answer"]],
    }


def _frenchmedmcqa(row: Row) -> Row:
    return {
        "question": row["question"],
        "options": {key.upper(): text for key, text in row["answers"].items()},
        "answers": [letter.upper() for letter in row["correct_answers"]],
    }


def _rumeddanet(row: Row) -> Row:
    """A yes/no question about a text; MMedBench gives it as two options."""
    return {
        "question": f"{row['context']} {row['question']}",
        "options": {"A": "да", "B": "нет"},
        "answers": [{"да": "A", "нет": "B"}[row["answer"]]],
    }


def _headqa(row: Row) -> Row:
    """HEAD-QA; ``ra`` counts from 1."""
    return {
        "question": row["qtext"],
        "options": _lettered([answer["atext"] for answer in row["answers"]]),
        "answers": [LETTERS[int(row["ra"]) - 1]],
    }


_CONVERTERS: dict[str, Callable[[Row], Row]] = {
    "mmedbench": _mmedbench,
    "medqa_us": _mmedbench,
    "medmcqa": _medmcqa,
    "medqa_zh": _choices,
    "igakuqa": _choices,
    "frenchmedmcqa": _frenchmedmcqa,
    "rumeddanet": _rumeddanet,
    "headqa": _headqa,
}


def _rows(file: Location, form: Format) -> Iterator[tuple[str, Row]]:
    """Yield (place in the file, row). IgakuQA items without one set of right letters are left
    out: of 2,000, 12 want a number and one takes "a or d"."""
    place = "whole file"
    try:
        if form == "headqa":
            for exam, content in file.read_json()["exams"].items():
                place = f"exam {exam}"
                for row in content["data"]:
                    yield f"exam {exam} question {row['qid']}", row
        elif form == "frenchmedmcqa":
            for number, row in enumerate(file.read_json()):
                yield f"entry {number}", row
        else:
            for number, line in enumerate(file.read_bytes().splitlines(), start=1):
                if line.strip():
                    place = f"line {number}"
                    row = json.loads(line)
                    if form != "igakuqa" or _is_lettered(row):
                        yield place, row
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: {place}: not of format {form} ({_told(error)})") from error


def _is_lettered(row: Row) -> bool:
    return bool(row["choices"]) and all(len(letter) == 1 for letter in row["answer"])


def _told(error: Exception) -> str:
    # Not repr, which of a decoding error gives all the bytes.
    return f"{type(error).__name__}: {error}"


def read_questions(file: Location, form: Format, language: str) -> list[Question]:
    """Read all questions of a file; a row without question or answer is an InputError."""
    questions = []
    for place, row in _rows(file, form):
        try:
            fields = _CONVERTERS[form](row)
            name = f"{file.name}:{place}"
            questions.append(Question(question_id=name, language=language, **fields))
        except ValidationError as error:
            fault = error.errors()[0]
            keys = [str(key) for key in fault["loc"]] + [fault["msg"].removeprefix("Value error, ")]
            raise InputError(f"{file}: {place}: {': '.join(keys)}") from error
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(f"{file}: {place}: not a {form} row ({_told(error)})") from error
    if not questions:
        raise InputError(f"{file}: holds no question")
    return questions
