"""A namespace as a release left it: recorded once from that release's operator, and put back into a store later.

What is put back is what was stored, uids included, so it goes into etcd itself: the API server would make new ones. Times are
moved to the present, as if the operator had been replaced a moment after it was recorded.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from sandbox.kfp import KfpServer
from sandbox.kfp import Pace as KfpPace
from sandbox.kfp.rows import RunRow
from tests.api.operator_path.site import Ground, Site
from tests.harness.api import WORKFLOWS, Api, Json
from tests.unit.upgrade.stored import RELEASES

NAMESPACE = "recorded"
"""Its name is in the data's addresses, and so in the hashes."""
SETTINGS = {
    "TAS_MAX_CONCURRENT_RUNS": "2",
    "TAS_PROOF_DEADLINE": "2h",
    "TAS_STALL_AFTER": "2h",
    "TAS_LOST_PATIENCE": "2h",
    "TAS_RUN_BACKOFF": "2h",
}
"""What must be the same then and now; long enough for a busy machine."""

DEPLOYMENTS = "/apis/apps/v1/namespaces/{namespace}/deployments"
STORED = {
    "trainandserves": "trainandserve.io/trainandserves",
    "inferenceservices": "serving.kserve.io/inferenceservices",
}
"""What is put back as it was stored: the name in the recording, and the place in the API server's store."""


class Release(Site):
    """The namespace while it is recorded."""

    def __init__(self, ground: Ground, namespace: str, api: Api, stack: AsyncExitStack) -> None:
        super().__init__(ground, NAMESPACE, api, stack)

    async def recording(self, collections: dict[str, str]) -> Json:
        """All that there is, in the API server and in Kubeflow Pipelines."""
        found = {name: await self.items(path) for name, path in collections.items()}
        runs = [
            {"run_id": row.run_id, "display_name": row.display_name, "state": row.state, "tasks": row.tasks}
            for row in self.kfp.rows.runs.values()
        ]
        return {
            "recordedAt": datetime.now(UTC).isoformat(),
            "trainandserves": found["trainandserves"],
            "inferenceservices": found["inferenceservices"],
            "deployments": [_kept(one, "spec", "status") for one in found["deployments"]],
            "workflows": [_kept(one) for one in found["workflows"]],
            "runs": runs,
        }


def _kept(body: Json, *parts: str) -> Json:
    metadata = {
        key: value
        for key, value in body["metadata"].items()
        if key in ("name", "labels", "annotations", "ownerReferences")
    }
    return {"metadata": metadata} | {part: body[part] for part in parts}


class Restored(Release):
    """The namespace put back, for another operator. Nothing but it acts: there is no KServe and no step of a run."""

    recorded: Json

    async def _start_standins(
        self, multi_user: bool, options: dict[str, Any], kserve: dict[str, Any]
    ) -> None:
        self.kfp = await self._stack.enter_async_context(
            KfpServer(
                self._ground.plane.kubeconfig,
                self.namespace,
                execution=self.execution,
                pace=KfpPace(stop=0.02, pod_poll=0.05),
                report_seconds=3600,
            )
        )

    async def restore(self, release: str) -> None:
        """Put back what was recorded of a release."""
        text = (RELEASES / release / "objects.json").read_text()
        self.recorded = json.loads(_moved(text, datetime.fromisoformat(json.loads(text)["recordedAt"])))
        for one in self.recorded["runs"]:
            self.kfp.rows.put_run(_row(one, self.namespace))
        for one in self.recorded["workflows"]:
            body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {}, **one}
            await self.api.call("POST", self.path(WORKFLOWS), body)
        for name, place in STORED.items():
            for one in self.recorded[name]:
                await self._store(f"/registry/{place}/{self.namespace}/{one['metadata']['name']}", one)
        await asyncio.gather(*(self._deployment(one) for one in self.recorded["deployments"]))
        for one in self.recorded["trainandserves"]:
            if one["metadata"]["name"] != "pending":  # for want of data
                await self.upload(one["metadata"]["name"])

    async def _store(self, key: str, body: Json) -> None:
        stored = {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}}
        put = {"key": _base64(key), "value": _base64(json.dumps(stored))}
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{self._ground.plane.store}/v3/kv/put", json=put) as answer:
                assert answer.status == 200, await answer.text()

    async def _deployment(self, one: Json) -> None:
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": one["metadata"],
            "spec": one["spec"],
        }
        made = await self.api.call("POST", self.path(DEPLOYMENTS), body)
        status = one["status"] | {"observedGeneration": made["metadata"]["generation"]}
        path = f"{self.path(DEPLOYMENTS, made['metadata']['name'])}/status"
        await self.api.call("PUT", path, made | {"status": status})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_TIME = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"')


def _moved(text: str, recorded_at: datetime) -> str:
    """The text with every time moved by as much as has passed since."""
    passed = timedelta(seconds=int((datetime.now(UTC) - recorded_at).total_seconds()))

    def moved(found: re.Match[str]) -> str:
        at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) + passed
        return f'"{at:%Y-%m-%dT%H:%M:%S}{found[2] or ""}Z"'

    return _TIME.sub(moved, text)


def _row(one: Json, namespace: str) -> RunRow:
    return RunRow(
        run_id=one["run_id"],
        display_name=one["display_name"],
        description="",
        experiment_id="",
        namespace=namespace,
        service_account="",
        source={},
        runtime_config={},
        workflow="",
        created_at="2026-11-21T00:00:00Z",
        state=one["state"],
        tasks=one["tasks"],
    )
