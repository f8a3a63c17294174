"""A keyed queue: one pass at a time per InferenceService, again after a failure, and at a time asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp

from sandbox.kserve.cluster import ApiError

logger = logging.getLogger(__name__)

Key = tuple[str, str]
FIRST_PAUSE, MAX_PAUSE = 0.02, 5.0
EXPECTED = frozenset({404, 409})  # somebody else wrote in between


class Passes:
    """Calls `look` for every key that was put in, never twice at a time for the same one.

    Parameters
    ----------
    look
        One pass; returns after how many seconds it wants the key to be looked at again, None if only on an event.
    """

    def __init__(self, look: Callable[[Key], Awaitable[float | None]]) -> None:
        self._look = look
        self._due: set[Key] = set()
        self._workers: dict[Key, asyncio.Task[None]] = {}
        self._alarms: dict[Key, asyncio.TimerHandle] = {}
        self._stopping = False

    def enqueue(self, key: Key) -> None:
        """Have a key looked at, now or after the pass that is on."""
        if self._stopping:
            return
        self._due.add(key)
        if key not in self._workers:
            self._workers[key] = asyncio.create_task(self._work(key), name=f"InferenceService {key}")

    async def stop(self) -> None:
        """End the passes that are on; nothing is taken in any more."""
        self._stopping = True
        for alarm in self._alarms.values():
            alarm.cancel()
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, key: Key) -> None:
        pause = FIRST_PAUSE
        try:
            while key in self._due:
                self._due.discard(key)
                if await self._succeeds(key):
                    pause = FIRST_PAUSE
                    continue
                self._due.add(key)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE)
        finally:
            del self._workers[key]

    async def _succeeds(self, key: Key) -> bool:
        try:
            self._wake(key, await self._look(key))
        except ApiError as error:
            if error.status not in EXPECTED:
                logger.warning("%s/%s: %s", *key, error)
            return False
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("%s/%s: %r", *key, error)
            return False
        except Exception:
            logger.exception("%s/%s", *key)
            return False
        return True

    def _wake(self, key: Key, seconds: float | None) -> None:
        if (alarm := self._alarms.pop(key, None)) is not None:
            alarm.cancel()
        if seconds is not None and not self._stopping:
            self._alarms[key] = asyncio.get_running_loop().call_later(max(seconds, 0.01), self.enqueue, key)
