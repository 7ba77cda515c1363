from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.instruct.dialogues import Dialogue, Format, Turn, read_dialogues
from medray.storage.location import Location

ROWS: dict[Format, dict[str, Any]] = {
    "alpaca": {"instruction": "What is fever?", "input": "a child", "output": "Heat."},
    "messages": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Cough?"},
            {"role": "assistant", "content": "Rest."},
            {"role": "user", "content": "How long?"},
            {"role": "assistant", "content": "A week."},
        ]
    },
    "sharegpt": {
        "conversations": [{"from": "human", "value": "咳嗽？"}, {"from": "gpt", "value": "休息。"}]
    },
    "context_target": {"context": "问题：发热\n回答: ", "target": "多喝水。"},
    "task": {
        "Definition": ["Name the organ."],
        "Positive Examples": [{"input": "hepatitis", "output": "liver"}] * 5,
        "Instances": [
            {"input": "nephritis", "output": ["kidney", "kidneys"]},
            {"input": "gastritis", "output": "stomach"},
        ],
    },
}


def read(tmp_path: Path, form: Format, text: str) -> list[Dialogue]:
    file = tmp_path / "rows.json"
    file.write_text(text, encoding="utf-8")
    return list(read_dialogues(Location.of(file), form, "en"))


def one(tmp_path: Path, form: Format) -> list[Dialogue]:
    return read(tmp_path, form, json.dumps(ROWS[form], ensure_ascii=False))


def test_alpaca(tmp_path: Path) -> None:
    (found,) = one(tmp_path, "alpaca")
    assert found.turns == (Turn(instruction="What is fever?", input="a child", output="Heat."),)
    assert (found.dialogue_id, found.language) == ("rows.json:1", "en")


def test_messages_of_several_turns(tmp_path: Path) -> None:
    (found,) = one(tmp_path, "messages")
    assert found.system == "Be brief."
    assert [turn.output for turn in found.turns] == ["Rest.", "A week."]


def test_sharegpt_and_context_target(tmp_path: Path) -> None:
    assert one(tmp_path, "sharegpt")[0].turns[0].output == "休息。"
    assert one(tmp_path, "context_target")[0].turns[0].instruction.endswith("回答: ")


def test_a_task_gives_a_dialogue_for_each_instance_with_three_shots(tmp_path: Path) -> None:
    found = one(tmp_path, "task")
    assert [d.dialogue_id for d in found] == ["rows.json:1.1", "rows.json:1.2"]
    assert [d.turns[0].output for d in found] == ["kidney", "stomach"]
    assert [len(d.shots) for d in found] == [3, 3]
    assert found[0].system == "Name the organ."


@given(st.lists(st.sampled_from(["a", "b\nc", "é"]), min_size=1, max_size=5), st.booleans())
def test_an_array_and_lines_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, answers: list[str], indent: bool
) -> None:
    rows = [{"instruction": "q", "output": answer} for answer in answers]
    folder = tmp_path_factory.mktemp("rows")
    array = read(folder, "alpaca", json.dumps(rows, indent=1 if indent else None))
    lines = read(folder, "alpaca", "\n".join(json.dumps(row) for row in rows))
    assert array == lines
    assert [d.turns[0].output for d in array] == answers


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        ("alpaca", "", "empty"),
        ("alpaca", "{'a': 1}", "neither a JSON array nor JSON lines"),
        ("alpaca", '{"instruction": "q"}', "row 1: no 'output' in it, which alpaca has"),
        ("alpaca", '{"instruction": "q", "output": " "}', "row 1: a turn has no answer"),
        ("alpaca", '[{"instruction": "q", "output": "a"}, 3]', "row 2: "),
        ("messages", '{"messages": [{"role": "user", "content": "q"}]}', "wanted are user and"),
        ("messages", '{"messages": []}', "wanted are user and assistant in turn"),
        ("sharegpt", '{"conversations": [{"from": "tool", "value": "q"}]}', "roles tool"),
    ],
)
def test_a_wrong_row_is_told_with_its_place(
    tmp_path: Path, form: Format, text: str, told: str
) -> None:
    with pytest.raises(InputError, match=r"rows\.json: ") as raised:
        read(tmp_path, form, text)
    assert told in str(raised.value)
