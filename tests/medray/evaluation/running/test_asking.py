from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from medray.evaluation.client import EndpointError
from medray.evaluation.limits import BudgetSpentError, Limits
from medray.evaluation.prompts.frames import Rendered
from medray.evaluation.running.answer_file import Answer, AnswerFile
from medray.evaluation.running.asking import ask_all
from medray.evaluation.running.asking import endpoint as ask_endpoint
from medray.evaluation.running.plan import Ask
from medray.evaluation.running.settings import RunSettings

if TYPE_CHECKING:
    from conftest import ChosenEndpoint


def asked(count: int, **fields: Any) -> list[Ask]:
    return [
        Ask(
            f"q{n}", f"key{n}", Rendered("", f"Question {n}?"), settings={"max_tokens": 4}, **fields
        )
        for n in range(count)
    ]


def ask(endpoint: ChosenEndpoint, file: Path, asks: list[Ask], **settings: Any) -> list[Answer]:
    with AnswerFile(file) as kept:
        return ask_all(asks, ask_endpoint(endpoint.address, RunSettings(**settings)), kept)


def test_answers_come_in_order_and_only_new_questions_are_asked(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = lambda prompt: f" answer to {prompt}"
    first = ask(chosen_endpoint, tmp_path / "a", asked(3))
    assert first[2] == {
        "id": "q2", "output": " answer to Question 2?", "finish_reason": "stop",
        "prompt_tokens": None, "completion_tokens": None,
    }  # fmt: skip
    assert ask(chosen_endpoint, tmp_path / "a", asked(5))[:3] == first
    assert len(chosen_endpoint.bodies) == 5


def test_chat_and_likelihoods(chosen_endpoint: ChosenEndpoint, tmp_path: Path) -> None:
    chosen_endpoint.has_scores = True
    chosen_endpoint.log_likelihood = lambda before, token: -float(len(token))
    prompt = Rendered("Be brief.", "Question?")
    one = Ask("q", "k", prompt, Rendered("", "Question? "), {"A": " A", "B": "two"})
    [answer] = ask(chosen_endpoint, tmp_path / "a", [one], chat=True)
    assert chosen_endpoint.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    # The prompt's last blank belongs to an option that has none.
    assert chosen_endpoint.bodies[1]["questions"] == [
        {"prompt": "Question?", "options": [" A", " two"]}
    ]
    assert answer["likelihoods"] == {"A": -2.0, "B": -4.0}


def test_a_refused_question_is_told_and_the_others_are_answered(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.refuses = lambda prompt: (400, "too long") if " 1?" in prompt else None
    answers = ask(chosen_endpoint, tmp_path / "a", asked(3), concurrency=1)
    assert "400: too long" in answers[1]["refused"] and answers[1]["output"] is None
    assert answers[2]["output"] == ""
    # It is asked again the next time, and alone it is no reason to give up.
    assert ask(chosen_endpoint, tmp_path / "a", asked(3))[1]["refused"]
    assert len(chosen_endpoint.bodies) == 4
    chosen_endpoint.refuses = lambda prompt: None
    assert "refused" not in ask(chosen_endpoint, tmp_path / "a", asked(3))[1]


def test_an_endpoint_that_refuses_the_first_twenty_is_asked_no_more(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.refuses = lambda prompt: (422, "unknown key")
    with pytest.raises(EndpointError, match="422: unknown key"):
        ask(chosen_endpoint, tmp_path / "a", asked(100), concurrency=1)
    assert len(chosen_endpoint.bodies) == 20


def test_an_endpoint_that_fails_leaves_what_was_answered(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.refuses = lambda prompt: (401, "no key") if " 7?" in prompt else None
    with pytest.raises(EndpointError, match="401: no key"):
        ask(chosen_endpoint, tmp_path / "a", asked(20), concurrency=1)
    chosen_endpoint.refuses = lambda prompt: None
    ask(chosen_endpoint, tmp_path / "a", asked(20))
    assert len(chosen_endpoint.bodies) == 8 + 13


def test_a_budget_ends_the_run_and_the_next_goes_on(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.usage = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}
    limits = Limits(maximum_tokens=30)
    with pytest.raises(BudgetSpentError, match="30 tokens are used, 30 are allowed"):
        ask(chosen_endpoint, tmp_path / "a", asked(5), concurrency=1, limits=limits)
    answers = ask(chosen_endpoint, tmp_path / "a", asked(5), limits=limits)
    assert len(chosen_endpoint.bodies) == 5
    assert [answer["completion_tokens"] for answer in answers] == [4] * 5


def test_as_many_are_in_flight_as_allowed_all_the_time(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    # The server answers only when four are there, so fewer at a time would never end.
    together = threading.Barrier(4, timeout=20)
    chosen_endpoint.before_answer = together.wait
    ask(chosen_endpoint, tmp_path / "a", asked(16), concurrency=4)
    assert chosen_endpoint.most_in_flight == 4


def test_equal_questions_are_asked_once(chosen_endpoint: ChosenEndpoint, tmp_path: Path) -> None:
    twins = [Ask(name, "key", Rendered("", "Question?")) for name in "ab"]
    answers = ask(chosen_endpoint, tmp_path / "a", twins)
    assert [answer["id"] for answer in answers] == ["a", "b"]
    assert len(chosen_endpoint.bodies) == 1


def test_what_cannot_be_asked_is_refused_without_asking(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    [answer] = ask(chosen_endpoint, tmp_path / "a", [Ask("q", "k", refused="too long")])
    assert answer == {"id": "q", "output": None, "refused": "too long"}
    assert chosen_endpoint.bodies == []
