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


@dataclass(frozen=True)
class Reply:
    """What a model said of one instance: a probability a class, and which version said it, where that is known."""

    probabilities: Sequence[float]
    version: int | None = None


Predict = Callable[[Any], Reply]
"""Takes one instance, returns what the model says of it, or raises PredictionError."""


@dataclass(frozen=True)
class Answered:
    """A request that was answered.

    Attributes
    ----------
    sent, answered
        Seconds of the monotonic clock.
    version
        The one that answered, where that is known.
    right
        Whether it named the true digit.
    """

    sent: float
    answered: float
    version: int | None
    right: bool


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
    answers, failures
        Those answered so far, in the order of their answers, and what became of the others.
    seconds
        How long each took, the failed ones too.
    """

    predict: Predict
    instances: Sequence[Any]
    labels: Sequence[int]
    rate: float
    say: Callable[[str], None]
    answers: list[Answered] = field(default_factory=list)
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

    @property
    def sent(self) -> int:
        """How many were answered or failed so far."""
        return len(self.answers) + len(self.failures)

    @property
    def right(self) -> int:
        """How many predictions named the true digit."""
        return sum(answer.right for answer in self.answers)

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
        sent, failure, reply = time.monotonic(), "", Reply(())
        try:
            reply = self.predict(self.instances[index])
            if len(reply.probabilities) < 2:
                failure = f"not one probability a class: {reply.probabilities}"
        except PredictionError as error:
            failure = str(error)
        answered = time.monotonic()
        with self._lock:
            self.seconds.append(answered - sent)
            if failure:
                self.failures.append(failure)
                self.say(f"request {self.sent} failed after {answered - sent:.2f} s: {failure}")
            else:
                right = likeliest(reply.probabilities) == self.labels[index]
                self.answers.append(Answered(sent, answered, reply.version, right))


def likeliest(prediction: Sequence[float]) -> int:
    """The class of the highest probability."""
    return max(range(len(prediction)), key=prediction.__getitem__)
