"""How a dialogue is written down for a model: templates are files, or the tokenizer's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from medray.errors import InputError
from medray.instruct.dialogues import Dialogue

# The name for the chat template that a tokenizer brings along.
CHAT = "chat"


class Segment(NamedTuple):
    """A stretch of text, and whether the model is taught to write it.

    ``ends``: an end token follows, taught as well.
    """

    text: str
    learned: bool
    ends: bool = False


class QuestionFrames(BaseModel):
    """Frames that put an exam question as a turn; a frame's places are named beside it.

    Of ``option`` and ``answer`` there may be several options and letters, with ``between_options``
    and ``between_letters`` between them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: str  # language
    instruction_with_rationale: str  # language
    input: str  # question, options
    option: str  # letter, text
    between_options: str
    answer: str  # letters
    between_letters: str
    answer_with_rationale: str  # rationale, answer

    @model_validator(mode="after")
    def _whole(self) -> QuestionFrames:
        wanted = {
            "input": {"question", "options"},
            "option": {"letter", "text"},
            "answer": {"letters"},
            "answer_with_rationale": {"rationale", "answer"},
        }
        for name, frame in self:
            found, needed = places(frame), wanted.get(name, set())
            allowed = {"language"} if name.startswith("instruction") else needed
            if unknown := found - allowed:
                raise ValueError(f"{name}: unknown places {', '.join(sorted(unknown))}")
            if missing := needed - found:
                raise ValueError(f"{name}: no place for {', '.join(sorted(missing))}")
        return self


class Template(BaseModel):
    """Frames with places in braces: instruction, input, output, system, shots, round.

    The frame of a turn is the most particular that is given: ``turn_with_input`` where a turn has
    an input, ``turn_after_shots`` for the first turn where shots stand before it. ``ignores``: what
    the published form leaves out; anything else that has no place is refused. ``question``:
    how exam questions are put.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    turn: str
    turn_with_input: str = ""
    turn_after_shots: str = ""
    next_turn: str
    next_turn_with_input: str = ""
    system: str = "{system}\n\n"
    system_with_shots: str = ""
    shot: str = ""
    between_shots: str = ""
    ignores: tuple[Literal["input", "shots", "system"], ...] = ()
    question: QuestionFrames | None = None

    @field_validator("*")
    @classmethod
    def _known_places(cls, frame: Any) -> Any:
        known = {"instruction", "input", "output", "system", "shots", "round"}
        if isinstance(frame, str) and (unknown := places(frame) - known):
            raise ValueError(f"unknown places {', '.join(sorted(unknown))}")
        return frame

    @field_validator("turn", "turn_with_input", "turn_after_shots", "next_turn", "shot")
    @classmethod
    def _asks(cls, frame: str) -> str:
        if frame and "instruction" not in places(frame):
            raise ValueError("no place for the instruction")
        return frame

    def segments(self, dialogue: Dialogue) -> Iterator[Segment]:
        """Yield the stretches of a dialogue, prompt and answer in turn.

        InputError where a part of the dialogue has no place and is not ignored by the template.
        """
        if told := refusal(self, dialogue):
            raise InputError(f"{dialogue.dialogue_id}: {told}")
        before = self._before(dialogue)
        for number, turn in enumerate(dialogue.turns):
            frame = self._frame(dialogue, number)
            asked = filled(
                frame, instruction=turn.instruction, input=turn.input, round=str(number + 1)
            )
            yield Segment(before + asked, learned=False)
            yield Segment(turn.output, learned=True, ends=True)
            before = ""

    def homeless(self, dialogue: Dialogue) -> list[str]:
        """Return which parts of a dialogue no frame has a place for: shots, system, input."""
        found = []
        shows = bool(dialogue.shots and self.shot)
        before = places(self.system_with_shots if shows else self.system)
        if dialogue.shots and "shots" not in before:
            found.append("shots")
        if dialogue.system and "system" not in before:
            found.append("system")
        asked = [(turn, self._frame(dialogue, n)) for n, turn in enumerate(dialogue.turns)]
        shown = [(shot, self.shot) for shot in dialogue.shots if self.shot]
        if any(turn.input and "input" not in places(frame) for turn, frame in asked + shown):
            found.append("input")
        return found

    def _frame(self, dialogue: Dialogue, number: int) -> str:
        given = bool(dialogue.turns[number].input)
        if number:
            return (given and self.next_turn_with_input) or self.next_turn
        if dialogue.shots and self.turn_after_shots:
            return self.turn_after_shots
        return (given and self.turn_with_input) or self.turn

    def _before(self, dialogue: Dialogue) -> str:
        if dialogue.shots and self.shot:
            shots = self.between_shots.join(
                filled(self.shot, **shot.model_dump()) for shot in dialogue.shots
            )
            return filled(self.system_with_shots, shots=shots, system=dialogue.system)
        return filled(self.system, system=dialogue.system) if dialogue.system else ""


def refusal(template: Template, dialogue: Dialogue) -> str:
    """Return why a template may not write a dialogue down; empty where it may."""
    # Where the input is all that a turn asks, to ignore it would teach answers to nothing.
    asks = all(turn.instruction for turn in dialogue.turns)
    ignored = template.ignores if asks else ()
    lost = [part for part in template.homeless(dialogue) if part not in ignored]
    if not lost:
        return ""
    written = (load_template(name) for name in template_names() if name != CHAT)
    others = [CHAT, *(other.name for other in written if not other.homeless(dialogue))]
    return f"template {template.name} has no place for {', '.join(lost)}; {', '.join(others)} have"


def places(frame: str) -> set[str]:
    """Return the names of a frame's places."""
    return set(re.findall(r"\{(\w+)\}", frame))


