from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.running.answer_file import AnswerFile


def test_what_was_kept_is_there_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "answers" / "ward.jsonl"
    with AnswerFile(file) as kept:
        kept.keep("a", {"id": "1", "output": "x\u2028y"})
        kept.keep("b", {"id": "2", "output": "\ud800"})
        kept.keep("a", {"id": "1", "output": "again"})
    with AnswerFile(file) as kept:
        assert kept.answers == {
            "a": {"id": "1", "output": "again"},
            "b": {"id": "2", "output": "\ud800"},
        }


def test_a_line_that_a_kill_cut_is_left_out_and_written_over(tmp_path: Path) -> None:
    file = tmp_path / "ward.jsonl"
    with AnswerFile(file) as kept:
        kept.keep("a", {"id": "1"})
    with file.open("ab") as stream:
        stream.write(b'{"key": "b", "id": "2", "outp')
    with AnswerFile(file) as kept:
        assert list(kept.answers) == ["a"]
        kept.keep("c", {"id": "3"})
    assert file.read_text() == '{"key": "a", "id": "1"}\n{"key": "c", "id": "3"}\n'


def test_a_file_of_something_else_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ward.jsonl"
    file.write_text('{"key": "a"}\n[1]\n')
    with pytest.raises(InputError, match="line 2 is no answer"), AnswerFile(file):
        pass
    assert file.read_text() == '{"key": "a"}\n[1]\n'


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "ward.jsonl"
    with (
        AnswerFile(file),
        pytest.raises(InputError, match="another run writes its answers there"),
        AnswerFile(file),
    ):
        pass
    with AnswerFile(file):
        pass


@given(st.lists(st.tuples(st.text(max_size=3), st.text()), max_size=8), st.integers(0, 200))
def test_wherever_a_file_is_cut_whole_answers_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], cut: int
) -> None:
    file = tmp_path_factory.mktemp("cut") / "ward.jsonl"
    with AnswerFile(file) as kept:
        for key, text in rows:
            kept.keep(key, {"output": text})
    data = file.read_bytes()[:cut]
    file.write_bytes(data)
    with AnswerFile(file) as kept:
        assert len(kept.answers) == len({key for key, _ in rows[: data.count(b"\n")]})
