from __future__ import annotations

import pytest

from medray.evaluation.extraction import extract
from medray.instruct.prompts import (
    ANSWER_HEADER,
    RATIONALE_HEADER,
    answer_text,
    prompt_for,
    response_for,
)
from medray.instruct.questions import Question
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
