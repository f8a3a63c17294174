"""What the operator asks KServe for, write by write."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.client import GROUP, Resources
from sandbox.controlplane.rest import RestError
from sandbox.demo.waiting import DemoError

_SECONDS = 3600
_SERVICES = "/apis/serving.kserve.io/v1beta1"


@dataclass(frozen=True)
class Write:
    """One change of what an InferenceService asks for.

    Attributes
    ----------
    generation
        Which one it is, counted by the API server.
    version
        Whose model it asks for.
    percent
        The share of the requests that the newest revision gets; None: all, and in Standard mode nothing else.
    at
        When it was heard of, in seconds of the monotonic clock.
    """

    generation: int
    version: int | None
    percent: int | None
    at: float

    @classmethod
    def read(cls, service: Mapping[str, Any], at: float) -> Write:
        """What an InferenceService, as it was seen at a moment, asks for."""
        predictor = service["spec"].get("predictor") or {}
        version = (predictor.get("annotations") or {}).get(f"{GROUP}/version")
        return cls(
            int(service["metadata"]["generation"]),
            int(version) if version else None,
            predictor.get("canaryTrafficPercent"),
            at,
        )

    def __str__(self) -> str:
        share = "all requests" if self.percent is None else f"{self.percent}% of the requests"
        return f"generation {self.generation}: version {self.version}, {share}"


class Writes:
    """A watch on one InferenceService; the API server tells every generation of it."""

    def __init__(self, resources: Resources, name: str) -> None:
        self._resources, self._name = resources, name
        self._found: list[Write] = []
        self._trouble = ""
        self._thread = threading.Thread(target=self._watch, daemon=True, name=f"watch of {name}")

    def start(self) -> None:
        """Begin; the thread ends with its connection, or with this process."""
        self._thread.start()

    @property
    def all(self) -> tuple[Write, ...]:
        """Those so far.

        Raises
        ------
        DemoError
            If the watch has ended.
        """
        if self._trouble:
            raise DemoError(f"nothing more is heard of the InferenceService {self._name}: {self._trouble}")
        return tuple(self._found)

    def _watch(self) -> None:
        path = f"{_SERVICES}/namespaces/{self._resources.namespace}/inferenceservices"
        try:
            selected = f"{path}?fieldSelector=metadata.name={self._name}"
            for event in self._resources.rest.watch(selected, _SECONDS):
                self._take(event)
            self._trouble = "the watch ended"
        except (RestError, OSError, ValueError, http.client.HTTPException) as error:
            self._trouble = str(error)

    def _take(self, event: Mapping[str, Any]) -> None:
        write = Write.read(event["object"], time.monotonic())
        if not self._found or self._found[-1].generation != write.generation:
            self._found.append(write)
