"""A steady stream of prediction requests, every one of them counted."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from sandbox.client import PredictionError

WORKERS = 8
Predict = Callable[[Any], Sequence[float]]
"""Takes one instance, returns its prediction, or raises PredictionError."""


@dataclass
class RequestStream:
    """Requests at a steady rate, from several threads, until it is stopped.

    A request that is due is sent whatever became of those before it, as long as one of the threads is free.

    Attributes
    ----------
    rate
        Requests a second.
    say
        Is told of every failure, as it happens.
    sent, failures
        How many were answered or failed so far, and what each failure was.
    right
        How many predictions named the true digit.
    seconds
        How long each took.
    """

    predict: Predict
    instances: Sequence[Any]
    labels: Sequence[int]
    rate: float
    say: Callable[[str], None]
    sent: int = 0
    right: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._numbers = itertools.count()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads if kind is None else ():
            thread.join()  # those on their way are waited for and counted

    def summary(self) -> str:
        """Say how many there were, how many failed, and how long they took."""
        with self._lock:
            took, sent, right, failed = sorted(self.seconds), self.sent, self.right, len(self.failures)
        if not took:
            return f"{sent} requests, {failed} failures"
        middle, late = (took[math.ceil(share * len(took)) - 1] * 1000 for share in (0.5, 0.99))
        return (
            f"{sent} requests, {failed} failures; {right / sent:.1%} of the answers right; "
            f"half within {middle:.0f} ms, 99 of 100 within {late:.0f} ms"
        )

    def _work(self) -> None:
        while True:
            number = next(self._numbers)
            pause = self._began + number / self.rate - time.monotonic()
            if self._end.wait(max(0.0, pause)):
                return
            self._send(number % len(self.instances))

    def _send(self, index: int) -> None:
        started = time.monotonic()
        try:
            prediction = self.predict(self.instances[index])
            failure = "" if len(prediction) > 1 else f"not one probability a class: {prediction}"
        except PredictionError as error:
            failure = str(error)
        took = time.monotonic() - started
        with self._lock:
            self.sent += 1
            self.seconds.append(took)
            if failure:
                self.failures.append(failure)
                self.say(f"request {self.sent} failed after {took:.2f} s: {failure}")
            else:
                self.right += likeliest(prediction) == self.labels[index]


def likeliest(prediction: Sequence[float]) -> int:
    """The class of the highest probability."""
    return max(range(len(prediction)), key=prediction.__getitem__)
