from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from medray.errors import InputError
from medray.evaluation.client import Client, EndpointError
from medray.evaluation.judging.answer_log import AnswerLog
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.judge import Judgement, judge
from medray.evaluation.judging.prices import Price, PriceTable
from medray.evaluation.judging.protocol import load

if TYPE_CHECKING:
    from conftest import ChosenEndpoint

PRICES = PriceTable(
    currency="USD", models={"chosen": Price(prompt_per_million=1, completion_per_million=2)}
)


def run(
    endpoint: ChosenEndpoint,
    folder: Path,
    entries: list[Entry],
    protocol: str,
    **more: Any,
) -> Judgement:
    with AnswerLog(folder / "answers.jsonl") as log:
        opener = partial(Client, endpoint.address, 4, 20)
        return judge(entries, load(protocol), "chosen", opener, log, **more)


def pairs(*answers: tuple[str, str]) -> list[Entry]:
    """Items of two systems; the stub judges by the answers' words."""
    return [
        Entry(str(n), f"Question {n}?", "", {"ours": ours, "theirs": theirs})
        for n, (ours, theirs) in enumerate(answers)
    ]


def prefers(prompt: str) -> str:
    """Choose "good" over "bad", the first of two "good", tie of two "bad"; mumble of "odd"."""
    task = prompt.rsplit("# Task:", 1)[1]
    first, second = task.split("## Output (a):")[1].split("## Output (b):")
    if "odd" in task:
        return "Hard to say."
    if "good" in first:
        return "Output (a)"
    return "Output (b)" if "good" in second else "Tie"


MIXED = pairs(
    ("good", "bad"), ("good one", "good two"), ("bad one", "bad two"), ("bad", "good"),
    ("odd", "bad"),
)  # fmt: skip


