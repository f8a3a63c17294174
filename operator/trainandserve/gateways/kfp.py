"""The door to Kubeflow Pipelines: its REST API v2beta1, by plain HTTP.

The generated client blocks, has no time limits of its own and shares state between threads; what is needed of the API is
five requests. Nothing here repeats a request: a second POST with the same run id leaves a second Workflow behind.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from .. import reasons
from ..observation import ABSENT, Absence, KfpRun, Step
from ..settings import Settings
from .errors import Conflict, GatewayError, NotFound, Refused, Unreachable, brief

_NOT_FOUND = 5
_ALREADY_EXISTS = 6
_INVALID_ARGUMENT = 3
_STATES = {None: "PENDING", "": "PENDING", "RUNTIME_STATE_UNSPECIFIED": "PENDING"}


@dataclass(frozen=True)
class Submission:
    """A run as it is submitted: its own id, and the compiled pipeline with its parameters."""

    run_id: str
    display_name: str
    description: str
    experiment_id: str | None
    pipeline: Mapping[str, Any]
    parameters: Mapping[str, Any]
    service_account: str | None = None


class NotTakenError(GatewayError):
    """The run was not taken for a reason that is not its own: identity, rights, a missing experiment. Nothing runs."""


class IdNotHonouredError(Refused):
    """The server gives runs ids of its own."""


class Kfp:
    """Requests to Kubeflow Pipelines."""

    def __init__(self, http: aiohttp.ClientSession, settings: Settings) -> None:
        self._http = http
        self._settings = settings
        self._base = f"{settings.kfp_url}/apis/v2beta1"
        self._timeout = aiohttp.ClientTimeout(total=settings.request_timeout.total_seconds(), sock_connect=5)
        self._multi_user: bool | None = (
            None if settings.kfp_mode == "auto" else settings.kfp_mode == "multi-user"
        )
        self._experiments: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def connected(cls, settings: Settings) -> AsyncIterator[Kfp]:
        """A connection pool of its own."""
        trust = ssl.create_default_context(cafile=str(settings.kfp_ca_file)) if settings.kfp_ca_file else True
        connector = aiohttp.TCPConnector(ssl=trust, limit=32)
        async with aiohttp.ClientSession(connector=connector) as http:
            yield cls(http, settings)

    async def multi_user(self) -> bool:
        """Whether every namespace has its own runs: as the settings say, or as the server says itself.

        Raises
        ------
        Unreachable
            It does not answer.
        """
        if self._multi_user is None:
            health = await self._request("GET", "/healthz")
            self._multi_user = bool(health.get("multi_user"))
        return self._multi_user

    async def get_run(self, run_id: str) -> KfpRun | Literal[Absence.ABSENT]:
        """A run, or `ABSENT` when the server itself says so: a gateway's 404 does not count."""
        try:
            return _run(await self._request("GET", f"/runs/{run_id}"))
        except NotFound:
            return ABSENT

    async def submit(self, submission: Submission) -> None:
        """POST the run, once.

        Raises
        ------
        Refused
            The answer means that there is no run and no Workflow: this run cannot be.
        NotTakenError
            The same, but it is not the run's fault.
        IdNotHonouredError
            There is a run, under an id that nobody asked for: this server cannot be worked with.
        Unreachable
            There may be a run, or a Workflow, or neither: look.
        """
        body: dict[str, Any] = {
            "run_id": submission.run_id,
            "display_name": submission.display_name,
            "description": submission.description,
            "pipeline_spec": submission.pipeline,
            "runtime_config": {"parameters": dict(submission.parameters)},
        }
        if submission.service_account:
            body["service_account"] = submission.service_account
        if submission.experiment_id:
            body["experiment_id"] = submission.experiment_id
        try:
            given = (await self._request("POST", "/runs", body)).get("run_id")
        except NotFound as error:
            self._experiments.clear()  # somebody deleted ours: it is made again
            raise NotTakenError(reasons.KFP_REFUSED, error.message) from error
        except Refused as error:
            if error.reason == reasons.KFP_REFUSED:
                raise NotTakenError(error.reason, error.message) from error
            raise
        if given != submission.run_id:
            await self.terminate(str(given))
            raise IdNotHonouredError(
                reasons.SUBMISSION_REFUSED,
                f"Kubeflow Pipelines gave the run another id ({given}) than it was asked to: with such a server a run could "
                "be launched twice; that run was stopped, and no other is started",
            )

    async def terminate(self, run_id: str) -> None:
        """Ask for the run's end; one that is over or unknown is fine."""
        try:
            await self._request("POST", f"/runs/{run_id}:terminate", {})
        except NotFound:
            return
        except Refused as error:
            if (
                error.reason != reasons.SUBMISSION_REFUSED
            ):  # a finished run is an invalid argument; refused rights are not
                raise

    async def experiment(self, namespace: str) -> str:
        """The experiment of a namespace, made when it is not there: it decides where the runs execute."""
        if namespace not in self._experiments:
            name = "trainandserve"
            try:
                made = await self._request(
                    "POST", "/experiments", {"display_name": name, "namespace": namespace}
                )
            except Conflict:
                made = await self._find_experiment(name, namespace)
            self._experiments[namespace] = str(made["experiment_id"])
        return self._experiments[namespace]

    async def _find_experiment(self, name: str, namespace: str) -> dict[str, Any]:
        filters = {"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]}
        query = {"namespace": namespace, "filter": json.dumps(filters)}
        found = (await self._request("GET", "/experiments", query=query)).get("experiments") or []
        if not found:
            raise Unreachable(
                reasons.KFP_UNREACHABLE, f"the experiment {name} of {namespace} exists but is not listed"
            )
        first: dict[str, Any] = found[0]
        return first

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            async with self._http.request(
                method,
                f"{self._base}{path}",
                json=body,
                params=query,
                headers=self._headers(),
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                data = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = brief(error) or type(error).__name__
            raise Unreachable(
                reasons.KFP_UNREACHABLE,
                f"Kubeflow Pipelines at {self._settings.kfp_url} does not answer: {what}",
            ) from error
        return _read(answer.status, data, self._settings.kfp_url)

    def _headers(self) -> dict[str, str]:
        """The service account token, read anew each time: the kubelet renews it."""
        path: Path = self._settings.kfp_token_path
        try:
            return {"Authorization": f"Bearer {path.read_text().strip()}"}
        except OSError:
            return {}


def _read(status: int, data: bytes, url: str) -> dict[str, Any]:
    try:
        body = json.loads(data or b"{}")
    except ValueError:
        body = None
    if 200 <= status < 300 and isinstance(body, dict):
        return body
    raise _error(status, body, url)


def _error(status: int, body: Any, url: str) -> GatewayError:
    """What an answer means is said by its body: a 500 may be an invalid pipeline, a 404 a gateway's."""
    if not isinstance(body, dict) or "code" not in body:
        return Unreachable(
            reasons.KFP_UNREACHABLE, f"{url} answered {status} without a body of Kubeflow Pipelines' own"
        )
    message = brief(body.get("message"))
    if body["code"] == _NOT_FOUND:
        return NotFound(reasons.KFP_UNREACHABLE, message)
    if body["code"] == _ALREADY_EXISTS:
        return Conflict(reasons.KFP_UNREACHABLE, message)
    if body["code"] == _INVALID_ARGUMENT:
        return Refused(reasons.SUBMISSION_REFUSED, f"Kubeflow Pipelines refused: {message}")
    # Servers up to 2.17 wrap a refused identity into an internal error; nothing was done then either.
    if status in (401, 403) or message.startswith(
        ("Internal error: Unauthenticated", "Unauthenticated", "PermissionDenied")
    ):
        return Refused(reasons.KFP_REFUSED, f"Kubeflow Pipelines refused the operator: {message}")
    return Unreachable(reasons.KFP_UNREACHABLE, f"Kubeflow Pipelines answered {status}: {message}")


def _run(body: Mapping[str, Any]) -> KfpRun:
    details = (body.get("run_details") or {}).get("task_details") or []
    steps = tuple(
        Step(task["display_name"], task.get("state") or "PENDING")
        for task in details
        if isinstance(task, dict) and task.get("display_name")
    )
    state = body.get("state")
    return KfpRun(str(body["run_id"]), _STATES.get(state, str(state)), steps, body.get("description") or "")
