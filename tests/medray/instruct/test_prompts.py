from __future__ import annotations

import pytest
from pydantic import ValidationError

from medray.evaluation.extraction import extract
from medray.instruct.prompts import (
    ANSWER_HEADER,
    RATIONALE_HEADER,
    answer_text,
    prompt_for,
    question_dialogue,
    question_dialogues,
    response_for,
)
from medray.instruct.questions import Question
from medray.instruct.templates import QuestionFrames, load_template, template_names
from medray.languages import LANGUAGES


def question(code: str = "en", answers: tuple[str, ...] = ("B",)) -> Question:
    return Question(
        question_id="x",
        language=code,
        question="Which vitamin?",
        options={"A": "Vitamin A", "B": "Vitamin {C}", "C": "none"},
        answers=answers,
        rationale="Scurvy is its lack.",
    )


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("rationale", [False, True])
def test_a_prompt_holds_the_question_its_options_and_the_language(
    code: str, rationale: bool
) -> None:
    prompt = prompt_for(question(code), rationale=rationale)
    assert "###Question: Which vitamin?" in prompt
    assert "###Options: A. Vitamin A B. Vitamin {C} C. none" in prompt
    assert LANGUAGES[code].exam_name in prompt
    assert prompt.endswith("### Response:")
    assert not any(part.isspace() for part in prompt[-1])


FRAME = (
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request.\n\n### Instruction:\n{}"
    "\n\n### Input:\n###Question: Which vitamin? ###Options: A. Vitamin A B. Vitamin {{C}} C. none"
    "\n\n### Response:"
)


def test_the_prompts_are_the_published_text() -> None:
    """But for the sentence on the best treatment and the blank after the last option."""
    assert prompt_for(question(), rationale=True) == FRAME.format(
        "You're a English doctor, kindly address the medical queries according to the patient's "
        "account in English. Let\u2019s solve this step-by-step. You should first give the reason "
        "in English for your choice. Then you should give the right answer index of the question."
    )
    assert prompt_for(question("ja"), rationale=False) == FRAME.format(
        "You're a Japanese doctor, kindly address the medical queries according to the patient's "
        "account. Answer with the best option directly."
    )


@pytest.mark.parametrize("name", template_names())
@pytest.mark.parametrize("rationale", [False, True])
def test_every_template_asks_the_whole_question(name: str, rationale: bool) -> None:
    asked = question_dialogue(question(), rationale=rationale, template=name)
    (turn,) = asked.turns
    assert turn.output == response_for(question(), rationale=rationale)
    if name == "chat":
        assert turn.instruction and turn.input
        return
    prompt, answer = load_template(name).segments(asked)
    assert "###Question: Which vitamin? ###Options: A. Vitamin A B. Vitamin {C}" in prompt.text
    assert "You're a English doctor" in prompt.text
    assert answer.text == turn.output


def test_a_templates_own_wording_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = QuestionFrames(
        instruction="Answer in {language}.",
        instruction_with_rationale="Think in {language}.",
        input="{question}\n{options}",
        option="({letter}) {text}",
        between_options="\n",
        answer="({letters})",
        between_letters=")(",
        answer_with_rationale="{rationale} So: {answer}",
    )
    own = load_template("plain").model_copy(update={"question": frames})
    monkeypatch.setattr("medray.instruct.prompts.load_template", lambda name: own)
    asked = question_dialogue(question(answers=("A", "C")), rationale=True, template="plain")
    assert "".join(segment.text for segment in own.segments(asked)) == (
        "Think in English.\nWhich vitamin?\n(A) Vitamin A\n(B) Vitamin {C}\n(C) none"
        "Scurvy is its lack. So: (A)(C)"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": "{question}"}, "input: no place for options"),
        ({"answer": "yes"}, "answer: no place for letters"),
        ({"instruction": "{lang}"}, "instruction: unknown places lang"),
        ({"between_options": "{text}"}, "between_options: unknown places text"),
    ],
)
def test_a_wording_that_would_lose_a_part_is_refused(change: dict[str, str], told: str) -> None:
    good = load_template("mmedlm").question
    assert good is not None
    with pytest.raises(ValidationError, match=told):
        QuestionFrames.model_validate(good.model_dump() | change)


def test_a_question_is_taught_with_its_rationale_where_it_has_one() -> None:
    bare = question().model_copy(update={"rationale": ""})
    assert len(question_dialogues(question(), "mmedlm")) == 2
    assert [d.turns[0].output for d in question_dialogues(bare, "mmedlm")] == [answer_text(("B",))]


def test_only_the_prompt_for_a_rationale_asks_for_one() -> None:
    with_rationale, without = (prompt_for(question(), rationale=r) for r in (True, False))
    assert "reason" in with_rationale
    assert "reason" not in without


@pytest.mark.parametrize("rationale", [False, True])
def test_a_prompt_does_not_tell_the_answer(rationale: bool) -> None:
    prompts = {prompt_for(question(answers=(a,)), rationale=rationale) for a in "ABC"}
    assert len(prompts) == 1
    assert "Scurvy" not in prompts.pop()


def test_the_answer_is_in_mmedlms_form() -> None:
    assert answer_text(("B",)) == "###Answer: OPTION B IS CORRECT."
    assert answer_text(("A", "C")) == "###Answer: OPTION A,C IS CORRECT."


def test_a_response_has_the_rationale_where_it_is_asked_for() -> None:
    assert response_for(question(), rationale=False) == f"{ANSWER_HEADER}B IS CORRECT."
    response = response_for(question(), rationale=True)
    assert response.startswith(f"{RATIONALE_HEADER}Scurvy is its lack.")
    assert response.endswith(response_for(question(), rationale=False))


@pytest.mark.parametrize("answers", [("B",), ("A", "C")])
def test_what_training_teaches_is_what_the_benchmark_reads(answers: tuple[str, ...]) -> None:
    asked = question(answers=answers)
    found = extract(response_for(asked, rationale=True), asked.options)
    assert (found.letters, found.rule) == (answers, "option")
    assert found.rationale == asked.rationale
