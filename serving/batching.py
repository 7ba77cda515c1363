"""Scoring in a thread of its own: what is asked for while a batch runs makes up the next one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from serving.engine import EngineStoppedError
from serving.scoring import Result, Scorer, Work

Call = tuple[list[Work], "Future[list[Result]]"]

# Tokens that one batch takes from the queue: several passes, so that neighbours in the sorted order
# share what they begin with, but few enough that a small call behind a large one waits little.
GATHERED_TOKENS = 16384


class ScoringThread:
    """Runs a scorer for calls from any thread, several calls a batch, first come first served."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._calls: deque[Call] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="score", daemon=True)
        self._thread.start()

    def submit(self, works: Sequence[Work]) -> Future[list[Result]]:
        """Return the future of the results; ``EngineStoppedError`` in it once closed."""
        future: Future[list[Result]] = Future()
        with self._changed:
            if self._open:
                self._calls.append((list(works), future))
                self._changed.notify()
            else:
                future.set_exception(EngineStoppedError("scoring has ended"))
        return future

    def close(self) -> None:
        """End after the batch that runs; calls that wait fail with ``EngineStoppedError``."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while calls := self._gather():
            self._answer(calls)
        for _, future in self._calls:
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineStoppedError("scoring has ended"))

    def _gather(self) -> list[Call]:
        """Wait for calls and take those of the next batch; none once closed."""
        taken: list[Call] = []
        tokens = 0
        with self._changed:
            while not taken:
                self._changed.wait_for(lambda: self._calls or not self._open)
                if not self._open:
                    break
                while self._calls and tokens < GATHERED_TOKENS:
                    works, future = self._calls.popleft()
                    if future.set_running_or_notify_cancel():  # not where its caller has left
                        taken.append((works, future))
                        tokens += sum(len(work.job.tokens) for work in works)
        return taken

    def _answer(self, calls: Sequence[Call]) -> None:
        try:
            results = self._scorer.run([work for works, _ in calls for work in works])
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told to who asked)
            if len(calls) == 1:
                calls[0][1].set_exception(error)
            else:  # one call's fault is not the others'
                for call in calls:
                    self._answer([call])
            return
        done = 0
        for works, future in calls:
            future.set_result(results[done : done + len(works)])
            done += len(works)
