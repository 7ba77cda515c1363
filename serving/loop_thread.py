"""An event loop in a thread of its own, for an engine whose tasks outlive their callers' loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any, TypeVar

from serving.engine import EngineStoppedError

Item = TypeVar("Item")
# Stands behind the last item of a stream.
_END = object()


class LoopThread:
    """Runs coroutines for callers in other event loops, and ends them all when it is closed."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    @property
    def open(self) -> bool:
        return self._open

    def start(self, coroutine: Coroutine[Any, Any, Item]) -> Future[Item]:
        """Run a coroutine here; ``EngineStoppedError`` once closed. From any thread."""
        with self._lock:
            if not self._open:
                coroutine.close()
                raise EngineStoppedError("the engine has ended")
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def ask(self, coroutine: Coroutine[Any, Any, Item]) -> Item:
        """Await a coroutine that runs here. Who stops waiting cancels it.

        ``EngineStoppedError`` when the thread is closed meanwhile.
        """
        future = self.start(coroutine)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise EngineStoppedError("the engine ended during this request") from None

    async def stream(self, items: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
        """Yield what a generator that runs here yields. Closing this closes that.

        ``EngineStoppedError`` when the thread is closed meanwhile.
        """
        here = asyncio.get_running_loop()
        queue: asyncio.Queue[Any] = asyncio.Queue()

        def put(item: Any) -> None:
            if not here.is_closed():  # or nobody is there any more to take it
                here.call_soon_threadsafe(queue.put_nowait, item)

        async def pump() -> None:
            async with aclosing(items):
                async for item in items:
                    put(item)

        future = self.start(pump())
        future.add_done_callback(lambda _: put(_END))
        try:
            while (item := await queue.get()) is not _END:
                yield item
            if future.cancelled():
                raise EngineStoppedError("the engine ended during this request")
            future.result()
        finally:
            future.cancel()

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Cancel all that runs, wait for its end, call ``last`` here, and end the thread."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        asyncio.run_coroutine_threadsafe(_end(last), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end(last: Callable[[], None] | None) -> None:
    """Cancel every other task of this loop; what one raises goes to who asked for it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if last is not None:
        last()
