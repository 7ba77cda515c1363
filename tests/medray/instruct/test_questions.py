from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.errors import InputError
from medray.instruct.questions import Format, Question, read_questions
from medray.storage.location import Location

FORMATS: tuple[Format, ...] = get_args(Format)
JSON_FILES = ("frenchmedmcqa", "headqa")

# One row of each format as its publisher documents it, and what it must become.
ROWS: dict[Format, Any] = {
    "mmedbench": {
        "question": "Which?",
        "options": {"A": "one", "B": "two", "C": "three"},
        "answer": "two",
        "answer_idx": "B",
        "rationale": "Because.",
        "human_checked": "yes",
    },
    "medqa_us": {
        "question": "Which?",
        "answer": "two",
        "options": {"A": "one", "B": "two", "C": "three"},
        "meta_info": "step1",
        "answer_idx": "B",
    },
    "medmcqa": {
        "question": "Which?",
        "exp": None,
        "cop": 2,
        "opa": "one",
        "opb": "two",
        "opc": "three",
        "opd": "four",
        "choice_type": "single",
    },
    "medqa_zh": {
        "problem_id": 0,
        "problem_text": "Which?",
        "choices": ["one", "two", "three"],
        "answer": ["b"],
        "points": 1,
        "text_only": True,
    },
    "igakuqa": {
        "problem_id": "112A1",
        "problem_text": "Which?",
        "choices": ["one", "two", "three"],
        "text_only": True,
        "answer": ["b"],
        "points": "1",
    },
    "frenchmedmcqa": {
        "id": "5987",
        "question": "Which?",
        "answers": {"a": "one", "b": "two", "c": "three"},
        "correct_answers": ["b"],
        "nbr_correct_answers": 1,
    },
    "rumeddanet": {
        "context": "A text.",
        "question": "Is it?",
        "answer": "нет",
        "pairID": "53f9",
    },
    "headqa": {
        "qid": "7",
        "qtext": "Which?",
        "ra": "2",
        "answers": [
            {"aid": 1, "atext": "one"},
            {"aid": 2, "atext": "two"},
            {"aid": 3, "atext": "three"},
        ],
        "image": "",
    },
}


def written(folder: Path, form: Format, *rows: Any) -> Location:
    """Write rows in the file form of a format."""
    if form == "frenchmedmcqa":
        text = json.dumps(rows)
    elif form == "headqa":
        text = json.dumps({"exams": {"Cuaderno_1": {"name": "x", "data": rows}}})
    else:
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = folder / f"{form}.json"
    path.write_text(text, encoding="utf-8")
    return Location.of(path)


def told(file: Location, form: Format) -> str:
    with pytest.raises(InputError) as raised:
        read_questions(file, form, "en")
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{file}: ")
    return str(raised.value)


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_of_each_format_becomes_a_question(tmp_path: Path, form: Format) -> None:
    question = read_questions(written(tmp_path, form, ROWS[form]), form, "fr")[0]
    assert question.language == "fr"
    assert question.answers == ("B",)
    if form == "rumeddanet":
        assert question.question == "A text. Is it?"
        assert question.options == {"A": "да", "B": "нет"}
    else:
        assert question.question == "Which?"
        assert list(question.options.values())[:3] == ["one", "two", "three"]
        assert list(question.options)[:3] == ["A", "B", "C"]
    assert question.rationale == ("Because." if form == "mmedbench" else "")


@pytest.mark.parametrize("form", FORMATS)
def test_the_ids_of_a_files_questions_differ(tmp_path: Path, form: Format) -> None:
    rows = [ROWS[form], ROWS[form] | {"qid": "8"}]
    questions = read_questions(written(tmp_path, form, *rows), form, "en")
    assert len({question.question_id for question in questions}) == 2


def changed(form: Format, **fields: Any) -> Any:
    return ROWS[form] | fields


