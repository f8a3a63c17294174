"""The demo's acts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.client import RETRAIN, predict
from sandbox.demo.drawing import draw, side_by_side
from sandbox.demo.requests import RequestStream, likeliest
from sandbox.demo.screen import Screen
from sandbox.demo.stage import EXAMPLE, Stage, example, written
from sandbox.demo.waiting import DemoError
from sandbox.digits import held_out
from sandbox.platform import Platform

BETTER = {"epochs": 20, "batchSize": 32, "hiddenUnits": 256}
HOPELESS = {"learningRate": 10, "epochs": 2}
_DRAWN = 4
_LISTED = 30
_ASKED = 200


@dataclass
class Story:
    """Four versions of one model: the first, two better ones, and one that is turned down.

    Attributes
    ----------
    rate
        Prediction requests a second while versions are switched.
    """

    running: Platform
    screen: Screen
    rate: float

    def __post_init__(self) -> None:
        self._stage = Stage(self.running, self.screen, example())

    def play(self) -> None:
        """Play all acts.

        Raises
        ------
        DemoError
            If one does not end as it must; at the first failed request, after the last act.
        """
        screen, stage = self.screen, self._stage
        with screen.act("Real handwriting into the bucket"):
            stage.upload()
        with screen.act(f"kubectl apply -f examples/{EXAMPLE.name}"):
            url = self._first_version()
        with screen.act("Real held-out images to the served model"):
            self._predictions(url)
        stream = stage.stream(url, self.rate)
        with stream:
            with screen.act(f"Other parameters: kubectl apply, with training.parameters {written(BETTER)}"):
                self._next_version(2, parameters=BETTER, stream=stream)
            with screen.act(f"More data in the bucket, then kubectl annotate {RETRAIN}=..."):
                stage.upload(augment=1)
                stage.resources.annotate(stage.name, {RETRAIN: "more-data"})
                self._next_version(3, stream=stream)
            with screen.act(f"Parameters that cannot work: {written(HOPELESS)}"):
                self._rejected_version(4, still=3)
        screen.say(f"\nThe stream: {stream.summary()}")
        stage.describe()
        if stream.failures or not stream.sent:
            raise DemoError(f"{len(stream.failures)} of {stream.sent} prediction requests failed; 0 may")

    def _first_version(self) -> str:
        text = EXAMPLE.read_text()
        self.screen.say("\n".join(f"  | {line}" for line in text.splitlines() if not line.startswith("#")))
        return self._stage.first_version()

    def _next_version(
        self, version: int, stream: RequestStream, parameters: Mapping[str, Any] | None = None
    ) -> None:
        if parameters is not None:
            self._stage.edit("training", parameters=dict(parameters))
        self._stage.show(self._stage.until_serves(version))
        self.screen.say(f"  so far {stream.summary()}")

    def _rejected_version(self, version: int, still: int) -> None:
        self._stage.edit("training", parameters=HOPELESS)
        self._stage.until_rejected(version)
        self._stage.show(self._stage.until_serves(still))
        self.screen.say(f"  version {still} went on serving; nothing of it was touched")

    def _predictions(self, url: str) -> None:
        images, labels = held_out(self._stage.data)
        self.screen.say(f"  POST {url}/v1/models/{self._stage.name}:predict")
        found = predict(url, self._stage.name, images[:_ASKED, ..., np.newaxis].tolist())
        said = [likeliest(one) for one in found]
        self.screen.say("\n" + _drawn(images, labels.tolist(), said) + "\n")
        self.screen.say(f"  truth      {_row(labels)}\n  prediction {_row(said)}")
        right = sum(int(label) == guess for label, guess in zip(labels, said, strict=False))
        self.screen.say(f"  {right} of {len(said)} right")
        if right < 0.9 * len(said):
            raise DemoError(
                f"only {right} of {len(said)} predictions are right: the served model is not the one that was evaluated"
            )


def _drawn(images: npt.NDArray[np.uint8], labels: list[int], said: list[int]) -> str:
    """The first images of some different digits, with the truth and the prediction below each."""
    chosen = [labels.index(digit) for digit in sorted(set(labels[: len(said)]))][:_DRAWN]
    captions = [f"is {labels[i]}, said {said[i]}" for i in chosen]
    lines = side_by_side([draw(images[i]) for i in chosen], captions).splitlines()
    return "\n".join(f"    {line}" for line in lines)


def _row(numbers: Iterable[int]) -> str:
    return " ".join(map(str, itertools.islice(numbers, _LISTED)))
