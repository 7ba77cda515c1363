"""What a worker group tells its driver while it trains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medray.progress import StageLog
from medray.storage.location import Location
from medray.storage.scratch import temporary_folder
from medray.training.curves import Recorder, Row, Tracker

POLL_EVERY_S = 1.0


class Board:
    """An actor that keeps what the workers tell, so that a driver anywhere can read it.

    A row is one line of the metrics: ``step`` and numbers. A row ``begin`` says that a worker
    group goes on after that step: what was told of later ones is void, what was not told is in
    ``last``.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._step, self._steps = 0, 0
        self._seconds: dict[str, float] = {}
        self._stopped: BaseException | None = None

    def begin(self, step: int, steps: int, last: list[Row]) -> None:
        """Note that a worker group goes on after a step, of ``steps`` in all.

        ``last``: the last rows up to it, of which an earlier driver may not have heard.
        """
        self._rows.append({"begin": step, "last": last})
        self._steps = steps

    def tell(self, row: Row) -> None:
        self._rows.append(row)

    def at(self, step: int) -> None:
        self._step = step

    def time(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    def timings(self) -> dict[str, float]:
        """Return where the seconds of the worker group that ended the run went, on rank 0."""
        return self._seconds

    def stop(self, error: BaseException) -> None:
        self._stopped = error

    def read(self, after: int) -> tuple[list[Row], int, int]:
        """Return the rows from number ``after`` on, the last step that was done, all steps."""
        return self._rows[after:], self._step, self._steps

    def stopped(self) -> BaseException | None:
        return self._stopped

    def has_begun(self) -> bool:
        """Return whether a worker group has begun to train, be it one that died since."""
        return bool(self._rows)


@contextmanager
def shown(log: StageLog, output: Location, tracker: Tracker | None = None) -> Iterator[Any]:
    """Yield a board actor; until the block ends, a thread shows and records what it is told."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # On this node: were it lost with another one, so were the run, which only needs its workers.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
    with temporary_folder() as scratch:
        recorder = Recorder(output, scratch, tracker)
        follower = _Follower(board, recorder, log)
        follower.start()
        try:
            yield board
        finally:
            follower.finish()
            recorder.close()
            ray.kill(board)
    if follower.error is not None:
        raise follower.error


class _Follower(threading.Thread):
    """Passes on what a board is told, once a second, and once more at the end."""

    def __init__(self, board: Any, recorder: Recorder, log: StageLog) -> None:
        super().__init__(daemon=True)
        self._board, self._recorder, self._log = board, recorder, log
        self._end = threading.Event()
        self._read, self._shown = 0, 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._end.wait(POLL_EVERY_S):
                self._pass_on()
            self._pass_on()
        except Exception as error:  # noqa: BLE001 - raised where the block ends: a full disk, say
            self.error = error

    def _pass_on(self) -> None:
        import ray

        rows, step, steps = ray.get(self._board.read.remote(self._read))
        for row in rows:
            self._recorder.add(row)
            if row.get("begin"):
                self._log.event("training goes on", after_step=row["begin"])
        self._read += len(rows)
        if step != self._shown:
            self._shown = step
            self._log.progress("step", step, steps)

    def finish(self) -> None:
        self._end.set()
        self.join()
