"""What a run tells its user: lines and bars on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from tqdm import tqdm

# Between two progress lines that are not on a terminal.
PROGRESS_EVERY_S = 5.0


@dataclass
class Reporter:
    """Writes events of a run to ``stream``, as text or as JSON lines."""

    as_json: bool
    stream: TextIO = field(default_factory=lambda: sys.stderr)

    @classmethod
    def for_stream(cls, as_json: bool) -> Reporter:
        """JSON where it is asked for or where standard error is no terminal."""
        return cls(as_json or not sys.stderr.isatty())

    def event(self, stage: str, message: str, **fields: Any) -> None:
        """Tell one thing about a stage; ``fields`` are numbers or short texts."""
        if self.as_json:
            line = {"time": round(time.time(), 3), "stage": stage, "message": message, **fields}
            print(json.dumps(line, ensure_ascii=False), file=self.stream, flush=True)
        else:
            told = " ".join(f"{key}={value}" for key, value in fields.items())
            tqdm.write(f"{stage:>10}  {message} {told}".rstrip(), file=self.stream)


class StageLog:
    """A Reporter bound to one stage, with one progress bar at a time."""

    def __init__(self, reporter: Reporter, stage: str) -> None:
        self.reporter, self.stage = reporter, stage
        self._bar: Any = None
        self._told = 0.0

    def event(self, message: str, **fields: Any) -> None:
        self.reporter.event(self.stage, message, **fields)

    def progress(self, unit: str, done: int, total: int) -> None:
        """Show ``done`` of ``total``; the bar opens at the first call and closes at the last."""
        if self.reporter.as_json:
            now = time.monotonic()
            if done == total or now - self._told >= PROGRESS_EVERY_S:
                self._told = now
                self.event("progress", unit=unit, done=done, total=total)
            return
        if self._bar is None or self._bar.unit != unit:
            self.close()
            self._bar = tqdm(
                total=total,
                desc=f"{self.stage:>10}",
                unit=unit,
                leave=False,
                file=self.reporter.stream,
            )
        self._bar.update(done - self._bar.n)
        if done >= total:
            self.close()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Tell what medray's modules log as a warning, too; at the end no bar is left open."""
        handler, logger = _Warnings(self), logging.getLogger("medray")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Warnings(logging.Handler):
    """Makes an event of a log record: deep in the library there is no stage's log at hand."""

    def __init__(self, log: StageLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.event(f"warning: {record.getMessage()}")
