"""What the acts of the demos share: a resource on a running platform, its data, and what is shown of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from sandbox.client import PredictionError, Resources, ask
from sandbox.demo.requests import Reply, RequestStream
from sandbox.demo.screen import LONGEST, Screen, shortened
from sandbox.demo.waiting import Body, DemoError, Watcher, judged, serves, taken_back
from sandbox.digits import held_out, write_digits
from sandbox.platform import ROOT, Platform

EXAMPLE = ROOT / "examples" / "digits.yaml"
_DIGITS, _TO_TRAIN = 1797, round(1797 * 0.8)


@dataclass
class Stage:
    """One resource and everything around it.

    Attributes
    ----------
    body
        The resource, as it was last applied.
    seconds
        How long anything that is waited for may take.
    """

    running: Platform
    screen: Screen
    body: dict[str, Any]
    seconds: float = 300.0

    def __post_init__(self) -> None:
        self.resources = Resources.from_kubeconfig(self.running.kubeconfig)
        self.watcher = Watcher(self.resources, self.name, self.screen, self.running.check)
        self.data = self.running.folder / "digits"

    @property
    def name(self) -> str:
        """The resource's, which is the model's."""
        return str(self.body["metadata"]["name"])

    def upload(self, augment: int = 0) -> None:
        """Put real handwriting into the bucket, with so many shifted copies of each training image."""
        write_digits(self.data, augment=augment)
        uri = self.body["spec"]["data"]["uri"]
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        client = self.running.s3()
        for file in sorted(self.data.iterdir()):
            client.upload_file(str(file), bucket, prefix + file.name)
        copies = f", each {augment + 1} times, shifted" if augment else ""
        self.screen.say(f"  {_TO_TRAIN} images to train on{copies}, {_DIGITS - _TO_TRAIN} held out: {uri}")

    def apply(self) -> None:
        """Apply the resource, as `kubectl apply` does."""
        self.resources.apply(self.body)

    def edit(self, section: str, **fields: Any) -> None:
        """Apply it with other fields in a section of its specification; None takes one away."""
        self.body = copy.deepcopy(self.body)
        edited = self.body["spec"].pop(section, {}) | fields
        if kept := {name: value for name, value in edited.items() if value is not None}:
            self.body["spec"][section] = kept  # a section that is left empty is refused as null
        self.apply()

    def first_version(self) -> str:
        """Apply the resource, wait until version 1 serves, and return the address of its predictions."""
        self.apply()
        body = self.until_serves(1)
        self.show(body)
        return str(body["status"]["served"]["url"])

    def until_serves(self, version: int) -> Body:
        """Wait until a version is proven to serve and nothing is to do."""
        return self.watcher.until(f"version {version} serves", serves(version), self.seconds)

    def until_rejected(self, version: int) -> Body:
        """Wait for a verdict that says no.

        Raises
        ------
        DemoError
            If it says yes.
        """
        body = self.watcher.until(f"version {version} has its verdict", judged(version), self.seconds)
        verdict = body["status"]["candidate"]["verdict"]
        if verdict["accepted"]:
            raise DemoError(f"version {version} was accepted: {verdict['message']}")
        return body

    def until_taken_back(self, version: int) -> Body:
        """Wait until a version that was accepted has failed to serve."""
        return self.watcher.until(f"version {version} is taken back", taken_back(version), self.seconds)

    def show(self, body: Body) -> None:
        """Print the newest verdict, and what `kubectl get` does."""
        candidate = body["status"]["candidate"]
        verdict = candidate["verdict"]
        word = "accepted" if verdict["accepted"] else "rejected"
        word = "taken back" if verdict["reason"] == "FailedToServe" else word
        self.screen.say(
            f"  version {candidate['version']} {word}: {shortened(verdict['message'], 2 * LONGEST)}"
        )
        self.get()

    def get(self) -> None:
        """Print what `kubectl get` does."""
        self.screen.say("\n  $ kubectl get trainandserve")
        self.screen.say(indented(self.resources.table()))

    def describe(self) -> None:
        """Print the events that `kubectl describe` prints."""
        events = self.resources.events(self.name)
        self.screen.say(f"\nkubectl describe trainandserve {self.name}\n...\nEvents:\n{events}")

    def stream(
        self, url: str, rate: float, version_of: Callable[[str], int | None] = lambda pod: None
    ) -> RequestStream:
        """Requests with the held-out images, so many a second, which is said.

        Parameters
        ----------
        version_of
            Says which version a pod serves, by its name.
        """

        def predicted(instance: Any) -> Reply:
            answer = ask(url, self.name, [instance])
            (found,) = answer.predictions
            if not isinstance(found, list):
                raise PredictionError(f"not a list of probabilities: {str(found)[:100]}")
            return Reply(found, version_of(answer.pod))

        self.screen.say(
            f"\nFrom here on, {rate:g} prediction requests a second, through everything that follows."
        )
        images, labels = held_out(self.data)
        return RequestStream(
            predicted,
            images[..., np.newaxis].tolist(),
            labels.tolist(),
            rate,
            lambda line: self.screen.say(f"  {line}"),
        )


def example() -> dict[str, Any]:
    """The smallest useful resource, of examples/."""
    body: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    return body


def indented(text: str) -> str:
    """Text, two blanks further to the right."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def written(parameters: Mapping[str, Any]) -> str:
    """Parameters, as one writes them in one line of YAML."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in parameters.items()) + "}"
