"""What can go wrong beyond a door, in our own types: made once, where the answer is read."""

from __future__ import annotations

from ..observation import Problem, Unknown


class GatewayError(Exception):
    """Something outside did not do what was asked."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def problem(self) -> Problem:
        """The error as a finding."""
        return Problem(self.reason, self.message)


class Unreachable(GatewayError):
    """No answer that can be relied on: says nothing about what is there."""

    @property
    def unknown(self) -> Unknown:
        """The error as a reading."""
        return Unknown(self.reason, self.message)


class NoSuchKind(Unreachable):
    """The API server does not know the kind: that says nothing about objects which may come back with it."""


class Refused(GatewayError):
    """An answer that says no, and will say so again until something is changed."""


class Denied(Refused):
    """A webhook of the cluster says no."""


class NotFound(GatewayError):
    """An answer that means: there is no such thing."""


class Conflict(GatewayError):
    """The thing has changed since it was looked at."""


def brief(text: object, limit: int = 400) -> str:
    """A foreign message cut to what fits into a condition, on one line."""
    line = " ".join(str(text if text is not None else "").split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def last_words(output: object, limit: int = 400) -> str:
    """The end of what a program wrote, cut to what fits into a condition, on one line: why it ended stands there."""
    line = " ".join(str(output if output is not None else "").split())
    return line if len(line) <= limit else f"…{line[1 - limit :]}"
