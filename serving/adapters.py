"""Which adapters there are, which are in memory, and who uses them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from medray.storage.location import Location
from serving.engine import BASE, UnknownAdapterError

logger = logging.getLogger("ray.serve")

# An adapter in the form that an engine holds it in.
Held = TypeVar("Held")

# The folder is listed again, in the background, when the last listing is older than this.
LISTED_S = 10.0


@dataclass(eq=False)
class _Loaded(Generic[Held]):
    """``adapter`` may still be on its way; ``users``: requests that hold it."""

    adapter: Future[Held]
    users: int = 0


class AdapterStore(Generic[Held]):
    """Adapters of one folder: loaded when asked for; the least recently used leaves, if not in use.

    At most ``most_loaded`` are in memory. A request for one more waits until one is free, and
    requests for adapters are served in order, so that none waits for ever. A folder's content must
    not change under its name: what was read once is not read again.

    ``take`` brings the adapter of a local folder into the engine, ``drop`` takes it out again: both
    in a thread of the store, one after the other. ``OSError`` and ``ValueError`` of ``take`` are an
    adapter that cannot be taken.
    """

    def __init__(
        self,
        take: Callable[[Path], Held],
        where: str | Location | None,
        most_loaded: int,
        drop: Callable[[Held], None] | None = None,
    ) -> None:
        self._take = take
        self._drop = drop
        self._where = None if where is None else Location.of(where)
        self._most_loaded = most_loaded
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, _Loaded[Held]] = OrderedDict()  # least recently used first
        self._waiting: deque[tuple[str, Future[_Loaded[Held]]]] = deque()
        # One thread: reading is bound by the disk or the network, and hooks come one at a time.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="adapters")
        self._names: list[str] = []
        self._listing: Future[None] | None = None
        self._list()

    def names(self) -> list[str]:
        """Return the names of the folders that hold an adapter, as of at most some seconds ago."""
        stale = time.monotonic() - self._listed_at > LISTED_S
        if self._where and stale and (self._listing is None or self._listing.done()):
            self._listing = self._reader.submit(self._list)
        return self._names

    def _list(self) -> None:
        if self._where is not None:
            self._names = [
                folder.name
                for folder in self._where.folders()
                if (folder / "adapter_config.json").is_file()
            ]
        self._listed_at = time.monotonic()

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[Held | None]:
        """Hold an adapter in memory while the block runs; None for the base.

        ``UnknownAdapterError`` where the folder has no such adapter, or one that cannot be taken.
        """
        if name == BASE:
            yield None
            return
        await self._check(name)
        claim: Future[_Loaded[Held]] = Future()
        with self._lock:
            self._waiting.append((name, claim))
            self._serve()
        try:
            loaded = await asyncio.wrap_future(claim)
        except asyncio.CancelledError:
            # It may have been served at the same moment; what nobody waits for is given back.
            if not claim.cancel():
                self._release(claim.result())
            raise
        try:
            # Shielded: others may wait for the same.
            adapter = await asyncio.shield(asyncio.wrap_future(loaded.adapter))
            yield adapter
        finally:
            self._release(loaded)

    async def _check(self, name: str) -> None:
        """Look again for a name that was not there; only names of the listing reach the disk."""
        if name not in self._names and self._where is not None:
            await asyncio.wrap_future(self._reader.submit(self._list))
        if name not in self._names:
            raise UnknownAdapterError(f"no adapter {name!r}")

    def _serve(self) -> None:
        """Give those who wait, in order, what there is room for. The lock is held."""
        while self._waiting:
            name, claim = self._waiting[0]
            if name not in self._loaded and not self._make_room():
                return
            self._waiting.popleft()
            if not claim.set_running_or_notify_cancel():
                continue
            if name not in self._loaded:
                self._loaded[name] = _Loaded(self._reader.submit(self._read, name))
            loaded = self._loaded[name]
            loaded.users += 1
            self._loaded.move_to_end(name)
            claim.set_result(loaded)

    def _make_room(self) -> bool:
        if len(self._loaded) >= self._most_loaded:
            idle = next((name for name, loaded in self._loaded.items() if not loaded.users), None)
            if idle is None:
                return False
            # In the same thread: after its own reading, before that of the one that comes instead.
            self._reader.submit(self._leave, self._loaded.pop(idle))
        return True

    def _leave(self, left: _Loaded[Held]) -> None:
        if self._drop is not None and left.adapter.exception() is None:
            self._drop(left.adapter.result())

    def _release(self, loaded: _Loaded[Held]) -> None:
        with self._lock:
            loaded.users -= 1
            if loaded.adapter.done() and loaded.adapter.exception() is not None:
                # Not kept, so that a repaired folder is read.
                for name in [n for n, other in self._loaded.items() if other is loaded]:
                    del self._loaded[name]
            self._serve()

    def _read(self, name: str) -> Held:
        assert self._where is not None  # a name was found in it
        try:
            return self._take((self._where / name).local_copy())
        except (OSError, ValueError) as error:
            # The client is told that it is not to be had; why, the operator reads here.
            logger.warning("the adapter %r cannot be taken: %s", name, error)
            raise UnknownAdapterError(f"the adapter {name!r} cannot be taken: {error}") from error

    def close(self) -> None:
        """End the thread that reads."""
        self._reader.shutdown(wait=True, cancel_futures=True)
