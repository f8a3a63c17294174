"""At most so many of something in a second, for the whole process."""

from __future__ import annotations

from datetime import datetime


class Rate:
    """A token bucket that holds what one second brings.

    Parameters
    ----------
    per_second
        How many in a second, on the long run and at once.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = max(per_second, 1.0)
        self._at: datetime | None = None

    def free(self, now: datetime) -> bool:
        """Whether one more is within the rate. A clock that goes back brings nothing."""
        if self._at is not None:
            gone = max((now - self._at).total_seconds(), 0.0)
            self._left = min(self._left + gone * self._per_second, max(self._per_second, 1.0))
        self._at = now
        return self._left >= 1.0

    def take(self) -> None:
        """Count one; also one that could not wait, for which the others then wait longer."""
        self._left -= 1.0
