"""Answers in one JSON Lines file that a killed run leaves whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medray.errors import InputError

Answer = dict[str, Any]


class AnswerFile:
    """Answers by key; each is in the file when ``keep`` returns. Use as ``with``.

    A file has every answer that was ever given, of other settings too; ``answers`` are those that
    it held when it was opened and those kept since. Two runs may not write one file: the second
    raises InputError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}

    def __enter__(self) -> AnswerFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def keep(self, key: str, answer: Mapping[str, Any]) -> None:
        """Add an answer: in the kernel's hands when this returns, and so safe from a kill."""
        line = json.dumps({"key": key, **answer}, ensure_ascii=False)
        # A lone surrogate, which JSON may hold, is no UTF-8: it is written as \uXXXX.
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self._file.flush()
        self.answers[key] = dict(answer)

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{self.path}: another run writes its answers there") from error

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
                self.answers[row.pop("key")] = row
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{self.path}: line {number} is no answer; delete the line"
                ) from error
