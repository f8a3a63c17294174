"""The few things that one does with a TrainAndServe, for machines without kubectl.

    python -m sandbox.client apply FILE | get | wait NAME | describe NAME | retrain NAME | predict NAME | delete NAME

Looks at $KUBECONFIG, as kubectl does; the sandbox prints which one is its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sandbox import tables
from sandbox.controlplane.rest import APPLY, Rest, RestError
from sandbox.digits import digits

GROUP = "trainandserve.io"
RETRAIN = f"{GROUP}/retrain"
SERVED_BY = "X-Served-By"
"""Header in which the sandbox's addresses name the pod that answered. KServe itself has none such."""

_PREDICT_SECONDS = 30.0
_LOOK_SECONDS = 0.5


class PredictionError(RuntimeError):
    """A model server did not answer with predictions; the message says what it did instead."""


class GaveUp(RuntimeError):
    """The operator does not go on by itself; the message has its words."""


@dataclass(frozen=True)
class Resources:
    """The TrainAndServes of one namespace, seen by one user."""

    rest: Rest
    namespace: str

    @classmethod
    def from_kubeconfig(cls, file: Path) -> Resources:
        """The user and the namespace of a kubeconfig's current context."""
        config = yaml.safe_load(file.read_text())
        context = next(c for c in config["contexts"] if c["name"] == config["current-context"])
        return cls(Rest.from_kubeconfig(file), context["context"].get("namespace", "default"))

    def _path(self, name: str = "") -> str:
        path = f"/apis/{GROUP}/v1alpha1/namespaces/{self.namespace}/trainandserves"
        return f"{path}/{name}" if name else path

    def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Apply on the server's side, as `kubectl apply --server-side` does."""
        query = "fieldManager=kubectl&force=true&fieldValidation=Strict"
        path = f"{self._path(body['metadata']['name'])}?{query}"
        applied: dict[str, Any] = self.rest.call("PATCH", path, dict(body), APPLY)
        return applied

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rest.call("GET", self._path(name))
        return found

    def delete(self, name: str) -> None:
        self.rest.call("DELETE", self._path(name))

    def table(self) -> str:
        """What `kubectl get trainandserves` prints."""
        return tables.render(self.rest.call("GET", self._path(), accept=tables.TABLE))

    def events(self, name: str) -> str:
        """What `kubectl describe` prints below the object: its events, oldest first."""
        selector = f"involvedObject.kind=TrainAndServe,involvedObject.name={name}"
        query = urllib.parse.urlencode({"fieldSelector": selector})
        found = self.rest.call("GET", f"/api/v1/namespaces/{self.namespace}/events?{query}")
        return tables.events(found["items"], tables.now())

    def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations, as `kubectl annotate --overwrite` does."""
        body = {"metadata": {"annotations": dict(annotations)}}
        self.rest.call("PATCH", self._path(name), body, "application/merge-patch+json")


@dataclass(frozen=True)
class Answer:
    """Predictions, one an instance, and the name of the pod that they come from; empty where nothing says it."""

    predictions: list[Any]
    pod: str = ""


def predict(url: str, name: str, instances: list[Any], timeout: float = _PREDICT_SECONDS) -> list[Any]:
    """Ask a model server for predictions, by the V1 protocol; see `ask`."""
    return ask(url, name, instances, timeout).predictions


def ask(url: str, name: str, instances: list[Any], timeout: float = _PREDICT_SECONDS) -> Answer:
    """Ask a model server for predictions, by the V1 protocol.

    Parameters
    ----------
    url
        Of the InferenceService: `status.served.url`.
    name
        The model's: that of the resource.
    instances
        Images as nested lists of pixel values 0-255: height, width, channels.

    Raises
    ------
    PredictionError
        If it answers with something else, or not at all.
    """
    request = urllib.request.Request(  # noqa: S310 - an address of the sandbox
        f"{url}/v1/models/{name}:predict",
        data=json.dumps({"instances": instances}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            predictions, pod = json.load(answer)["predictions"], answer.headers.get(SERVED_BY, "")
    except urllib.error.HTTPError as error:
        raise PredictionError(f"{error.code}: {error.read()[:200].decode(errors='replace')}") from error
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise PredictionError(f"{type(error).__name__}: {error}") from error
    if not isinstance(predictions, list) or len(predictions) != len(instances):
        raise PredictionError(
            f"no prediction for each of {len(instances)} instances: {str(predictions)[:200]}"
        )
    return Answer(predictions, pod)


def wait(resources: Resources, name: str, say: Callable[[str], None]) -> str:
    """Return what the operator says once a version serves and nothing is under way, and say each step on the way.

    Raises
    ------
    GaveUp
        If the operator says that it has stalled.
    """
    said = ""
    while True:
        body = resources.get(name)
        status = body.get("status", {})
        if is_seen(body):
            ready, stalled = condition(status, "Ready"), condition(status, "Stalled")
            if stalled.get("status") == "True":
                raise GaveUp(f"{name}: {stalled['message']}")
            if status.get("phase") == "Serving" and ready.get("status") == "True":
                return f"{name}: {ready['message']}"
            words = (condition(status, "Reconciling") or ready).get("message", "")
            if (line := f"{status.get('phase')}  {words}") != said:
                say(said := line)
        time.sleep(_LOOK_SECONDS)


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    """One condition of a resource's status; empty if it is not there."""
    found = (one for one in status.get("conditions", []) if one["type"] == kind)
    empty: Mapping[str, str] = {}
    return next(found, empty)