@pytest.mark.parametrize(
    ("form", "row", "answers"),
    [
        ("mmedbench", changed("mmedbench", answer_idx="A,C"), ("A", "C")),
        ("mmedbench", changed("mmedbench", answer_idx="A, C"), ("A", "C")),
        ("mmedbench", changed("mmedbench", answer_idx=["A", "C"]), ("A", "C")),
        ("igakuqa", changed("igakuqa", answer=["a", "c"]), ("A", "C")),
        ("frenchmedmcqa", changed("frenchmedmcqa", correct_answers=["a", "c"]), ("A", "C")),
        ("rumeddanet", changed("rumeddanet", answer="да"), ("A",)),
        ("headqa", changed("headqa", ra=3), ("C",)),
        ("medmcqa", changed("medmcqa", cop=4, exp="Why."), ("D",)),
    ],
)
def test_the_right_letters(
    tmp_path: Path, form: Format, row: Any, answers: tuple[str, ...]
) -> None:
    assert read_questions(written(tmp_path, form, row), form, "en")[0].answers == answers


@pytest.mark.parametrize(
    ("form", "row", "message"),
    [
        ("mmedbench", changed("mmedbench", answer_idx=""), "line 2: no answer"),
        ("mmedbench", changed("mmedbench", answer_idx=None), "line 2: no answer"),
        ("mmedbench", changed("mmedbench", answer_idx="D"), "line 2: answer D is none of A, B, C"),
        ("mmedbench", changed("mmedbench", question=" "), "line 2: the question is empty"),
        ("mmedbench", changed("mmedbench", options=["one"]), "line 2: options: Input should be"),
        ("mmedbench", changed("mmedbench", answer_idx=2), "line 2: not a mmedbench row"),
        ("mmedbench", {"question": "Which?"}, "line 2: not a mmedbench row (KeyError: 'options')"),
        ("mmedbench", [1, 2], "line 2: not a mmedbench row"),
        ("mmedbench", "text", "line 2: not a mmedbench row"),
        ("medmcqa", changed("medmcqa", cop=0), "line 2: answer J is none of A, B, C, D"),
        ("medmcqa", changed("medmcqa", cop="2"), "line 2: not a medmcqa row"),
        ("medmcqa", changed("medmcqa", cop=99), "line 2: not a medmcqa row (IndexError"),
        ("medqa_zh", changed("medqa_zh", answer=["e"]), "line 2: answer E is none of A, B, C"),
        ("medqa_zh", changed("medqa_zh", choices=None), "line 2: not a medqa_zh row"),
        ("igakuqa", {"problem_text": "Which?"}, "line 2: not of format igakuqa"),
        ("rumeddanet", changed("rumeddanet", answer="Да?"), "line 2: not a rumeddanet row"),
        ("frenchmedmcqa", changed("frenchmedmcqa", answers=["one"]), "entry 1: not a french"),
        ("headqa", changed("headqa", ra=""), "question 7: not a headqa row"),
    ],
)
def test_a_wrong_row_is_told_with_its_place(
    tmp_path: Path, form: Format, row: Any, message: str
) -> None:
    assert message in told(written(tmp_path, form, ROWS[form], row), form)


def test_a_line_that_is_no_json_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS["mmedbench"]) + "\n\n{half\n", encoding="utf-8")
    assert "a.jsonl: line 3: not of format mmedbench (JSON" in told(Location.of(path), "mmedbench")


def test_a_file_of_another_form_is_told(tmp_path: Path) -> None:
    for form in JSON_FILES:
        for content in ("{", "[]", "3", '{"exams": []}', '{"exams": {"x": {"data": 3}}}'):
            (tmp_path / "a.json").write_text(content)
            told(Location.of(tmp_path / "a.json"), form)


def test_bytes_that_are_no_text_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"question": "patient \xff"}')
    assert "patient" not in told(Location.of(tmp_path / "a.jsonl"), "mmedbench")


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in JSON_FILES])
def test_an_empty_file_is_told(tmp_path: Path, form: Format) -> None:
    assert told(written(tmp_path, form), form).endswith(": holds no question")


