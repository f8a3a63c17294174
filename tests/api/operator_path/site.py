"""A namespace with everything in it: storage, Kubeflow Pipelines, KServe, operators, and a recorder that watches them."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from sandbox.controlplane import ControlPlane
from sandbox.kfp import KfpServer, ScriptedExecution
from sandbox.kfp import Pace as KfpPace
from sandbox.kserve import FakeServers, KServe
from sandbox.kserve import Pace as KServePace
from sandbox.s3 import S3Server
from tests.api.conftest import end_namespace
from tests.api.operator_path.api import administrator
from tests.api.operator_path.bodies import SETTINGS, resource, secret
from tests.api.operator_path.process import NAMESPACE, start
from tests.api.operator_path.storage import new_bucket
from tests.api.operator_path.training import Lesson, Training, name_of
from tests.harness.api import Api, Json
from tests.harness.namespace import Namespace, message, served, told
from tests.harness.process import OperatorProcess
from tests.harness.proxy import Proxy
from tests.harness.recorder import Recorder

__all__ = ["Ground", "Site", "message", "served", "told"]

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ground:
    """What all sites of a test process stand on."""

    plane: ControlPlane
    s3: S3Server
    token: str = field(repr=False)
    kfp_token: Path
    folder: Path


class Site(Namespace):
    """One namespace and what works there. Made by `Site.made`.

    Attributes
    ----------
    standing
        All that there are now in this test process.
    """

    standing: ClassVar[list[Site]] = []

    def __init__(self, ground: Ground, namespace: str, api: Api, stack: AsyncExitStack) -> None:
        super().__init__(api, namespace)
        self._ground = ground
        self._stack = stack
        self.storage = new_bucket(ground.s3, namespace)
        self.training = Training(self.storage)
        self.execution = ScriptedExecution(self.training)
        self.operators: list[OperatorProcess] = []
        self.settings: dict[str, str] = {}
        self.kfp: KfpServer
        self.kserve: KServe
        self.recorder: Recorder

    @classmethod
    @asynccontextmanager
    async def made(
        cls,
        ground: Ground,
        *,
        multi_user: bool = False,
        operator: bool = True,
        settings: Mapping[str, str] | None = None,
        kserve: Mapping[str, Any] | None = None,
        **kfp: Any,
    ) -> AsyncIterator[Site]:
        """A site of its own; `kserve` and `kfp` are further settings of the stand-ins."""
        namespace = f"path-{os.getpid()}-{next(_numbers)}"
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(administrator(ground.plane))
            site = cls(ground, namespace, api, stack)
            cls.standing.append(site)
            stack.callback(cls.standing.remove, site)
            stack.callback(site.storage.close)
            await site._set_up()
            stack.push_async_callback(site._tear_down)
            site.recorder = await stack.enter_async_context(Recorder.watching(api, namespace))
            await site._start_standins(multi_user, kfp, dict(kserve or {}))
            site.settings = site._settings(multi_user) | dict(settings or {})
            if operator:
                await site.start_operator()
            yield site

    async def _set_up(self) -> None:
        await self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        await self.create("serviceaccounts", {"metadata": {"name": "default-editor"}})
        await self.create("secrets", self.secret())

    async def _tear_down(self) -> None:
        await asyncio.gather(*(operator.stop() for operator in self.operators))
        await asyncio.to_thread(end_namespace, self._ground.plane, self.namespace)

    async def _start_standins(
        self, multi_user: bool, options: dict[str, Any], kserve: dict[str, Any]
    ) -> None:
        options = {
            "report_seconds": 0.02,
            "pace": KfpPace(stop=0.02, pod_poll=0.05),
            "execution": self.execution,
            "multi_user": multi_user,
        } | options
        plane = self._ground.plane
        self.kfp = await self._stack.enter_async_context(
            KfpServer(plane.kubeconfig, self.namespace, **options)
        )
        pace = KServePace(backoff=0.02, pre_stop=0.02)
        self.kserve = KServe(plane.kubeconfig, FakeServers(), pace=pace, namespace=self.namespace, **kserve)
        await self.kserve.start()
        self._stack.push_async_callback(self.kserve.stop)

    def _settings(self, multi_user: bool) -> dict[str, str]:
        return SETTINGS | {
            "TAS_NAMESPACES": self.namespace,
            "TAS_KFP_ENDPOINT": self.kfp.url,
            "TAS_KFP_NAMESPACE": "kubeflow" if multi_user else self.namespace,
            "TAS_KFP_TOKEN_PATH": str(self._ground.kfp_token),
            "TAS_S3_ENDPOINTS": self.storage.endpoint,
            "TAS_LEASE_NAME": self.namespace,
        }

    # --- Operators ------------------------------------------------------------------------------------------------

    @property
    def operator(self) -> OperatorProcess:
        """The newest one."""
        return self.operators[-1]

    async def start_operator(self, *, wait: bool = True, **settings: str) -> OperatorProcess:
        proxy = await self._stack.enter_async_context(Proxy.started(self.api.server, self.api.trust))
        folder = self._ground.folder / self.namespace / f"operator-{len(self.operators) + 1}"
        ground = self._ground
        operator = start(ground.plane, ground.token, proxy, folder, self.settings | settings)
        self.operators.append(operator)
        if wait:
            await operator.leads()
        return operator

    async def restart_operator(self, **settings: str) -> OperatorProcess:
        """Kill the operator, and start another at once: its lease is taken over without waiting."""
        await self.operator.kill()
        await self.drop_lease()
        return await self.start_operator(**settings)

    async def drop_lease(self) -> None:
        """Let the next operator lead at once."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{self.namespace}"
        await self.api.call("DELETE", path)

    # --- Objects --------------------------------------------------------------------------------------------------

    def secret(self) -> Json:
        """A Secret as KServe reads it, marked for the operator."""
        return secret(self.storage)

    async def apply(self, name: str, *, data: bool = True, **spec: Any) -> Json:
        """Apply a resource as a user would, after its data was put into the bucket."""
        if data:
            await self.upload(name)
        return await self.applied(resource(self.storage, name, spec))

    async def upload(self, name: str, content: bytes = b"1") -> None:
        """Put a resource's data into the bucket."""
        await asyncio.to_thread(self.storage.put, f"data/{name}/", "train.bin", content)

    def prefix(self, name: str) -> str:
        """Where the versions of a resource are, as a key in the bucket."""
        return f"models/{self.namespace}/{name}/"

    def lesson(self, name: str, lesson: Lesson) -> Lesson:
        """How the runs of a resource go from now on."""
        self.training.lessons[name] = lesson
        return lesson

    # --- Runs -----------------------------------------------------------------------------------------------------

    def runs(self, name: str) -> list[str]:
        """Ids of the runs that were executed for a resource, one for every Workflow."""
        return [run.run_id for run in self.execution.runs if name_of(run) == name]

    def run_states(self, name: str) -> list[str | None]:
        """State in Kubeflow Pipelines of each run of a resource that has a row."""
        return [
            row.state
            for row in self.kfp.rows.runs.values()
            if row.display_name.startswith(f"{self.namespace}/{name} ")
        ]

    def posts(self) -> int:
        return sum(method == "POST" and path.endswith("/runs") for method, path, _ in self.kfp.requests)

    async def check(self) -> None:
        """All that must hold whatever happened: the recorder's invariants, and no run launched twice or left running."""
        await self.recorder.check()
        launched = Counter(run_id for run_id, _ in {(r.run_id, r.workflow) for r in self.execution.runs})
        assert set(launched.values()) <= {1}, f"a run id has two Workflows: {launched}"
