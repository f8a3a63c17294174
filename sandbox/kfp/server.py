"""The server: REST in front, the parts of Argo and of the persistence agent behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.kfp.agent import PersistenceAgent
from sandbox.kfp.answers import KfpError
from sandbox.kfp.auth import Access
from sandbox.kfp.cluster import Cluster
from sandbox.kfp.controller import Pace, WorkflowController
from sandbox.kfp.execution import Execution
from sandbox.kfp.experiments import Experiments
from sandbox.kfp.faults import Cut, Faults
from sandbox.kfp.kubernetes import KubernetesCluster
from sandbox.kfp.pods import PodRules
from sandbox.kfp.rows import Rows
from sandbox.kfp.runs import Runs
from sandbox.kfp.starting import Starter

_API = "/apis/v2beta1"
_LIMIT = 32 * 1024 * 1024
_SWEEP_SECONDS = 1.0
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class KfpServer:
    """A stand-in for KFP 2.17.0's API server, Argo and the persistence agent; for one machine and tests.

    Parameters
    ----------
    kubeconfig
        Where Workflows and pods are written; the CRD of Workflows must be there.
    namespace
        Of runs and Workflows in single-user mode. In multi-user mode a run is in its experiment's namespace.
    execution
        Plays the steps.
    port
        0 takes a free one.
    database
        A sqlite file that survives a restart; None keeps rows in memory.
    report_seconds
        How far rows are behind their Workflows.
    commit_seconds
        Between a Workflow and its row; a client that leaves in between leaves an orphan.
    orphan_seconds
        Age at which a Workflow that has no row is deleted.
    cluster
        Replaces the API server in unit tests.

    Attributes
    ----------
    requests
        Method, path and status of every answered request; status 0 where the connection was cut.
    faults, agent
        For tests: ordered faults, and `agent.paused`.
    """

    def __init__(
        self,
        kubeconfig: Path | None,
        namespace: str = "kubeflow",
        *,
        execution: Execution,
        multi_user: bool = False,
        faults: Faults | None = None,
        rules: PodRules | None = None,
        pace: Pace | None = None,
        port: int = 0,
        database: Path | None = None,
        service_account: str | None = None,
        report_seconds: float = 0.2,
        commit_seconds: float = 0.015,
        orphan_seconds: float = 400.0,
        cluster: Cluster | None = None,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._execution = execution
        self._multi_user = multi_user
        self._rules = rules or PodRules()
        self._pace = pace or Pace()
        self._port = port
        self._database = database
        self._service_account = service_account or ("default-editor" if multi_user else "pipeline-runner")
        self._report_seconds = report_seconds
        self._commit_seconds = commit_seconds
        self._orphan_seconds = orphan_seconds
        self._cluster: Cluster | None = cluster
        self._background: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self.faults = faults or Faults()
        self.requests: list[tuple[str, str, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; returns once requests are answered."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        cluster = self._cluster or await self._connect()
        self._cluster = cluster
        self.rows = Rows(self._database)
        self._controller = WorkflowController(
            cluster, self._execution, self._rules, self._pace, self.rows.instance
        )
        self.agent = PersistenceAgent(cluster, self.rows, self._report_seconds, self._orphan_seconds)
        if not self._multi_user:
            await cluster.ensure_service_account(self._namespace, self._service_account)
        self._runner = web.AppRunner(
            self._application(cluster), handler_cancellation=True, access_log=None, shutdown_timeout=0.5
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        self._background = [asyncio.create_task(self._follow(cluster)), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Stop every process and the server; Workflows stay as they are."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._runner is not None:
            await self._controller.stop()
            await self.agent.stop()
            await self._runner.cleanup()
        if hasattr(self, "rows"):
            self.rows.close()
        if self._cluster is not None:
            await self._cluster.close()

    async def __aenter__(self) -> KfpServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _connect(self) -> Cluster:
        assert self._kubeconfig is not None
        namespace = None if self._multi_user else self._namespace
        return await KubernetesCluster.connect(self._kubeconfig, namespace)

    def _application(self, cluster: Cluster) -> web.Application:
        access = Access(cluster, self._multi_user)
        starter = Starter(cluster, self._controller, self.rows.instance)
        experiments = Experiments(self.rows, access, self._multi_user)
        runs = Runs(
            rows=self.rows,
            access=access,
            experiments=experiments,
            cluster=cluster,
            starter=starter,
            faults=self.faults,
            namespace=None if self._multi_user else self._namespace,
            service_account=self._service_account,
            commit_seconds=self._commit_seconds,
        )
        application = web.Application(client_max_size=_LIMIT, middlewares=[self._answer])
        application.router.add_get(f"{_API}/healthz", self._healthz)
        _add_routes(application, runs, experiments)
        return application

    @web.middleware
    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Count the request, play faults, and turn refusals into bodies."""
        status = 0
        try:
            await self.faults.strike(request, "before")
            response = await _handled(request, handler)
            await self.faults.strike(request, "after")
            status = response.status
        except Cut as cut:
            response = cut.response or web.Response()
            status = cut.response.status if cut.response else 0
        finally:
            self.requests.append((request.method, request.path, status))
        return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        body: dict[str, Any] = {
            "commit_sha": "unknown",
            "tag_name": "unknown",
            "multi_user": self._multi_user,
        }
        return web.json_response(body | {"pipeline_store": "database"})

    async def _follow(self, cluster: Cluster) -> None:
        async for kind, workflow in cluster.workflows():
            await self._controller.observe(kind, workflow)
            self.agent.observe(kind, workflow)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self.agent.sweep()


async def _handled(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except KfpError as error:
        return error.response()
    except web.HTTPNotFound:
        return web.json_response({"code": 5, "message": "Not Found"}, status=404)


def _add_routes(application: web.Application, runs: Runs, experiments: Experiments) -> None:
    one, verb = "/{id:[^/:]+}", "/{id:[^/:]+}:{verb:%s}"
    add = application.router.add_route
    routes: list[tuple[str, str, Callable[[web.Request], Coroutine[Any, Any, web.Response]]]] = [
        ("POST", "/runs", runs.create),
        ("GET", "/runs", runs.list),
        ("GET", f"/runs{one}", runs.read),
        ("DELETE", f"/runs{one}", runs.delete),
        ("POST", "/runs" + verb % "terminate|retry|archive|unarchive", runs.change),
        ("POST", "/experiments", experiments.create),
        ("GET", "/experiments", experiments.list),
        ("GET", f"/experiments{one}", experiments.read),
        ("DELETE", f"/experiments{one}", experiments.delete),
        ("POST", "/experiments" + verb % "archive|unarchive", experiments.store),
    ]
    for method, path, handler in routes:
        add(method, _API + path, handler)
