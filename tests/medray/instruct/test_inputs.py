"""What a recipe names to be taught is read whole, or told with file and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from stage_context import stage_context

from medray.errors import InputError
from medray.instruct.inputs import DialogueInput, Entry, QuestionFiles, QuestionInput, load_entries

PLAIN_ROW = {"instruction": "Cough?", "output": "Rest."}
WITH_INPUT = {"instruction": "Name it.", "input": "a rash", "output": "Eczema."}
TASK = {
    "Definition": ["Name the organ."],
    "Positive Examples": [{"input": "hepatitis", "output": "liver"}] * 3,
    "Instances": [{"input": "nephritis", "output": "kidney"}] * 2,
}


def load(folder: Path, rows: list[dict[str, Any]], **keys: Any) -> Entry:
    file = folder / "rows.json"
    file.write_text(json.dumps(rows))
    given = DialogueInput.model_validate({"language": "en", "files": str(file), **keys})
    (entry,) = load_entries([], [given], stage_context("finetune", folder))
    return entry


def test_an_entry_holds_its_dialogues_and_their_template(tmp_path: Path) -> None:
    entry = load(tmp_path, [PLAIN_ROW, WITH_INPUT], template="plain")
    assert (entry.key, entry.template, len(entry.examples)) == ("dialogues.0", "plain", 2)


def test_a_row_that_a_template_would_lose_a_part_of_is_told(tmp_path: Path) -> None:
    rows = [PLAIN_ROW, WITH_INPUT]
    with pytest.raises(InputError) as raised:
        load(tmp_path, rows, template="chatglm")
    assert str(raised.value) == (
        f"{tmp_path}/rows.json: row 2: template chatglm has no place for input; "
        "chat, alpaca, meds_ins, mmedlm, plain have"
    )
    # Rows beyond the limit are not taught.
    assert len(load(tmp_path, rows, template="chatglm", limit=1).examples) == 1
    assert len(load(tmp_path, rows, template="bentsao").examples) == 2
    assert len(load(tmp_path, rows, template="chat").examples) == 2


def test_a_task_wants_a_template_with_shots_or_none_of_them(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        load(tmp_path, [TASK], format="task", template="alpaca")
    assert str(raised.value) == (
        f"{tmp_path}/rows.json: row 1.1: template alpaca has no place for shots; "
        "chat, meds_ins have; shots: 0 leaves them out"
    )
    for template, shots in (("alpaca", 0), ("meds_ins", 2), ("chat", 3)):
        entry = load(tmp_path, [TASK], format="task", template=template, shots=shots)
        assert [len(one.shots) for one in entry.examples] == [shots, shots]


def test_questions_are_written_down_by_a_template_too(tmp_path: Path, samples: Path) -> None:
    given = {"language": "en", "files": str(samples / "exams" / "Train" / "English.jsonl")}
    asked = [QuestionInput.model_validate(given | keys) for keys in ({}, {"template": "chat"})]
    entries = load_entries(asked, [], stage_context("finetune", tmp_path))
    assert [entry.template for entry in entries] == ["mmedlm", "chat"]
    with pytest.raises(ValidationError, match=r"unknown template chatt; there are .*mmedlm"):
        QuestionInput.model_validate(given | {"template": "chatt"})
    # A benchmark asks as training does by default; there the key would do nothing.
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        QuestionFiles.model_validate(given | {"template": "chat"})


def test_an_entry_may_have_a_name_that_is_no_language(tmp_path: Path) -> None:
    assert load(tmp_path, [PLAIN_ROW]).name == ""
    assert load(tmp_path, [PLAIN_ROW], name="general").name == "general"
    with pytest.raises(ValidationError, match="en is a language: a mixture could not tell"):
        load(tmp_path, [PLAIN_ROW], name="en")
