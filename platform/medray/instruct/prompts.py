"""Exam questions as dialogues of one turn: what fine-tuning teaches and the benchmark asks.

The wording is a template's (``question`` in its file), MMedLM's where a template has none.
"""

from __future__ import annotations

from medray.instruct.dialogues import Dialogue, Turn
from medray.instruct.questions import Question
from medray.instruct.templates import CHAT, QuestionFrames, filled, load_template, places
from medray.languages import language

# The template that questions are written down by where a recipe names none.
QUESTION_TEMPLATE = "mmedlm"


def question_dialogue(
    question: Question, *, rationale: bool, template: str = QUESTION_TEMPLATE
) -> Dialogue:
    """Return a question with its answer; ``rationale``: the reason before the answer.

    A template without a place for an input is given all of the question as the instruction.
    """
    frames = question_frames(template)
    asked = frames.instruction_with_rationale if rationale else frames.instruction
    instruction = filled(asked, language=language(question.language).exam_name)
    options = frames.between_options.join(
        filled(frames.option, letter=letter, text=text) for letter, text in question.options.items()
    )
    given = filled(frames.input, question=question.question, options=options)
    if not _takes_input(template):
        instruction, given = f"{instruction}\n\n{given}", ""
    answer = _answer(frames, question.answers)
    if rationale:
        answer = filled(frames.answer_with_rationale, rationale=question.rationale, answer=answer)
    turn = Turn(instruction=instruction, input=given, output=answer)
    return Dialogue(dialogue_id=question.question_id, language=question.language, turns=(turn,))


def question_dialogues(question: Question, template: str) -> list[Dialogue]:
    """Return a question with rationale, where it has one, and without: MMedLM trains on both."""
    forms = (True, False) if question.rationale else (False,)
    return [question_dialogue(question, rationale=form, template=template) for form in forms]


def question_frames(template: str) -> QuestionFrames:
    """Return how a template puts questions: as MMedLM does, where it does not say."""
    own = None if template == CHAT else load_template(template).question
    frames = own or load_template(QUESTION_TEMPLATE).question
    assert frames is not None  # mmedlm.yaml has them
    return frames


def _takes_input(name: str) -> bool:
    if name == CHAT:
        return True
    template = load_template(name)
    return "input" in places(template.turn_with_input or template.turn)


def _answer(frames: QuestionFrames, letters: tuple[str, ...]) -> str:
    return filled(frames.answer, letters=frames.between_letters.join(letters))


_MMEDLM = question_frames(QUESTION_TEMPLATE)
ANSWER_HEADER = _MMEDLM.answer.partition("{letters}")[0]
RATIONALE_HEADER = _MMEDLM.answer_with_rationale.partition("{rationale}")[0]


def prompt_for(question: Question, *, rationale: bool) -> str:
    """Return the prompt of a question; ``rationale``: ask for the reason before the answer."""
    asked = question_dialogue(question, rationale=rationale)
    return next(load_template(QUESTION_TEMPLATE).segments(asked)).text


def answer_text(letters: tuple[str, ...]) -> str:
    """Return the answer in the form that training teaches: OPTION A,C IS CORRECT."""
    return _answer(_MMEDLM, letters)


def response_for(question: Question, *, rationale: bool) -> str:
    """Return the response that training teaches for ``prompt_for`` with the same argument."""
    return question_dialogue(question, rationale=rationale).turns[0].output
