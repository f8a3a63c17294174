"""Reading request bodies as the JSON gateway does: strict about fields, either spelling of their names."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from sandbox.kfp.answers import malformed


async def read_body(request: web.Request, fields: frozenset[str]) -> dict[str, Any]:
    """The body with snake_case keys at the top.

    Raises
    ------
    KfpError
        400/3 for what is no JSON object or has an unknown field.
    """
    text = await request.text()
    try:
        body = json.loads(text)
    except ValueError as error:
        letter = text.strip()[1:2] or "}"
        raise malformed(f"invalid character '{letter}' looking for beginning of object key string") from error
    if not isinstance(body, dict):
        raise malformed("proto:\u00a0syntax error (line 1:1): unexpected token")
    return snake_keys(body, fields)


def snake_keys(body: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    """Protobuf's JSON takes displayName for display_name; anything else is refused."""
    read = {}
    for key, value in body.items():
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
        if name not in fields:
            raise malformed(f'proto:\u00a0(line 1:1): unknown field "{key}"')
        read[name] = value
    return read
