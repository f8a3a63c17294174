"""Structured logs: every line of a pass names its resource, generation and run."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from .resource import TrainAndServe

_subject: ContextVar[dict[str, Any] | None] = ContextVar("subject", default=None)


@contextmanager
def about(resource: TrainAndServe) -> Iterator[None]:
    """Have the lines within name this resource."""
    subject = {
        "namespace": resource.metadata.namespace,
        "name": resource.metadata.name,
        "generation": resource.metadata.generation,
        "run": resource.status.run.id if resource.status.run else None,
    }
    token = _subject.set({name: value for name, value in subject.items() if value is not None})
    try:
        yield
    finally:
        _subject.reset(token)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_subject.get() or {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        subject = _subject.get() or {}
        about = " ".join(f"{name}={value}" for name, value in subject.items())
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = f"{time} {record.levelname:<7} {record.getMessage()}{'  ' + about if about else ''}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(form: Literal["text", "json"], level: str) -> None:
    """Send the log to stderr in one form; kopf's own lines below a warning are left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
