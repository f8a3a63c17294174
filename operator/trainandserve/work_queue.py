"""The work queue: keys, each worked on by one pass at a time, each waiting at most once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .cache import Key

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 120.0


class Queue:
    """Keys in the order in which they came due.

    A key that is added while it is worked on is worked on once more afterwards. Pauses are in seconds.
    """

    def __init__(self, changed: Callable[[int], None] = lambda _: None) -> None:
        self._waiting: dict[Key, float] = {}  # since when, the longest first
        self._order: asyncio.Queue[Key | None] = asyncio.Queue()
        self._working: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._closed = False
        self._changed = changed

    def __len__(self) -> int:
        """Keys that wait for a worker."""
        return len(self._waiting)

    def oldest(self) -> float:
        """Seconds for which the key that waits longest has been waiting for a worker; 0 when none waits."""
        since = next(iter(self._waiting.values()), None)
        return 0.0 if since is None else time.monotonic() - since

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on; timers do not count."""
        return not self._waiting and not self._working

    def add(self, key: Key) -> None:
        """Have a key worked on as soon as a worker is free."""
        if self._closed or key in self._waiting:
            return
        self._waiting[key] = time.monotonic()
        if key not in self._working:
            self._order.put_nowait(key)
        self._changed(len(self._waiting))

    def add_later(self, key: Key, pause: float) -> None:
        """Have a key worked on after a pause; of two such wishes the earlier counts."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + max(pause, 0.0)
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= due:
                return
            known.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def retry(self, key: Key) -> None:
        """Have a key worked on after a pause that grows with each retry in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_later(key, min(FIRST_PAUSE * 2.0 ** min(failures, 16), LONGEST_PAUSE))

    def settle(self, key: Key) -> None:
        """The key is well: its next retry starts with a short pause again."""
        self._failures.pop(key, None)

    def forget(self, key: Key) -> None:
        """The key is gone: no timer of it goes off."""
        self.settle(key)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    async def get(self) -> Key | None:
        """The next key; None when the queue is closed. `done` must follow."""
        key = await self._order.get()
        if key is None or self._closed:
            self._order.put_nowait(None)  # for the other workers
            return None
        self._waiting.pop(key, None)
        self._working.add(key)
        self._changed(len(self._waiting))
        return key

    def done(self, key: Key) -> None:
        """The pass for a key is over."""
        self._working.discard(key)
        if key in self._waiting:
            self._order.put_nowait(key)

    def close(self) -> None:
        """Give out nothing more; passes that are on finish."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._order.put_nowait(None)

    def _due(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)
