"""The access log: one JSON line a request, with ids, counts and times, never what was said."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from starlette.types import Scope

from serving.guard.answers import header

LOG_BYTES, LOG_FILES = 64 * 2**20, 5

# Set by the proxy's middleware, which drops what a client sent under this name.
ARRIVED_HEADER = b"x-medray-arrived"


@dataclass
class RequestRecord:
    """What is told of one request. Names that a client made up (model, path) are not taken."""

    request_id: str
    method: str
    began: float = field(default_factory=time.time)
    waited_s: float = 0.0
    route: str = ""
    model: str | None = None
    key: str | None = None
    status: int = 0
    first_byte_s: float | None = None
    prompt_tokens: int = 0
    generated_tokens: int = 0
    scored_tokens: int = 0
    outcome: str = "answered"
    error: str | None = None
    _prompts: list[Sequence[int]] = field(default_factory=list)

    @classmethod
    def begin(cls, scope: Scope) -> RequestRecord:
        """Begin the record of a request that has just come."""
        record = cls(header(scope, b"x-request-id") or "", scope["method"])
        arrived = header(scope, ARRIVED_HEADER)
        if arrived is not None and arrived.replace(".", "", 1).isdigit():
            record.waited_s = max(0.0, record.began - float(arrived))
        return record

    @property
    def tokens(self) -> int:
        """What a quota counts."""
        return self.prompt_tokens + self.generated_tokens + self.scored_tokens

    def add_prompt(self, prompt: Sequence[int]) -> None:
        """Count a prompt; the n choices of one prompt share its list, and count it once."""
        if not any(prompt is counted for counted in self._prompts):
            self._prompts.append(prompt)
            self.prompt_tokens += len(prompt)

    def line(self, **more: Any) -> str:
        """Return the line of the log, as JSON."""
        fields = {
            "time": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="milliseconds"),
            "id": self.request_id,
            "method": self.method,
            "route": self.route,
            "model": self.model,
            "key": self.key,
            "status": self.status,
            "outcome": self.outcome,
            "error": self.error,
            "prompt_tokens": self.prompt_tokens,
            "generated_tokens": self.generated_tokens,
            "scored_tokens": self.scored_tokens,
            "waited_s": round(self.waited_s, 4),
            "first_byte_s": None if self.first_byte_s is None else round(self.first_byte_s, 4),
            "took_s": round(time.time() - self.began, 4),
        }
        return json.dumps(fields | more, separators=(",", ":"))


# The request that the running task works on.
CURRENT: ContextVar[RequestRecord | None] = ContextVar("medray_request", default=None)


class AccessLog:
    """A file of this process in the folder of Serve's logs, rotated at 64 MiB, five kept."""

    def __init__(self, folder: Path, source: str, **fields: Any) -> None:
        """``source`` stands in the file's name, ``fields`` in every line."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"medray_access_{source}_{os.getpid()}"
        self._fields = fields
        self._logger = logging.getLogger(name)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        handler = RotatingFileHandler(
            folder / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._logger.handlers = [handler]

    @classmethod
    def of_serve(cls, source: str, **fields: Any) -> AccessLog:
        """Open the log in the folder of Serve's own logs, for which there is no public name."""
        from ray.serve._private.logging_utils import get_serve_logs_dir

        return cls(Path(get_serve_logs_dir()), source, **fields)

    def write(self, record: RequestRecord) -> None:
        self._logger.info(record.line(**self._fields))


def place_of(error: BaseException) -> str:
    """Return the kind of an error and where it was raised. Its message may repeat a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    path = Path(trace.tb_frame.f_code.co_filename)
    return f"{type(error).__name__} at {'/'.join(path.parts[-2:])}:{trace.tb_lineno}"