def test_igakuqa_leaves_out_what_no_set_of_letters_answers(tmp_path: Path) -> None:
    number = changed("igakuqa", choices=[], answer=["12"])
    either = changed("igakuqa", answer=["a or d"])
    file = written(tmp_path, "igakuqa", number, ROWS["igakuqa"], either)
    assert len(read_questions(file, "igakuqa", "ja")) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text("aB,1 да", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "A", "atext"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=300)
@given(data=st.data(), form=st.sampled_from(FORMATS))
def test_any_row_gives_questions_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, form: Format
) -> None:
    keys = st.sampled_from(sorted(ROWS[form]))
    row = ROWS[form] | data.draw(st.dictionaries(keys, VALUES, min_size=1, max_size=2))
    file = written(tmp_path_factory.getbasetemp(), form, row)
    try:
        questions = read_questions(file, form, "en")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(set(q.answers) <= set(q.options) and q.answers for q in questions)


@settings(max_examples=100)
@given(st.binary(max_size=40) | st.builds(str.encode, st.text('{}[]"a:1\n', max_size=20)))
def test_any_bytes_give_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.jsonl"
    path.write_bytes(content)
    for form in FORMATS:
        told(Location.of(path), form)


def test_a_question_knows_its_own_contradictions() -> None:
    fields = {"question_id": "x", "language": "en", "question": "Which?", "options": {"A": "one"}}
    assert Question.model_validate(fields | {"answers": ["A"]}).answers == ("A",)
    for wrong in ({"answers": []}, {"answers": ["B"]}, {"answers": ["A"], "question": ""}):
        with pytest.raises(ValidationError):
            Question.model_validate(fields | wrong)


# Counts as the evaluation data's README states them; its IgakuQA has 13 questions of 2,000 that
# no set of letters answers.
@pytest.mark.parametrize(
    ("pattern", "form", "count"),
    [
        ("medqa_us_4opt/phrases_no_exclude_test.jsonl", "medqa_us", 1273),
        ("medmcqa/dev.json", "medmcqa", 4183),
        ("medqa_zh/medqa_zh.jsonl", "medqa_zh", 3426),
        ("igakuqa/*/*-?.jsonl", "igakuqa", 2000 - 13),
        ("frenchmedmcqa/train.json", "frenchmedmcqa", 2171),
        ("frenchmedmcqa/dev.json", "frenchmedmcqa", 312),
        ("frenchmedmcqa/test.json", "frenchmedmcqa", 622),
        ("rumeddanet/train_v1.jsonl", "rumeddanet", 1052),
        ("rumeddanet/dev_v1.jsonl", "rumeddanet", 256),
        ("rumeddanet/test_v1.jsonl", "rumeddanet", 256),
        ("headqa_es/train_HEAD.json", "headqa", 2657),
        ("headqa_es/dev_HEAD.json", "headqa", 1366),
        ("headqa_es/test_HEAD.json", "headqa", 2742),
    ],
)
def test_the_published_files_are_read_whole(
    real_data: Path, pattern: str, form: Format, count: int
) -> None:
    files = sorted((real_data / "evaluation" / "raw").glob(pattern))
    assert files
    questions = [q for file in files for q in read_questions(Location.of(file), form, "en")]
    assert len(questions) == count
    assert len({question.question_id for question in questions}) == count


def test_the_published_answers_are_distributed_as_stated(real_data: Path) -> None:
    raw = real_data / "evaluation" / "raw"
    english = read_questions(
        Location.of(raw / "medqa_us_4opt/phrases_no_exclude_test.jsonl"), "medqa_us", "en"
    )
    letters = [question.answers[0] for question in english]
    assert [letters.count(letter) for letter in "ABCD"] == [353, 309, 346, 265]
    french = read_questions(Location.of(raw / "frenchmedmcqa/test.json"), "frenchmedmcqa", "fr")
    sizes = [len(question.answers) for question in french]
    assert [sizes.count(size) for size in (1, 2, 3, 4, 5)] == [321, 97, 141, 56, 7]
    russian = read_questions(Location.of(raw / "rumeddanet/test_v1.jsonl"), "rumeddanet", "ru")
    assert [question.answers[0] for question in russian].count("A") == 128
