"""A judge's answers in a JSON Lines file that a killed run leaves whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.evaluation.judging.asking import Messages, Reply


def key_of(model: str, messages: Messages, settings: Mapping[str, Any]) -> str:
    """Return the hash that a question to a judge is kept under: model, words and settings."""
    asked = [model, [dict(message) for message in messages], dict(settings)]
    text = json.dumps(asked, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class AnswerLog:
    """Answers by their question's hash; each is in the file when ``keep`` returns.

    One process writes at a time: lock the folder (``Location.locked``). Use as ``with``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}

    def __enter__(self) -> AnswerLog:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync(self._file.fileno())
        self._file.close()

    def keep(self, key: str, reply: Reply, about: Mapping[str, str]) -> None:
        """Add an answer; ``about`` stands beside it for people who read the file."""
        line = json.dumps({"key": key, **about, **asdict(reply)}, ensure_ascii=False)
        # A lone surrogate, which JSON may hold, is no UTF-8: it is written as \\uXXXX.
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self._file.flush()
        self.replies[key] = reply

    def _read(self) -> None:
        """Read all answers; cut off a line that a kill left without its end."""
        self._file.seek(0)
        whole = self._file.read()
        end = whole.rfind(b"\n") + 1
        self._file.truncate(end)
        for number, line in enumerate(whole[:end].split(b"\n"), start=1):
            if not line:
                continue
            try:
                row = json.loads(line)
                self.replies[row["key"]] = Reply(
                    row["text"], row["finish_reason"], row["prompt_tokens"],
                    row["completion_tokens"],
                )  # fmt: skip
            except (ValueError, LookupError, TypeError) as error:
                raise InputError(
                    f"{self.path}: line {number} is no judge's answer; delete the line"
                ) from error
