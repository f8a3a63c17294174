"""A namespace as a release leaves it, to be recorded from that release's operator."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.api.operator_path.site import Ground, Site
from tests.harness.api import Api, Json

RELEASES = Path(__file__).parents[2] / "data" / "releases"
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