def filled(frame: str, **values: str) -> str:
    """Put values into a frame's places; braces in the values stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda place: values.get(place[1], ""), frame)


def template_names() -> list[str]:
    """Return the names that a recipe may give."""
    folder = files("medray.instruct") / "templates"
    return sorted([CHAT, *(f.name.removesuffix(".yaml") for f in folder.iterdir())])


@cache
def load_template(name: str) -> Template:
    """Return a template by its name; InputError where there is none."""
    file = files("medray.instruct") / "templates" / f"{name}.yaml"
    if not file.is_file():
        raise InputError(f"template {name}: unknown; there are {', '.join(template_names())}")
    return Template.model_validate({**_frames(name), "name": name})


def _frames(name: str) -> dict[str, Any]:
    """Return a template's keys; ``like`` names another, whose keys it has but for its own."""
    file = files("medray.instruct") / "templates" / f"{name}.yaml"
    frames: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return (_frames(frames.pop("like")) if "like" in frames else {}) | frames


def chat_segments(dialogue: Dialogue, tokenizer: Any) -> Iterator[Segment]:
    """Yield the stretches of a dialogue in the tokenizer's own chat template.

    An answer is what the template adds to the messages before it with the header of an answer.
    InputError where a tokenizer has no template, or one that writes earlier messages otherwise
    once others follow: what is taught must be what is asked later.
    """
    if not tokenizer.chat_template:
        raise InputError("template chat: this tokenizer has no chat template")
    messages = [{"role": "system", "content": dialogue.system}] if dialogue.system else []
    for shot in dialogue.shots:
        messages += _pair(shot.instruction, shot.input, shot.output)
    written = ""
    for turn in dialogue.turns:
        asked, answer = _pair(turn.instruction, turn.input, turn.output)
        prompt = tokenizer.apply_chat_template(
            [*messages, asked], tokenize=False, add_generation_prompt=True
        )
        messages += [asked, answer]
        whole = tokenizer.apply_chat_template(messages, tokenize=False)
        if not (prompt.startswith(written) and whole.startswith(prompt)):
            raise InputError(
                f"template chat: {dialogue.dialogue_id}: the tokenizer's template changes earlier "
                "messages as others follow"
            )
        yield Segment(prompt[len(written) :], learned=False)
        yield Segment(whole[len(prompt) :], learned=True)
        written = whole


def _pair(instruction: str, given: str, output: str) -> list[dict[str, str]]:
    asked = f"{instruction}\n\n{given}" if given else instruction
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": output}]
