"""A judge's answers, kept by what was asked: the same question is never paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.evaluation.client import Reply
from medray.evaluation.judging.asking import Messages
from medray.evaluation.running.answer_file import AnswerFile


def key_of(model: str, messages: Messages, settings: Mapping[str, Any]) -> str:
    """Return the hash that a question to a judge is kept under: model, words and settings."""
    asked = [model, [dict(message) for message in messages], dict(settings)]
    text = json.dumps(asked, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class AnswerLog:
    """Replies by their question's hash, in an ``AnswerFile``. Use as ``with``.

    InputError for a file that another run writes, and for a line that is no judge's answer.
    """

    def __init__(self, path: Path) -> None:
        self._file = AnswerFile(path)
        self.replies: dict[str, Reply] = {}

    def __enter__(self) -> AnswerLog:
        self._file.__enter__()
        try:
            self.replies = {key: self._reply(row) for key, row in self._file.answers.items()}
        except BaseException:
            self._file.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def keep(self, key: str, reply: Reply, about: Mapping[str, str]) -> None:
        """Add an answer; ``about`` stands beside it for people who read the file."""
        self._file.keep(key, {**about, **asdict(reply)})
        self.replies[key] = reply

    def _reply(self, row: Mapping[str, Any]) -> Reply:
        try:
            tokens = row["prompt_tokens"], row["completion_tokens"]
            return Reply(str(row["text"]), str(row["finish_reason"]), *tokens)
        except LookupError as error:
            raise InputError(
                f"{self._file.path}: an answer has no {error}; this is no judge's file, give "
                "another folder by --out"
            ) from error
