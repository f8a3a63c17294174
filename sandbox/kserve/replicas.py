"""The Deployment, its ReplicaSets and Pods as objects: what the controllers of a real cluster would write."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sandbox.kserve import manifests
from sandbox.kserve.cluster import DEPLOYMENTS, PODS, REPLICA_SETS, ApiError, Cluster
from sandbox.kserve.credentials import ServiceAccountMissingError, storage_variables
from sandbox.kserve.kubelet import Pace, PodRun
from sandbox.kserve.rollout import DeploymentFacts, decide, deployment_status
from sandbox.kserve.servers import Servers
from sandbox.kserve.spec import ISVC_LABEL, InferenceService
from sandbox.kserve.workload import Pods, Workload

KSERVE, CONTROLLER = "manager", "kube-controller-manager"
KEPT_REVISIONS = 10
Object = dict[str, Any]


class Replicas:
    """Plays the deployment and the replica set controller for all InferenceServices.

    Parameters
    ----------
    deadline
        Seconds without progress after which a rollout is reported as stuck.
    """

    def __init__(self, cluster: Cluster, servers: Servers, pace: Pace, deadline: float) -> None:
        self._cluster, self._servers, self._pace = cluster, servers, pace
        self.deadline = deadline

    async def apply(self, wanted: Object, pods: Pods) -> Object:
        """Create the Deployment, or put it back to what it has to be (no change, no new resourceVersion)."""
        metadata = wanted["metadata"]
        found = await self._cluster.get(DEPLOYMENTS, metadata["namespace"], metadata["name"])
        if found is None or "deletionTimestamp" in found["metadata"]:
            return await self._cluster.create(DEPLOYMENTS, wanted, KSERVE)
        # Any edit but one of labels is a new generation.
        if pods.applied == (wanted, found["metadata"]["generation"]) and _same_labels(wanted, found):
            return found
        original = copy.deepcopy(wanted)
        revision = (found["metadata"].get("annotations") or {}).get(manifests.REVISION_ANNOTATION)
        if revision is not None:
            metadata["annotations"][manifests.REVISION_ANNOTATION] = revision
        found = await self._cluster.replace(DEPLOYMENTS, wanted, KSERVE)
        pods.applied = (original, found["metadata"]["generation"])
        return found

    async def adopt(
        self, isvc: InferenceService, workload: Workload, changed: Callable[[], None], patience: float = 0.0
    ) -> None:
        """Run the Pod objects that an earlier stand-in left, end those that somebody deleted."""
        found = await self._cluster.list(PODS, isvc.namespace, f"{ISVC_LABEL}={isvc.name}")
        alive = {pod["metadata"]["name"]: pod for pod in found}
        known: set[str] = set()
        for pods in workload.deployments.values():
            known |= pods.runs.keys()
            for name, run in pods.runs.items():
                if name not in alive or "deletionTimestamp" in alive[name]["metadata"]:
                    run.leave()
        for name, pod in alive.items():
            if name in known or not pod["metadata"].get("ownerReferences"):
                continue
            if "deletionTimestamp" in pod["metadata"]:
                await self._cluster.delete(PODS, isvc.namespace, name, grace=0)
            else:
                pods = workload.pods(manifests.deployment_of(pod), patience)
                pods.runs[name] = self._run(pod, isvc, pods, changed)
        for pods in workload.deployments.values():
            pods.forget_gone()

    def _run(self, pod: Object, isvc: InferenceService, pods: Pods, changed: Callable[[], None]) -> PodRun:
        return PodRun(
            pod,
            isvc.name,
            cluster=self._cluster,
            servers=self._servers,
            endpoints=pods.endpoints,
            pace=self._pace,
            changed=changed,
        )

    async def roll(
        self,
        isvc: InferenceService,
        pods: Pods,
        *,
        deployment: Object,
        template: Object,
        now: datetime,
        changed: Callable[[], None],
    ) -> tuple[Object, DeploymentFacts]:
        """One step of the rollout, and the Deployment's status after it."""
        wanted = manifests.template_hash(template)
        owners = await self._owned(isvc, deployment)
        current = await self._replica_set(isvc, deployment, template, list(owners.values()))
        owners[current["metadata"]["uid"]] = current
        for run in pods.staying():
            if run.replica_set_uid not in owners:
                run.leave()  # its ReplicaSet went with a deleted Deployment
        plan = decide(pods.views(), wanted, deployment["spec"]["replicas"])
        for name in plan.delete:
            pods.runs[name].leave()
        failure = await self._create(plan.create, isvc, pods, current, changed)
        await self._scale(owners, pods)
        facts = DeploymentFacts(
            generation=deployment["metadata"]["generation"],
            replicas=deployment["spec"]["replicas"],
            wanted=wanted,
            replica_set=current["metadata"]["name"],
            pods=pods.views(),
            progressed_at=now,
            deadline=self.deadline,
            create_failure=failure,
        )
        previous = deployment.get("status") or {}
        facts = replace(facts, progressed_at=pods.progressed_at(facts, previous, now))
        status = deployment_status(facts, previous, now)
        if status != previous or _revision(deployment) != _revision(current):
            deployment = await self._report(deployment, status, _revision(current))
            pods.count_ready()
        return deployment, facts

    async def _report(self, deployment: Object, status: Object, revision: int) -> Object:
        """Write the status and, with it, the revision: an ordinary write of it would be a new generation."""
        metadata = dict(deployment["metadata"])
        metadata["annotations"] = metadata["annotations"] | {manifests.REVISION_ANNOTATION: str(revision)}
        body = deployment | {"metadata": metadata, "status": status}
        return await self._cluster.replace(DEPLOYMENTS, body, CONTROLLER, subresource="status")

    async def _owned(self, isvc: InferenceService, deployment: Object) -> dict[str, Object]:
        found = await self._cluster.list(REPLICA_SETS, isvc.namespace, f"{ISVC_LABEL}={isvc.name}")
        return {one["metadata"]["uid"]: one for one in found if _owner(one) == deployment["metadata"]["uid"]}

    async def _replica_set(
        self, isvc: InferenceService, deployment: Object, template: Object, owned: list[Object]
    ) -> Object:
        """The ReplicaSet of the template, made, or brought to the front if it is an earlier one."""
        newest = max((_revision(one) for one in owned), default=0)
        wanted = manifests.replica_set(deployment, template, newest + 1)
        current = next((o for o in owned if o["metadata"]["name"] == wanted["metadata"]["name"]), None)
        if current is None:
            stale = await self._cluster.get(REPLICA_SETS, isvc.namespace, wanted["metadata"]["name"])
            if stale is not None:
                await self._cluster.delete(REPLICA_SETS, isvc.namespace, wanted["metadata"]["name"])
            current = await self._cluster.create(REPLICA_SETS, wanted, CONTROLLER)
        elif _revision(current) < newest:
            body = current | {
                "metadata": current["metadata"] | {"annotations": wanted["metadata"]["annotations"]}
            }
            current = await self._cluster.replace(REPLICA_SETS, body, CONTROLLER)
        return current

    async def _create(
        self,
        count: int,
        isvc: InferenceService,
        pods: Pods,
        replica_set: Object,
        changed: Callable[[], None],
    ) -> str | None:
        """Create pods; the text of a refusal, if there was one."""
        if not count:
            return None
        try:
            variables = await storage_variables(
                self._cluster, isvc.namespace, isvc.annotations, isvc.service_account
            )
            for _ in range(count):
                pod = await self._cluster.create(PODS, manifests.pod(replica_set, variables), CONTROLLER)
                pods.runs[pod["metadata"]["name"]] = self._run(pod, isvc, pods, changed)
        except ServiceAccountMissingError as error:
            return f'pods "{replica_set["metadata"]["name"]}-" is forbidden: {error}'
        except ApiError as error:
            return str(error)
        return None

    async def _scale(self, owners: Mapping[str, Object], pods: Pods) -> None:
        """Let every ReplicaSet say how many pods it has; old ones beyond the history go."""
        for uid, one in owners.items():
            runs = [run for run in pods.staying() if run.replica_set_uid == uid]
            ready = sum(run.is_ready for run in runs)
            metadata = one["metadata"]
            if one["spec"]["replicas"] != len(runs):
                body = {"spec": {"replicas": len(runs)}}
                await self._cluster.patch(
                    REPLICA_SETS, metadata["namespace"], metadata["name"], body=body, manager=CONTROLLER
                )
            status = {"replicas": len(runs), "readyReplicas": ready, "availableReplicas": ready}
            status |= {"fullyLabeledReplicas": len(runs), "observedGeneration": metadata["generation"]}
            before = one.get("status") or {}
            if any(
                before.get(key, 0) != value for key, value in status.items() if key != "observedGeneration"
            ):
                await self._cluster.patch(
                    REPLICA_SETS,
                    metadata["namespace"],
                    metadata["name"],
                    body={"status": status},
                    manager=CONTROLLER,
                    subresource="status",
                )
        spare = sorted(owners.values(), key=_revision)[: -KEPT_REVISIONS - 1]
        for one in spare:
            if not any(run.replica_set_uid == one["metadata"]["uid"] for run in pods.runs.values()):
                await self._cluster.delete(
                    REPLICA_SETS, one["metadata"]["namespace"], one["metadata"]["name"]
                )

    async def remove(self, isvc: InferenceService, workload: Workload | None) -> None:
        """Delete the Deployments and what hangs on them, also where no garbage collector runs."""
        selector = f"{ISVC_LABEL}={isvc.name}"
        for kind in (DEPLOYMENTS, REPLICA_SETS):
            for one in await self._cluster.list(kind, isvc.namespace, selector):
                await self._cluster.delete(kind, isvc.namespace, one["metadata"]["name"])
        if workload is not None:
            await workload.leave()
        for pod in await self._cluster.list(PODS, isvc.namespace, selector):
            await self._cluster.delete(PODS, isvc.namespace, pod["metadata"]["name"], grace=0)


def _same_labels(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return bool(wanted["metadata"]["labels"] == found["metadata"].get("labels"))


def _owner(one: Mapping[str, Any]) -> str:
    references = one["metadata"].get("ownerReferences") or [{}]
    return str(references[0].get("uid", ""))


def _revision(one: Mapping[str, Any]) -> int:
    return int((one["metadata"].get("annotations") or {}).get(manifests.REVISION_ANNOTATION, 0))
