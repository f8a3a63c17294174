"""Faults that a test orders: gateway answers, cut connections, hanging requests, a server that is away."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

When = Literal["before", "between", "after"]
Answer = int | Literal["reset", "hang"]


@dataclass
class Fault:
    """Replaces the answer to matching requests.

    Attributes
    ----------
    path
        Regular expression, searched in the request's path.
    when
        before: nothing has happened yet. between (POST of a run only): the Workflow is there, the row is not.
        after: all is done, only the answer is lost.
    answer
        A status (with a gateway's HTML page), "reset" (the connection is cut) or "hang" (no answer, ever).
    times
        How many requests it still hits.
    """

    method: str
    path: str
    when: When = "before"
    answer: Answer = "reset"
    times: int = 1

    def hits(self, request: web.Request, when: When) -> bool:
        same = self.method == request.method and self.when == when
        return self.times > 0 and same and re.search(self.path, request.path) is not None


class Cut(Exception):
    """The request ends here, with this answer (None: the connection was cut)."""

    def __init__(self, response: web.Response | None) -> None:
        super().__init__("ordered fault")
        self.response = response


@dataclass
class Faults:
    """The faults of one server.

    Attributes
    ----------
    down
        While True, every connection is cut before anything is done.
    """

    down: bool = False
    pending: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> Fault:
        self.pending.append(fault)
        return fault

    async def strike(self, request: web.Request, when: When) -> None:
        """Raise Cut if a fault is due at this point of the request, or never return."""
        if self.down:
            _cut(request)
        for fault in self.pending:
            if fault.hits(request, when):
                fault.times -= 1
                await _play(fault.answer, request)


async def _play(answer: Answer, request: web.Request) -> None:
    if answer == "reset":
        _cut(request)
    if answer == "hang":
        await asyncio.Event().wait()
    status = int(answer)
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>gateway</body></html>"
    raise Cut(web.Response(status=status, text=page, content_type="text/html"))


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise Cut(None)
