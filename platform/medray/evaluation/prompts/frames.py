"""Forms of prompts as data: frames with places in braces, one YAML a form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from medray.errors import InputError
from medray.evaluation.benchmarks.item import Item
from medray.instruct.templates import filled, places
from medray.languages import language
from medray.recipe import Config, check_config, nearest, read_yaml

FOLDER = Path(__file__).with_name("forms")
Scored = Literal["letters", "texts"]


@dataclass(frozen=True)
class Rendered:
    """A prompt. ``system`` stands before ``user``; an endpoint of chats gets them as messages."""

    system: str
    user: str

    @property
    def text(self) -> str:
        """The whole prompt of a completion."""
        return self.system + self.user

    def messages(self) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system.strip()}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.user}]


class Form(Config):
    """One form. Places: {question}, {options}, {instruction}, {header}, {subject}, {shots},
    {answer} in a shot; {letter} and {text} in an option; {letters}, {texts}, {lettered} ("B: a
    text") and {answers} in an answer; {labels} in an instruction.

    A frame that is named like its place (``options``, ``instruction``, ``shots``) is what goes
    there, and is left out with its blanks where there is nothing to put in.
    """

    name: str = ""
    source: str = Field(min_length=1, description="where the wording comes from")
    description: str = Field(default="", description="before all shots")
    system: str = ""
    system_with_shots: str = ""
    user: str = Field(min_length=1)
    user_with_shots: str = ""
    shot: str = ""
    between_shots: str = ""
    shots: str = "{shots}"
    option: str = "{letter}. {text}"
    between_options: str = "\n"
    options: str = "{options}"
    instruction: str = "{instruction}"
    answer: dict[str, str] = Field(default={}, description="form of an answer -> how it is written")
    between_letters: str = ","
    between_answers: str = ", "
    nothing: dict[str, str] = Field(default={}, description="by language: no entity, no label")
    continuation: str = Field(default=" {answer}", description="what likelihoods are taken of")
    headers: dict[str, str] = Field(default={}, description="by language")
    instructions: dict[str, dict[str, str]] = Field(
        default={}, description="form of an answer (or number), language -> how it is to look"
    )

    @property
    def scored(self) -> Scored:
        """What likelihoods are of: the options' letters (or labels), or their texts."""
        return "texts" if "text" in places(self.continuation) else "letters"

    def render(
        self, item: Item, shots: Sequence[Item] = (), context: str | None = None
    ) -> Rendered:
        """Return an item's prompt. ``context``: what is left of the item's, where it was cut."""
        values = self._values(item, context)
        shown = self.between_shots.join(
            filled(self.shot, **self._values(shot), answer=self.answer_of(shot)) for shot in shots
        )
        values["shots"] = filled(self.shots, shots=shown) if shots else ""
        system = (shots and self.system_with_shots) or self.system
        user = (shots and self.user_with_shots) or self.user
        placed = "shots" in places(system) | places(user)
        before = filled(self.description, **values) + ("" if placed else values["shots"])
        return Rendered(filled(system, **values), before + filled(user, **values))

    def answer_of(self, item: Item) -> str:
        """Return an item's right answer as a shot shows it; InputError where the form has none."""
        if item.form not in self.answer:
            raise InputError(
                f"prompt form {self.name}: it cannot show an answer of form {item.form}"
            )
        if not item.answers:
            return self.nothing.get(item.language) or self.nothing.get("en", "")
        # Of several references any would do; a shot shows one.
        answers = item.answers[:1] if item.form == "text" else item.answers
        texts = [item.options.get(letter, letter) for letter in answers]
        pairs = [f"{a}: {text.rstrip('.')}" for a, text in zip(answers, texts, strict=True)]
        return filled(
            self.answer[item.form],
            letters=self.between_letters.join(answers),
            texts=self.between_answers.join(texts),
            lettered=self.between_answers.join(pairs),
            answers=self.between_answers.join(answers),
        )

    def continuations(self, item: Item) -> dict[str, str]:
        """Return option -> what follows the prompt, for likelihoods; empty without options."""
        return {
            option: filled(self.continuation, answer=option, text=text or option)
            for option, text in item.options.items()
        }

    def _values(self, item: Item, context: str | None = None) -> dict[str, str]:
        question = item.question
        if context is not None:
            question = context + question[len(item.context) :]
        options = ""
        lettered = item.form in ("choice", "choices") and item.options
        if lettered and not item.options_in_question:
            listed = self.between_options.join(
                filled(self.option, letter=letter, text=text)
                for letter, text in item.options.items()
            )
            options = filled(self.options, options=listed)
        told = self._instruction(item)
        return {
            "question": question,
            "options": options,
            "instruction": filled(self.instruction, instruction=told) if told else "",
            "header": self.headers.get(item.language, ""),
            "subject": item.groups.get("subject", "").replace("_", " "),
            "language": language(item.language).exam_name,
        }

    def _instruction(self, item: Item) -> str:
        """The data's own instruction, then how the answer is to look, in the item's language."""
        kind = item.form
        if kind in ("choice", "choices") and not item.options:
            by_language: Mapping[str, str] = self.instructions.get("number", {})
        else:
            by_language = self.instructions.get(kind, {})
        how = filled(by_language.get(item.language, ""), labels=", ".join(item.options))
        return "\n".join(text for text in (item.instruction, how) if text)


def form_names() -> list[str]:
    """Return the names of the forms that come with medray."""
    return sorted(_declared())


def load_form(name: str) -> Form:
    """Return a form by its name, or that of a YAML file; InputError names file and key."""
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    declared = _declared()
    if name not in declared:
        raise InputError(f"no prompt form {name!r}{nearest(name, sorted(declared))}")
    return declared[name]


@cache
def _declared() -> dict[str, Form]:
    return {file.stem: _read(file) for file in sorted(FOLDER.glob("*.yaml"))}


def _read(file: Path) -> Form:
    form = check_config(Form, read_yaml(file), str(file), whole="prompt form")
    return form.model_copy(update={"name": file.stem})


_BLANKS = re.compile(r"\s+")


def same_question(item: Item) -> str:
    """Return what two items that ask the same share, blanks and case aside."""
    return _BLANKS.sub(" ", item.question).strip().casefold()
