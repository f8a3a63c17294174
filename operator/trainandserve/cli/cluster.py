"""The door to the API server, for one user: who the kubeconfig says that they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..gateways.errors import brief
from ..resource import API_VERSION, KIND, PLURAL
from .applying import Application
from .errors import CliError, NotFound, PassedOn, WrongInput

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Json = dict[str, Any]

FIELD_MANAGER = "kubectl-tas"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"

_SECONDS = 20.0
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NAMESPACE = "default"


@dataclass(frozen=True)
class Where:
    """Which cluster, as whom, and in which namespace; None is what the kubeconfig says."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


class Cluster:
    """Requests to the API server, each with a time limit and an answer in our own types."""

    def __init__(self, api: ApiClient, namespace: str, seconds: float = _SECONDS) -> None:
        self._api = api
        self.namespace = namespace
        self._seconds = seconds

    @classmethod
    def connected(cls, where: Where, seconds: float = _SECONDS) -> Cluster:
        """As the kubeconfig says, or, in a pod without one, as its service account.

        Raises
        ------
        WrongInput
            There is no kubeconfig that could be used, or it has no such context.
        """
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            config.load_kube_config(
                config_file=where.kubeconfig, context=where.context, client_configuration=settings
            )
            namespace = _namespace_of(where)
        except config.ConfigException as error:
            if where.kubeconfig or where.context or not _IN_CLUSTER.exists():
                raise WrongInput(f"the kubeconfig cannot be used: {brief(error)}") from error
            config.load_incluster_config(client_configuration=settings)
            namespace = _IN_CLUSTER.read_text().strip()
        settings.retries = False
        return cls(client.ApiClient(settings), where.namespace or namespace, seconds)

    # --- Our resources --------------------------------------------------------------------------------------------

    def get(self, name: str) -> Json:
        """One TrainAndServe, as the API server has it."""
        return self.request("GET", self._path(name))

    def all(self, *, all_namespaces: bool = False) -> list[Json]:
        """The TrainAndServes of the namespace, or of all namespaces."""
        path = f"/apis/{API_VERSION}/{PLURAL}" if all_namespaces else self._path()
        found: list[Json] = self.request("GET", path).get("items") or []
        return found

    def patch(self, name: str, patch: Json, *, dry_run: bool = False) -> Json:
        """Merge-patch a TrainAndServe; in a dry run the API server checks and answers, and stores nothing."""
        return self.request("PATCH", self._path(name), body=patch, query=_writing(dry_run), content=MERGE)

    def would_apply(self, name: str, apply: Application) -> Json:
        """What the API server would have after an apply, checked and with what others set; nothing is stored."""
        if apply.manager is None:
            return self.request(
                "PATCH", self._path(name), body=apply.body, query=_writing(True), content=MERGE
            )
        query = {"fieldManager": apply.manager, "dryRun": "All", "force": "true", "fieldValidation": "Strict"}
        return self.request("PATCH", self._path(name), body=apply.body, query=query, content=APPLY)

    def _path(self, name: str = "") -> str:
        path = f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}"
        return f"{path}/{name}" if name else path

    # --- Others ---------------------------------------------------------------------------------------------------

    def items(self, path: str, selector: str) -> list[Json]:
        """The objects of a collection that a label selector chooses."""
        found: list[Json] = self.request("GET", path, query={"labelSelector": selector}).get("items") or []
        return found

    def lines(self, path: str, query: Mapping[str, str], *, endless: bool = False) -> Iterator[str]:
        """The lines of an answer that is text, as they come."""
        answer = self._open("GET", path, query=query, seconds=None if endless else self._seconds)
        yield from _lines(answer.stream(4096, decode_content=True))

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Json:
        """One request and its JSON answer.

        Raises
        ------
        NotFound
            The API server says that there is no such object, or that it does not know the kind.
        CliError
            It refuses, or does not answer.
        """
        answer = self._open(method, path, body=body, query=query, content=content, seconds=self._seconds)
        found: Json = json.loads(answer.data)
        return found

    def _open(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        seconds: float | None,
    ) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json, */*", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=(self._seconds, seconds),
            )
        except ApiException as error:
            raise _refusal(error.status, error.body, path) from error
        except HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise CliError(
                f"the API server {self._api.configuration.host} does not answer: {brief(reason)}"
            ) from error


def _namespace_of(where: Where) -> str:
    from kubernetes import config

    contexts, active = config.list_kube_config_contexts(where.kubeconfig)
    chosen = next((one for one in contexts if one["name"] == where.context), active)
    return str((chosen.get("context") or {}).get("namespace") or _NAMESPACE)


def _writing(dry_run: bool) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | (
        {"dryRun": "All"} if dry_run else {}
    )


def _refusal(status: int, body: bytes | str | None, path: str) -> CliError:
    try:
        answer = json.loads(body or "")
    except ValueError:
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    if "/proxy/" in path and answer.get("kind") != "Status":
        return PassedOn(f"it answers {status}: {brief(_text(body))}")
    message = brief(answer.get("message") or _text(body) or f"status {status}")
    if status == 404:
        if (answer.get("details") or {}).get("name"):
            return NotFound(message)
        return NotFound(f"the cluster knows no {KIND} (crds/ has its definition): {path}: {message}")
    if status in (400, 422):
        return WrongInput(f"the API server refuses it: {message}")
    return CliError(f"the API server answers {status}: {message}")


def _text(body: bytes | str | None) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else body or ""


def _lines(parts: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
