from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.judging.entries import AnswerFile, read_entries, read_rows
from medray.storage.location import Location


def write(path: Path, rows: list[Any]) -> Location:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Location.of(path)


def answers(path: Path, rows: list[Any]) -> AnswerFile:
    return AnswerFile(path.stem, write(path, rows))


def test_answers_pair_by_id_in_the_order_of_the_first_file(tmp_path: Path) -> None:
    one = answers(
        tmp_path / "one.jsonl",
        [
            {"id": 2, "output": "a2", "question": "Why?", "rationale": "r"},
            {"id": 1, "output": "a1", "question": "How?"},
        ],
    )
    two = answers(
        tmp_path / "two.jsonl", [{"id": 1, "response": "b1"}, {"id": 2, "generated": "b2"}]
    )
    first, second = read_entries([one, two])
    assert (first.item_id, first.question, first.reference) == ("2", "Why?", "r")
    assert first.answers == {"one": "a2", "two": "b2"}
    assert second.answers == {"one": "a1", "two": "b1"}


def test_questions_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    one = answers(tmp_path / "one.jsonl", [{"id": "x", "output": "A"}])
    asked = [
        {"id": "y", "question": "Not asked"},
        {"id": "x", "question": "Which?", "options": {"A": "lung", "B": "liver"}, "rationale": "R"},
    ]
    (entry,) = read_entries([one], write(tmp_path / "asked.jsonl", asked), needs_reference=True)
    assert entry.question == "Which?\nA. lung\nB. liver"
    assert entry.reference == "R"


def test_rows_without_ids_pair_by_their_place(tmp_path: Path) -> None:
    one = answers(tmp_path / "one.jsonl", [{"instruction": "Say", "input": "a", "output": "1"}])
    two = answers(tmp_path / "two.jsonl", [{"instruction": "", "input": "Say\na", "output": "2"}])
    (entry,) = read_entries([one, two])
    assert (entry.item_id, entry.question) == ("1", "Say\n\na")
    with_ids = answers(tmp_path / "ids.jsonl", [{"id": 7, "instruction": "Say a", "response": "3"}])
    assert read_entries([with_ids, one])[0].item_id == "1"


def test_alpacares_reference_answers_pair_with_its_questions(real_data: Path) -> None:
    folder = real_data / "evaluation" / "raw" / "alpacare"
    names = ["gpt-4", "claude-2", "gpt-3.5-turbo", "text-davinci-003"]
    files = [
        AnswerFile(name, Location.of(folder / "reference_outputs" / name / "medsi_output.jsonl"))
        for name in names
    ]
    entries = read_entries(files, Location.of(folder / "MedInstruct-test.jsonl"))
    assert len(entries) == 216
    assert all(list(entry.answers) == names for entry in entries)


@pytest.mark.parametrize(
    ("text", "system", "name"),
    [
        ("ours=runs/x.jsonl", "ours", "x.jsonl"),
        ("runs/x.jsonl", "x", "x.jsonl"),
        ("runs/gpt-3.5.json", "gpt-3.5", "gpt-3.5.json"),
        ("runs/a=b.jsonl", "a=b", "a=b.jsonl"),
    ],
)
def test_a_file_names_its_system(text: str, system: str, name: str) -> None:
    found = AnswerFile.of(text)
    assert (found.system, found.place.name) == (system, name)


GOOD = [{"id": 1, "question": "Why?", "output": "x"}, {"id": 2, "question": "How?", "output": "y"}]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (GOOD[:1], r"two\.jsonl: no answer to item 2, which another system answers \(1 such\)"),
        ([*GOOD, {"id": 3, "output": "z"}], r"one\.jsonl: no answer to item 3"),
        ([GOOD[0], GOOD[0]], r"two\.jsonl: row 2: item 1 stands twice; keep one"),
        ([GOOD[0] | {"question": "Who?"}, GOOD[1]], r"two\.jsonl: item 1 asks something else than"),
        ([{"id": 1}, GOOD[1]], r"two\.jsonl: item 1 has no answer; add output or response or gen"),
        ([{"output": "x"}], r"two\.jsonl: 1 rows, and .*one\.jsonl has 2"),
        ([{"output": "x"}, GOOD[1]], r"two\.jsonl: row 1: no question, and not every file's rows"),
    ],
)
def test_files_that_do_not_pair_are_told(tmp_path: Path, rows: list[Any], told: str) -> None:
    files = [answers(tmp_path / "one.jsonl", GOOD), answers(tmp_path / "two.jsonl", rows)]
    with pytest.raises(InputError, match=told):
        read_entries(files)


def test_what_a_protocol_needs_is_told(tmp_path: Path) -> None:
    one = answers(tmp_path / "one.jsonl", GOOD)
    with pytest.raises(InputError, match=r"item 1 has no reference, which this protocol needs"):
        read_entries([one], needs_reference=True)
    with pytest.raises(InputError, match=r"item 1 has no question; add question or instruction"):
        read_entries([answers(tmp_path / "two.jsonl", [{"id": 1, "output": "x"}])])
    with pytest.raises(InputError, match=r"two answer files are of the system one; write NAME="):
        read_entries([one, one])


def test_a_file_may_be_a_list_and_have_a_mark_of_byte_order(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_bytes("\ufeff".encode() + json.dumps(GOOD).encode())
    assert read_rows(Location.of(file)) == GOOD


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_comes_through(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """U+2028 among them, at which str.splitlines cuts."""
    rows = [{"id": n, "question": "Q", "output": text} for n, text in enumerate(texts)]
    file = tmp_path_factory.mktemp("texts") / "one.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    entries = read_entries([AnswerFile("one", Location.of(file))])
    assert [entry.answers["one"] for entry in entries] == texts
