"""Reading what a server answers: all of it, but no more than it may be."""

from __future__ import annotations

import aiohttp


async def read_body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of an answer, cut after so many bytes.

    A single read gives what has arrived by then, which may be a part.
    """
    found = bytearray()
    async for part in answer.content.iter_any():
        found += part
        if len(found) >= limit:
            break
    return bytes(found[:limit])
