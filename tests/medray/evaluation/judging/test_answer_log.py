from __future__ import annotations

from pathlib import Path

import pytest

from medray.errors import InputError
from medray.evaluation.client import Reply
from medray.evaluation.judging.answer_log import AnswerLog, key_of

ASKED = [{"role": "user", "content": "Which? 哪个"}]
REPLY = Reply("[[A]]\u2028\ud800", "stop", 12, None)


def test_a_key_is_of_model_words_and_settings() -> None:
    key = key_of("m", ASKED, {"temperature": 0, "max_tokens": 5})
    assert key == key_of("m", ASKED, {"max_tokens": 5, "temperature": 0})
    others = [
        key_of("n", ASKED, {"temperature": 0, "max_tokens": 5}),
        key_of("m", ASKED, {"temperature": 0, "max_tokens": 6}),
        key_of("m", [{"role": "user", "content": "Which?"}], {"temperature": 0, "max_tokens": 5}),
        key_of("m", [{"role": "user", "content": "\ud800"}], {}),
    ]
    assert len({key, *others}) == 5


def test_a_reply_is_there_the_next_time(tmp_path: Path) -> None:
    with AnswerLog(tmp_path / "answers.jsonl") as log:
        assert log.replies == {}
        log.keep("k", REPLY, {"item_id": "1"})
    with AnswerLog(tmp_path / "answers.jsonl") as log:
        assert log.replies == {"k": REPLY}


def test_a_line_that_a_kill_cut_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with AnswerLog(file) as log:
        log.keep("k", REPLY, {})
        log.keep("l", REPLY, {})
    file.write_bytes(file.read_bytes()[:-9])
    with AnswerLog(file) as log:
        assert list(log.replies) == ["k"]
        log.keep("m", REPLY, {})
    with AnswerLog(file) as log:
        assert list(log.replies) == ["k", "m"]


def test_a_file_of_something_else_is_told_and_let_go(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"key": "k", "output": "x"}\n')
    for _ in range(2):  # a lock left behind would tell something else the second time
        with pytest.raises(InputError, match=r"answers\.jsonl: an answer has no 'prompt_tokens'"):
            AnswerLog(file).__enter__()