def test_both_orders_are_asked_ties_are_half_and_unparsed_counted(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = prefers
    found = run(chosen_endpoint, tmp_path, MIXED, "alpacare")
    assert set(chosen_endpoint.paths) == {"/v1/chat/completions"}
    assert len(chosen_endpoint.bodies) == 10
    first = next(b for b in chosen_endpoint.bodies if "Question 0?" in b["messages"][1]["content"])
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("chosen", 0, 100)
    assert first["messages"][0]["role"] == "system"
    figures = found.results["pairwise"]
    # Item 1 is won in one order and lost in the other: a tie, as item 2's two.
    counts = [figures[key] for key in ("n", "win", "tie", "lose", "unparsed")]
    assert counts == [5, 1, 2, 1, 1]
    assert figures["win_rate_half_ties"]["value"] == 0.5
    assert figures["mean_of_two_orders"]["value"] == 0.5
    assert figures["orders"]["model_first"] == {"win": 2, "tie": 1, "lose": 1, "unparsed": 1}
    assert (found.results["model"], found.results["reference"]) == ("ours", "theirs")
    assert found.results["rules"] == {"whole": 8, "unparsed": 2}
    assert [(m.item_id, m.value) for m in found.marks] == [
        ("0", 1.0), ("1", 0.5), ("2", 0.5), ("3", 0.0),
    ]  # fmt: skip
    assert len(found.rows) == 10
    assert {row["order"] for row in found.rows} == {"model_first", "reference_first"}


def test_the_second_run_asks_nothing_and_a_new_item_only_itself(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = prefers
    chosen_endpoint.usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    first = run(chosen_endpoint, tmp_path, MIXED, "alpacare", prices=PRICES)
    usage = first.results["usage"]
    # 10 * (100 * 1 + 5 * 2) / 10**6
    assert usage["this_run"]["cost"] == {"value": pytest.approx(0.0011), "currency": "USD"}
    second = run(chosen_endpoint, tmp_path, MIXED, "alpacare", prices=PRICES)
    assert len(chosen_endpoint.bodies) == 10
    assert second.results["usage"]["this_run"]["answers"] == 0
    assert second.results["usage"]["this_run"]["cost"]["value"] == 0
    assert second.results["usage"]["all"] == usage["all"]
    assert second.results["pairwise"] == first.results["pairwise"]
    more = [*MIXED, Entry("9", "Question 9?", "", {"ours": "good", "theirs": "bad"})]
    assert run(chosen_endpoint, tmp_path, more, "alpacare").results["pairwise"]["win"] == 2
    assert len(chosen_endpoint.bodies) == 12


def test_the_same_words_are_asked_once(chosen_endpoint: ChosenEndpoint, tmp_path: Path) -> None:
    chosen_endpoint.text = prefers
    twice = [Entry(item, "Why?", "", {"ours": "good", "theirs": "bad"}) for item in "ab"]
    assert run(chosen_endpoint, tmp_path, twice, "alpacare").results["pairwise"]["win"] == 2
    assert len(chosen_endpoint.bodies) == 2


def test_a_refused_item_is_counted_and_asked_again_the_next_time(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = prefers
    chosen_endpoint.refuses = lambda prompt: (400, "filtered") if "Question 3?" in prompt else None
    found = run(chosen_endpoint, tmp_path, MIXED, "alpacare").results
    assert found["refused"] == 2
    assert found["pairwise"]["unparsed"] == 2
    # What is left was all refused before: no reason to give up.
    again = run(chosen_endpoint, tmp_path, MIXED, "alpacare")
    assert again.results["refused"] == 2
    assert [row["refused"] is not None for row in again.rows].count(True) == 2
    assert len(chosen_endpoint.bodies) == 12
    chosen_endpoint.refuses = lambda prompt: None
    found = run(chosen_endpoint, tmp_path, MIXED, "alpacare").results
    assert (found["refused"], found["pairwise"]["lose"]) == (0, 1)


def test_an_endpoint_that_refuses_all_is_not_asked_on(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.refuses = lambda prompt: (400, "max_tokens is not supported")
    many = pairs(*[("good", "bad")] * 50)
    with pytest.raises(EndpointError, match="max_tokens is not supported"):
        run(chosen_endpoint, tmp_path, many, "alpacare")
    assert len(chosen_endpoint.bodies) < 40


def test_what_was_answered_before_a_fault_is_kept(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = prefers
    chosen_endpoint.refuses = lambda prompt: (401, "no key") if "Question 3?" in prompt else None
    with pytest.raises(EndpointError, match="401: no key"):
        run(chosen_endpoint, tmp_path, MIXED, "alpacare")
    asked = len(chosen_endpoint.bodies)
    with AnswerLog(tmp_path / "answers.jsonl") as log:
        kept = len(log.replies)
    assert kept
    chosen_endpoint.refuses = lambda prompt: None
    run(chosen_endpoint, tmp_path, MIXED, "alpacare")
    assert len(chosen_endpoint.bodies) - asked == 10 - kept


def test_a_busy_endpoint_is_asked_again_after_what_it_says(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = prefers
    chosen_endpoint.refusals = [(429, "slow down")] * 3
    chosen_endpoint.refusal_headers = {"Retry-After": "0.3"}
    start = time.monotonic()
    found = run(chosen_endpoint, tmp_path, MIXED, "alpacare")
    assert time.monotonic() - start >= 0.3
    assert len(chosen_endpoint.bodies) == 13
    assert found.results["refused"] == 0


def test_the_requests_settings_may_be_changed_and_are_part_of_what_is_kept(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = prefers
    new = {"max_tokens": None, "temperature": None, "max_completion_tokens": 2000}
    run(chosen_endpoint, tmp_path, MIXED[:1], "alpacare", settings=new)
    body = chosen_endpoint.bodies[0]
    assert body.keys() == {"model", "messages", "max_completion_tokens"}
    run(chosen_endpoint, tmp_path, MIXED[:1], "alpacare")
    assert len(chosen_endpoint.bodies) == 4


def test_marks_are_read_of_every_system_and_what_is_none_is_counted(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    def marks(prompt: str) -> str:
        answer = prompt.rsplit("### 回答\n", 1)[1].strip()
        last = {"good": "3", "bad": "1", "odd": "7"}[answer]
        return f'理由。{{"completeness": 3, "depth": 2, "professionalism": {last}}}'

    chosen_endpoint.text = marks
    found = run(chosen_endpoint, tmp_path, pairs(("good", "bad"), ("bad", "odd")), "bentsao")
    assert len(chosen_endpoint.bodies) == 4
    systems = found.results["summary"]["systems"]
    assert systems["ours"]["professionalism"]["value"] == 2.0
    assert (systems["theirs"]["professionalism"]["value"], systems["ours"]["depth"]["value"]) == (
        1,
        2,
    )
    assert found.results["unparsed"] == {
        "ours": {"completeness": 0, "depth": 0, "professionalism": 0},
        "theirs": {"completeness": 0, "depth": 0, "professionalism": 1},
    }
    # ours: (8/3 + 6/3) / 2; theirs: item 0 alone, 6/3
    assert systems["ours"]["all"]["value"] == pytest.approx(7 / 3)
    assert (systems["theirs"]["all"]["value"], systems["theirs"]["all"]["n"]) == (2.0, 1)
    assert len(found.marks) == 11
    assert {(mark.rater, mark.kind) for mark in found.marks} == {("chosen", "model")}


def test_the_reference_stands_in_the_prompt(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    chosen_endpoint.text = lambda prompt: '{"rating": 6}'
    entry = Entry("1", "Which?", "It is the liver.", {"ours": "Liver."})
    found = run(chosen_endpoint, tmp_path, [entry], "mmedbench_rationale").results
    sent = chosen_endpoint.bodies[0]["messages"][-1]["content"]
    assert "### Reference rationale\nIt is the liver.\n\n### Rationale of the model\nLiver." in sent
    assert found["summary"]["systems"]["ours"]["rating"]["value"] == 6


def test_protocols_that_ask_no_model_or_other_than_two_systems(
    chosen_endpoint: ChosenEndpoint, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--protocol: medglm_ranking has no prompt"):
        run(chosen_endpoint, tmp_path, MIXED, "medglm_ranking")
    alone = [Entry("1", "Q", "", {"ours": "x"})]
    with pytest.raises(InputError, match="--protocol: alpacare compares two systems; given: ours"):
        run(chosen_endpoint, tmp_path, alone, "alpacare")
    assert chosen_endpoint.bodies == []
