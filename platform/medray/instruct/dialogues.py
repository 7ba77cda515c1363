"""Instructions and dialogues to fine-tune on: one schema, and readers of the files they come in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medray.errors import InputError
from medray.storage.location import Location

Format = Literal["alpaca", "messages", "sharegpt", "context_target", "task"]
Row = dict[str, Any]


class Turn(BaseModel):
    """What is asked, with what it is about where that stands apart, and the answer."""

    model_config = ConfigDict(frozen=True)

    instruction: str
    input: str = ""
    output: str

    @model_validator(mode="after")
    def _says_something(self) -> Turn:
        if not (self.instruction.strip() or self.input.strip()):
            raise ValueError("a turn asks nothing")
        if not self.output.strip():
            raise ValueError("a turn has no answer")
        return self


class Dialogue(BaseModel):
    """One or more turns. ``system``: what holds for all of them; ``shots``: turns shown before."""

    model_config = ConfigDict(frozen=True)

    dialogue_id: str
    language: str
    system: str = ""
    shots: tuple[Turn, ...] = ()
    turns: tuple[Turn, ...] = Field(min_length=1)


def read_dialogues(file: Location, form: Format, language: str) -> Iterator[Dialogue]:
    """Yield the dialogues of a file, in its order: a JSON array or one JSON object a line.

    InputError that names file and row for one that is not of the form.
    """
    for number, row in enumerate(_rows(file)):
        try:
            made = _READERS[form](row)
            for part, fields in enumerate(made):
                name = f"{file.name}:{number + 1}" + (f".{part + 1}" if len(made) > 1 else "")
                yield Dialogue(dialogue_id=name, language=language, **fields)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file}: row {number + 1}: {_told(error, form)}") from error


def _told(error: Exception, form: str) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return str(first["msg"]).removeprefix("Value error, ")
    if isinstance(error, KeyError):
        return f"no {error} in it, which {form} has"
    return str(error)


def _rows(file: Location) -> list[Row]:
    text = file.read_bytes().decode("utf-8-sig", errors="strict")
    try:
        if text.lstrip()[:1] == "[":
            rows = json.loads(text)
        elif text.lstrip()[:1] == "{" and not _is_lines(text):
            rows = [json.loads(text)]
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: neither a JSON array nor JSON lines ({error})") from error
    if not rows:
        raise InputError(f"{file}: empty")
    return list(rows)


def _is_lines(text: str) -> bool:
    """Tell lines from one object over many lines: the first line of lines is an object."""
    try:
        json.loads(text.lstrip().splitlines()[0])
    except json.JSONDecodeError:
        return False
    return True


def _alpaca(row: Row) -> list[Row]:
    """Alpaca's, AlpaCare's and BenTsao's rows."""
    fields = {name: row[name] for name in ("instruction", "output")}
    return [{"turns": [{**fields, "input": row.get("input") or ""}]}]


def _messages(row: Row) -> list[Row]:
    """OpenAI's: roles system, user and assistant."""
    return [_from_roles([(m["role"], m["content"]) for m in row["messages"]])]


def _sharegpt(row: Row) -> list[Row]:
    roles = {"human": "user", "gpt": "assistant", "system": "system"}
    told = [(m["from"], m["value"]) for m in row["conversations"]]
    return [_from_roles([(roles.get(role, role), text) for role, text in told])]


def _from_roles(messages: list[tuple[str, str]]) -> Row:
    system = ""
    if messages and messages[0][0] == "system":
        system, messages = messages[0][1], messages[1:]
    roles = [role for role, _ in messages]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        raise ValueError(f"roles {', '.join(roles)}; wanted are user and assistant in turn")
    texts = [text for _, text in messages]
    turns = [
        {"instruction": asked, "output": answer}
        for asked, answer in zip(texts[::2], texts[1::2], strict=True)
    ]
    return {"system": system, "turns": turns}


def _context_target(row: Row) -> list[Row]:
    """Med-ChatGLM's rows: the context ends with the header of the answer."""
    return [{"turns": [{"instruction": row["context"], "output": row["target"]}]}]


def _task(row: Row) -> list[Row]:
    """Super-NaturalInstructions' and MedS-Ins' tasks: a definition, examples, instances.

    An instance with several outputs is taught its first.
    """
    definition = row["Definition"]
    system = definition if isinstance(definition, str) else "\n".join(definition)
    shots = [
        {"instruction": shot["input"], "output": _first(shot["output"])}
        for shot in row.get("Positive Examples", [])[:3]
    ]
    return [
        {
            "system": system,
            "shots": shots,
            "turns": [{"instruction": one["input"], "output": _first(one["output"])}],
        }
        for one in row["Instances"]
    ]


def _first(output: Any) -> str:
    return str(output if isinstance(output, str) else output[0])


_READERS: dict[str, Callable[[Row], list[Row]]] = {
    "alpaca": _alpaca,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "context_target": _context_target,
    "task": _task,
}
