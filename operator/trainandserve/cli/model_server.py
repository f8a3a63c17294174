"""The door to the model server: by its address, or through the API server where that cannot be reached from here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..gateways.errors import brief
from ..names import INFERENCE_SERVICE_LABEL, predictor_deployment
from .cluster import Cluster, Json
from .errors import CliError, PassedOn

_SECONDS = 30.0
_CONNECT_SECONDS = 3.0
_POD_PORT = 8080


class NoWayThere(CliError):
    """The address cannot be reached from here: another way may lead there."""


class Answered(CliError):
    """The model server answers, and not with predictions."""


@dataclass(frozen=True)
class Way:
    """One way to the model server; `call` asks a path of it, with a body or without."""

    words: str
    call: Callable[[str, Json | None], Any]


def ways(cluster: Cluster, name: str, url: str | None) -> Iterator[Way]:
    """Ways to the model server, the straightest first: its address, its Service, a pod of it that is ready."""
    if url:
        yield Way(url, lambda path, body: ask(f"{url.rstrip('/')}{path}", body))
    namespace = cluster.namespace
    service = f"/api/v1/namespaces/{namespace}/services/http:{predictor_deployment(name)}:80/proxy"
    yield Way("the API server's way to the Service", _through(cluster, service))
    for pod in _ready_pods(cluster, name):
        path = f"/api/v1/namespaces/{namespace}/pods/http:{pod}:{_POD_PORT}/proxy"
        yield Way(f"the API server's way to pod {pod}", _through(cluster, path))


def _through(cluster: Cluster, base: str) -> Callable[[str, Json | None], Any]:
    def call(path: str, body: Json | None) -> Any:
        try:
            return cluster.request("POST" if body else "GET", f"{base}{path}", body=body)
        except PassedOn as error:
            raise Answered(str(error)) from error
        except CliError as error:
            raise NoWayThere(str(error)) from error

    return call


def _ready_pods(cluster: Cluster, name: str) -> list[str]:
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    pods = cluster.items(path, f"{INFERENCE_SERVICE_LABEL}={name}")
    return [str(pod["metadata"]["name"]) for pod in pods if _is_ready(pod)]


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def ask(url: str, body: Json | None) -> Any:
    """Ask an address; the JSON that it answers.

    Raises
    ------
    NoWayThere
        There is no connection.
    Answered
        It answers with another status than 200, or with what is no JSON.
    """
    import urllib3

    http = urllib3.PoolManager(
        retries=False, timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SECONDS)
    )
    try:
        answer = http.request("POST" if body else "GET", url, json=body) if body else http.request("GET", url)
    except (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
        urllib3.exceptions.NameResolutionError,
        urllib3.exceptions.LocationParseError,
    ) as error:
        raise NoWayThere(f"{url} cannot be reached from here: {brief(error)}") from error
    except urllib3.exceptions.HTTPError as error:
        raise Answered(f"{url}: {brief(error)}") from error
    if answer.status != 200:
        raise Answered(f"{url} answers {answer.status}: {brief(answer.data.decode(errors='replace'))}")
    try:
        return json.loads(answer.data)
    except ValueError as error:
        raise Answered(f"{url} answers with what is no JSON") from error
