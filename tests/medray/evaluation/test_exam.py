from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from medray.evaluation import exam
from medray.evaluation.client import EndpointError
from medray.evaluation.exam import ExamConfig, ask_all, item_of, measure
from medray.evaluation.scoring.measures import guess_chance
from medray.instruct.questions import LETTERS, Question
from medray.storage.location import Location

if TYPE_CHECKING:
    from conftest import ChosenEndpoint


def question(name: str, right: str = "B", options: int = 4, **fields: Any) -> Question:
    return Question(
        question_id=name,
        language=fields.pop("language", "en"),
        question=f"What is {name}?",
        options={letter: f"text {letter}" for letter in LETTERS[:options]},
        answers=tuple(right),
        **fields,
    )


def ask(
    endpoint: ChosenEndpoint,
    questions: Sequence[Question],
    folder: Path,
    told: list[tuple[int, int]] | None = None,
    **config: Any,
) -> list[dict[str, Any]]:
    """Return the answers, and leave in ``endpoint.bodies`` only what was asked for them."""
    endpoint.bodies.clear()
    endpoint.has_scores = True
    report = (told if told is not None else []).append
    return ask_all(
        questions,
        endpoint.address,
        ExamConfig(**config),
        Location.of(folder),
        lambda done, total: report((done, total)),
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_question_is_asked_both_ways(chosen_endpoint: ChosenEndpoint, tmp_path: Path) -> None:
    values = {" A": -3.0, " B": -2.5, " C": -0.5, " D": -4.0}
    chosen_endpoint.log_likelihood = lambda before, token: values.get(token, -100.0)
    chosen_endpoint.text = lambda _: (
        "###Rationale: Why.\u2028So.\n###Answer: OPTION A,D IS CORRECT."
    )
    (answer,) = ask(chosen_endpoint, [question("scurvy")], tmp_path / "answers")
    assert answer == {
        "question_id": "scurvy",
        "language": "en",
        "gold": ["B"],
        "likelihoods": {"A": -3.0, "B": -2.5, "C": -0.5, "D": -4.0},
        "likeliest": "C",
        "generated": "###Rationale: Why.\u2028So.\n###Answer: OPTION A,D IS CORRECT.",
        "letters": ["A", "D"],
        "rule": "option",
        "rationale": "Why.\u2028So.",
    }
    generated, scored = chosen_endpoint.bodies
    [asked] = scored["questions"]
    assert asked["prompt"].endswith("###Answer: OPTION")
    assert asked["options"] == [" A", " B", " C", " D"]
    assert "What is scurvy?" in generated["prompt"]
    assert generated["max_tokens"] == 256
    # What is kept is read back as it was.
    assert ask(chosen_endpoint, [question("scurvy")], tmp_path / "answers") == [answer]
    assert chosen_endpoint.bodies == []


def test_answers_come_in_the_questions_order_and_progress_counts_them(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "BATCH", 2)
    names = [f"q{number}" for number in (3, 1, 4, 0, 2)]
    told: list[tuple[int, int]] = []
    answers = ask(
        chosen_endpoint, [question(name) for name in names], tmp_path / "answers", told=told
    )
    assert [answer["question_id"] for answer in answers] == names
    assert told == [(done, 5) for done in (1, 2, 3, 4, 5)]


def test_answers_are_kept_as_json_lines_a_file_a_batch(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "BATCH", 2)
    folder = tmp_path / "answers"
    answers = ask(chosen_endpoint, [question(f"q{n}") for n in range(5)], folder)
    assert list(files(folder)) == ["00000.jsonl", "00001.jsonl", "00002.jsonl"]
    lines = [json.loads(line) for data in files(folder).values() for line in data.splitlines()]
    assert len({line.pop("key") for line in lines}) == 5
    assert sorted(line["id"] for line in lines) == [answer["question_id"] for answer in answers]
    assert all(line["likelihoods"] and line["output"] == "" for line in lines)


def test_a_broken_run_asks_only_what_is_missing(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "BATCH", 2)
    questions, folder = [question(f"q{n}") for n in range(7)], tmp_path / "answers"
    ask(chosen_endpoint, questions[1:3], folder)
    chosen_endpoint.refusals = [(400, "no")]
    with pytest.raises(EndpointError, match="400: no"):
        ask(chosen_endpoint, questions[3:4], folder)
    # A kill between writing and renaming leaves this.
    (folder / ".00001.jsonl.0123.partial").write_bytes(b'{"key": "')
    before = files(folder)
    told: list[tuple[int, int]] = []
    answers = ask(chosen_endpoint, questions, folder, told=told)
    assert [answer["question_id"] for answer in answers] == [q.question_id for q in questions]
    asked = {body["prompt"] for body in chosen_endpoint.bodies if "prompt" in body}
    assert len(chosen_endpoint.bodies) == 10
    for number in range(7):
        assert any(f"What is q{number}?" in prompt for prompt in asked) == (number not in (1, 2))
    assert told[-1] == (5, 5)
    # What was there is not written again: 10,000 questions cost 10,000 lines.
    after = files(folder)
    assert {name: after[name] for name in before} == before
    assert sorted(after.keys() - before.keys()) == ["00001.jsonl", "00002.jsonl", "00003.jsonl"]


def test_a_changed_question_or_length_is_asked_again(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    folder = tmp_path / "answers"
    ask(chosen_endpoint, [question("q")], folder)
    for changed, config in (
        (question("q", options=5), {}),
        (question("q"), {"maximum_new_tokens": 8}),
        (question("q"), {"generated_limit": 0}),
    ):
        ask(chosen_endpoint, [changed], folder, **config)
        assert chosen_endpoint.bodies
    ask(chosen_endpoint, [question("q")], folder)
    assert chosen_endpoint.bodies == []


def test_only_the_first_of_each_language_are_generated_for(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = lambda prompt: "B"
    questions = [
        question(f"{code}{number}", language=code) for number in range(3) for code in ("en", "fr")
    ]
    answers = ask(chosen_endpoint, questions, tmp_path / "answers", generated_limit=2)
    assert [answer["generated"] for answer in answers] == ["B"] * 4 + [None] * 2
    assert all(answer["likeliest"] for answer in answers)


@pytest.mark.parametrize(
    ("right", "options", "chance"),
    [("B", 4, 1 / 4), ("A", 2, 1 / 2), ("AC", 5, 1 / 10), ("ABC", 5, 1 / 10), ("ABCDE", 5, 1)],
)
def test_chance_is_a_guess_that_knows_how_many_letters_are_right(
    right: str, options: int, chance: float
) -> None:
    assert guess_chance(item_of(question("q", right, options))) == pytest.approx(chance)


def test_a_letter_named_twice_is_one_letter() -> None:
    twice = question("q", "BB")
    row = measure([twice], [answered(twice, "B", "B")])["languages"]["en"]
    assert row["several_answers"] == 0
    assert row["likelihood_accuracy"]["value"] == row["generated_accuracy"]["value"] == 1
    assert row["likelihood_accuracy"]["chance"] == 1 / 4


def answered(
    question: Question, likeliest: str, letters: str | None, rationale: str = ""
) -> dict[str, Any]:
    """Return an answer; letters None: not generated, "": generated and not to be parsed."""
    answer: dict[str, Any] = {"likeliest": likeliest, "generated": None}
    if letters is not None:
        rule = "option" if letters else "unparsed"
        answer |= {"generated": "…", "letters": list(letters), "rule": rule, "rationale": rationale}
    return answer


# (language, right letters, options, likeliest, letters generated or None)
ROWS = [
    ("en", "A", 4, "A", "A"),  # right both ways
    ("en", "B", 4, "B", "AB"),  # a letter too many is wrong
    ("en", "C", 3, "A", ""),  # unparsed is wrong
    ("en", "D", 5, "A", None),
    ("fr", "AC", 5, "A", "CA"),  # right in any order; likelihood cannot be
    ("fr", "AC", 5, "A", "A"),
    ("fr", "B", 5, "B", "B"),
]


def test_the_table_is_as_computed_by_hand() -> None:
    questions = [
        question(f"q{number}", right, options, language=code)
        for number, (code, right, options, _, _) in enumerate(ROWS)
    ]
    answers = [
        answered(q, likeliest, letters)
        for q, (_, _, _, likeliest, letters) in zip(questions, ROWS, strict=True)
    ]
    found = measure(questions, answers)
    assert list(found["languages"]) == ["en", "fr"]
    english, french = found["languages"].values()
    nothing = {"value": None, "n": 0, "low": None, "high": None}
    assert (english["questions"], english["several_answers"], english["unparsed"]) == (4, 0, 1)
    assert (french["questions"], french["several_answers"], french["unparsed"]) == (3, 2, 0)
    by_hand = (
        (english["likelihood_accuracy"], 2 / 4, 4, (1 / 4 + 1 / 4 + 1 / 3 + 1 / 5) / 4),
        (english["generated_accuracy"], 1 / 3, 3, (1 / 4 + 1 / 4 + 1 / 3) / 3),
        (french["likelihood_accuracy"], 1, 1, 1 / 5),
        (french["generated_accuracy"], 2 / 3, 3, (1 / 10 + 1 / 10 + 1 / 5) / 3),
    )
    for cell, value, n, chance in by_hand:
        assert (cell["value"], cell["chance"]) == (pytest.approx(value), pytest.approx(chance))
        assert cell["n"] == n
        assert 0 <= cell["low"] <= cell["value"] <= cell["high"] <= 1
    for name in ("bleu_1", "rouge_1", "rouge_l"):
        assert english[name] == french[name] == nothing
        assert found["macro"][name] == nothing | {"languages": 0}
    likely, generated = (found["macro"][f"{way}_accuracy"] for way in ("likelihood", "generated"))
    assert likely["value"] == pytest.approx((2 / 4 + 1) / 2)
    assert likely["chance"] == pytest.approx((by_hand[0][3] + 1 / 5) / 2)
    assert (likely["n"], likely["languages"]) == (5, 2)
    assert generated["value"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert generated["chance"] == pytest.approx((by_hand[1][3] + by_hand[3][3]) / 2)
    assert (generated["n"], generated["languages"]) == (6, 2)
    assert likely["low"] < likely["value"] < likely["high"]


def test_a_language_of_questions_with_several_right_letters_has_no_likelihood_accuracy() -> None:
    questions = [question("q", "AB", language="fr"), question("r", "A", language="en")]
    found = measure(questions, [answered(q, "A", "AB") for q in questions])
    nothing = {"value": None, "n": 0, "low": None, "high": None, "chance": None}
    assert found["languages"]["fr"]["likelihood_accuracy"] == nothing
    assert found["macro"]["likelihood_accuracy"]["languages"] == 1
    assert found["macro"]["likelihood_accuracy"]["value"] == 1
    assert found["macro"]["likelihood_accuracy"]["chance"] == 1 / 4
    assert found["macro"]["generated_accuracy"]["languages"] == 2


def test_nothing_generated_is_nothing_measured() -> None:
    asked = question("q", rationale="Because.")
    found = measure([asked], [answered(asked, "A", None)])
    assert found["languages"]["en"]["generated_accuracy"]["chance"] is None
    assert found["macro"]["generated_accuracy"] == {
        "value": None, "n": 0, "low": None, "high": None, "languages": 0, "chance": None,
    }  # fmt: skip
    assert found["languages"]["en"]["unparsed"] == 0


def test_rationales_are_compared_where_there_is_one() -> None:
    questions = [
        question("p", rationale="The heart beats"),
        question("q", rationale="It lacks iron"),
        question("r"),
    ]
    said = ["the heart beats.", "", "Whatever"]
    answers = [answered(q, "A", "B", text) for q, text in zip(questions, said, strict=True)]
    row = measure(questions, answers)["languages"]["en"]
    for name in ("bleu_1", "rouge_1", "rouge_l"):
        assert row[name] == {"value": 0.5, "n": 2, "low": 0, "high": 1}
