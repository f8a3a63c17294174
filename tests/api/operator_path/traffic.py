"""A steady stream of predictions, as users of a served model send them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.api.operator_path.api import until


class Traffic:
    """Requests one after the other at one address, and what came of them.

    Attributes
    ----------
    versions
        The version that each answered request was answered by, in their order.
    failures
        What became of those that were not answered.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = f"{url}/v1/models/{name}:predict"
        self.versions: list[int] = []
        self.failures: list[str] = []

    @classmethod
    @asynccontextmanager
    async def on(cls, url: str, name: str) -> AsyncIterator[Traffic]:
        traffic = cls(url, name)
        senders = [asyncio.create_task(traffic._send()) for _ in range(2)]
        try:
            yield traffic
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    async def more(self) -> None:
        """Wait until further requests were answered."""
        wanted = len(self.versions) + 10
        await until(lambda: len(self.versions) >= wanted)

    async def _send(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            while True:
                try:
                    async with http.post(self._url, json={"instances": [[1.0]]}) as answer:
                        self._take(answer.status, await answer.text())
                except aiohttp.ClientError as error:
                    self.failures.append(repr(error))
                await asyncio.sleep(0.01)

    def _take(self, status: int, text: str) -> None:
        if status == 200:
            self.versions.append(int(json.loads(text)["predictions"][0]["version"]))
        else:
            self.failures.append(f"{status} {text}")
