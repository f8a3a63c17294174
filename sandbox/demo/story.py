"""The demo's acts."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from sandbox.client import RETRAIN, PredictionError, Resources, predict
from sandbox.demo.drawing import draw, side_by_side
from sandbox.demo.requests import RequestStream, likeliest
from sandbox.demo.screen import Screen
from sandbox.demo.waiting import Body, DemoError, Watcher, judged, serves
from sandbox.digits import held_out, write_digits
from sandbox.platform import ROOT, Platform

EXAMPLE = ROOT / "examples" / "digits.yaml"
BETTER = {"epochs": 20, "batchSize": 32, "hiddenUnits": 256}
HOPELESS = {"learningRate": 10, "epochs": 2}
FIRST_SECONDS = 300.0
NEXT_SECONDS = 300.0
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
        self._resources = Resources.from_kubeconfig(self.running.kubeconfig)
        self._body: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
        self._name = str(self._body["metadata"]["name"])
        self._watcher = Watcher(self._resources, self._name, self.screen, self.running.check)
        self._data = self.running.folder / "digits"

    def play(self) -> None:
        """Play all acts.

        Raises
        ------
        DemoError
            If one does not end as it must; at the first failed request, after the last act.
        """
        screen = self.screen
        with screen.act("Real handwriting into the bucket"):
            self._upload(augment=0)
        with screen.act(f"kubectl apply -f examples/{EXAMPLE.name}"):
            url = self._first_version()
        with screen.act("Real held-out images to the served model"):
            self._predictions(url)
        images, labels = held_out(self._data)
        ask = functools.partial(_one_prediction, url, self._name)
        stream = RequestStream(
            ask,
            images[..., np.newaxis].tolist(),
            labels.tolist(),
            self.rate,
            lambda line: screen.say(f"  {line}"),
        )
        screen.say(
            f"\nFrom here on, {self.rate:g} prediction requests a second, through everything that follows."
        )
        with stream:
            with screen.act(f"Other parameters: kubectl apply, with training.parameters {_written(BETTER)}"):
                self._next_version(2, parameters=BETTER, stream=stream)
            with screen.act(f"More data in the bucket, then kubectl annotate {RETRAIN}=..."):
                self._upload(augment=1)
                self._resources.annotate(self._name, {RETRAIN: "more-data"})
                self._next_version(3, stream=stream)
            with screen.act(f"Parameters that cannot work: {_written(HOPELESS)}"):
                self._rejected_version(4, still=3)
        screen.say(f"\nThe stream: {stream.summary()}")
        screen.say(
            f"\nkubectl describe trainandserve {self._name}\n...\nEvents:\n{self._resources.events(self._name)}"
        )
        if stream.failures or not stream.sent:
            raise DemoError(f"{len(stream.failures)} of {stream.sent} prediction requests failed; 0 may")

    def _upload(self, augment: int) -> None:
        write_digits(self._data, augment=augment)
        uri = self._body["spec"]["data"]["uri"]
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        client = self.running.s3()
        for file in sorted(self._data.iterdir()):
            client.upload_file(str(file), bucket, prefix + file.name)
        copies = f", each {augment + 1} times, shifted" if augment else ""
        train = round(1797 * 0.8)
        self.screen.say(f"  {train} images to train on{copies}, {1797 - train} held out: {uri}")

    def _first_version(self) -> str:
        text = EXAMPLE.read_text()
        self.screen.say("\n".join(f"  | {line}" for line in text.splitlines() if not line.startswith("#")))
        self._resources.apply(self._body)
        body = self._watcher.until("version 1 serves", serves(1), FIRST_SECONDS)
        self._show(body)
        return str(body["status"]["served"]["url"])

    def _next_version(
        self, version: int, stream: RequestStream, parameters: Mapping[str, Any] | None = None
    ) -> None:
        if parameters is not None:
            self._resources.apply(self._changed(parameters))
        body = self._watcher.until(f"version {version} serves", serves(version), NEXT_SECONDS)
        self._show(body)
        self.screen.say(f"  so far {stream.summary()}")

    def _rejected_version(self, version: int, still: int) -> None:
        self._resources.apply(self._changed(HOPELESS))
        body = self._watcher.until(f"version {version} has its verdict", judged(version), NEXT_SECONDS)
        if body["status"]["candidate"]["verdict"]["accepted"]:
            raise DemoError(
                f"version {version} was accepted: {body['status']['candidate']['verdict']['message']}"
            )
        body = self._watcher.until(f"version {still} serves again", serves(still), NEXT_SECONDS)
        self._show(body)
        self.screen.say(f"  version {still} went on serving; nothing of it was touched")

    def _changed(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        body = copy.deepcopy(self._body)
        body["spec"]["training"]["parameters"] = dict(parameters)
        return body

    def _show(self, body: Body) -> None:
        candidate = body["status"]["candidate"]
        verdict = candidate["verdict"]
        word = "accepted" if verdict["accepted"] else "rejected"
        self.screen.say(f"  version {candidate['version']} {word}: {verdict['message']}")
        self.screen.say("\n  $ kubectl get trainandserve")
        self.screen.say("\n".join(f"  {line}" for line in self._resources.table().splitlines()))

    def _predictions(self, url: str) -> None:
        images, labels = held_out(self._data)
        self.screen.say(f"  POST {url}/v1/models/{self._name}:predict")
        found = predict(url, self._name, images[:_ASKED, ..., np.newaxis].tolist())
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


def _one_prediction(url: str, name: str, instance: Any) -> list[float]:
    found = predict(url, name, [instance])[0]
    if not isinstance(found, list):
        raise PredictionError(f"not a list of probabilities: {str(found)[:100]}")
    return found


def _written(parameters: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in parameters.items()) + "}"