def is_seen(body: Mapping[str, Any]) -> bool:
    """Whether a resource's status speaks of its present specification."""
    return bool(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"])


def main(arguments: list[str] | None = None) -> int:
    """Do one of these things; 1 if the API server or the model server refuses."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.client", description="What one does with a TrainAndServe, without kubectl."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="apply a file").add_argument("target", metavar="FILE")
    commands.add_parser("get", help="all resources, one line each").set_defaults(target="")
    for command, words in (
        ("wait", "until a version serves and nothing is under way; says what goes on meanwhile"),
        ("describe", "a resource as YAML, and its events"),
        ("retrain", "train a new version on the data as it is now"),
        ("predict", "send three handwritten digits to the model"),
        ("delete", "delete a resource"),
    ):
        commands.add_parser(command, help=words).add_argument("target", metavar="NAME")
    chosen = parser.parse_args(arguments)
    kubeconfig = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    try:
        print(_answer(Resources.from_kubeconfig(kubeconfig), chosen.command, chosen.target))
    except (RestError, PredictionError, GaveUp, OSError, ValueError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _answer(resources: Resources, command: str, target: str) -> str:
    match command:
        case "apply":
            documents = [found for found in yaml.safe_load_all(Path(target).read_text()) if found]
            applied = [resources.apply(document)["metadata"]["name"] for document in documents]
            return "\n".join(f"trainandserve.{GROUP}/{name} applied" for name in applied)
        case "get":
            return resources.table()
        case "wait":
            return wait(resources, target, lambda line: print(line, flush=True))
        case "describe":
            body = resources.get(target)
            body["metadata"].pop("managedFields", None)
            return f"{yaml.safe_dump(body, sort_keys=False)}Events:\n{resources.events(target)}"
        case "retrain":
            resources.annotate(target, {RETRAIN: tables.now().isoformat(timespec="seconds")})
            return f"trainandserve.{GROUP}/{target} annotated"
        case "predict":
            return _predictions(resources.get(target))
        case _:
            resources.delete(target)
            return f"trainandserve.{GROUP}/{target} is being deleted"


def _predictions(body: Mapping[str, Any]) -> str:
    served = body.get("status", {}).get("served") or {}
    if "url" not in served:
        raise PredictionError(f"{body['metadata']['name']} serves no version yet")
    images, labels = digits()
    found = predict(served["url"], body["metadata"]["name"], images[:3, ..., np.newaxis].tolist())
    return "\n".join(
        f"a handwritten {label}: the model says {max(range(len(one)), key=one.__getitem__)} ({max(one):.1%})"
        for label, one in zip(labels, found, strict=False)
    )


if __name__ == "__main__":
    sys.exit(main())
