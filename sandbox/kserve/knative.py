"""Knative mode: an InferenceService's revisions, its route, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.kserve import knative_status, manifests, revisions, status, traffic
from sandbox.kserve.cluster import DEPLOYMENTS, ApiError, Cluster
from sandbox.kserve.events import warn
from sandbox.kserve.replicas import Replicas
from sandbox.kserve.revisions import Revision
from sandbox.kserve.spec import Finding, InferenceService, Problem, Runtime
from sandbox.kserve.traffic import Target
from sandbox.kserve.workload import Workload, port_of

# How long a request waits for a pod of a revision that has none: the shipped default of a revision's timeout.
PATIENCE_SECONDS = 300.0
RETRY_SECONDS = 1.0

Object = dict[str, Any]
Status = dict[str, Any]


class Knative:
    """Plays KServe's Knative reconciler and the part of Knative Serving behind it, for all InferenceServices."""

    def __init__(self, cluster: Cluster, replicas: Replicas) -> None:
        self._cluster, self._replicas = cluster, replicas

    async def look(
        self, isvc: InferenceService, workload: Workload, runtime: Runtime, changed: Callable[[], None]
    ) -> tuple[Status, float | None]:
        """One step: the new status, and when to look again without an event.

        Requests follow new traffic before the pods of a revision without any are ended, and before the status tells it.
        """
        await self._replicas.adopt(isvc, workload, changed, PATIENCE_SECONDS)
        wanted = revisions.template(isvc, runtime)
        message = revisions.refused(wanted)
        found = await self._deployments(isvc)
        if message is None:
            found = await self._with_newest(isvc, found, wanted)
        else:
            await warn(self._cluster, isvc, "InternalError", f"fails to reconcile predictor: {message}")
        if not found:
            finding = Finding(Problem.RECONCILE_FAILED, str(message))
            return status.refused(isvc, finding, runtime.name, _now()), None
        service = await self._service(isvc, workload, runtime, found)
        for deployment in found:
            await self._roll(isvc, workload, deployment, service, changed)
        told = knative_status.running(isvc, service, _now())
        if message is not None:
            told = status.failed_reconcile(told, isvc, message, _now())
        return told, None if service.created.is_ready else RETRY_SECONDS

    async def resume(self, isvc: InferenceService, workload: Workload, changed: Callable[[], None]) -> None:
        """Run what an earlier spec brought to serve, routed as the status says."""
        await self._replicas.adopt(isvc, workload, changed, PATIENCE_SECONDS)
        component = _component(isvc)
        await self._route(workload, _told(component), component)

    async def _deployments(self, isvc: InferenceService) -> list[Object]:
        """The revisions' Deployments, oldest first."""
        selector = f"{revisions.CONFIGURATION_LABEL}={manifests.predictor_name(isvc.name)}"
        found = await self._cluster.list(DEPLOYMENTS, isvc.namespace, selector)
        return sorted((one for one in found if "deletionTimestamp" not in one["metadata"]), key=_generation)

    async def _with_newest(
        self, isvc: InferenceService, found: list[Object], wanted: revisions.Template
    ) -> list[Object]:
        """The Deployments, with one more if the template is not that of the newest."""
        newest = found[-1] if found else None
        if newest and _labels(newest)[revisions.HASH_LABEL] == manifests.template_hash(wanted):
            return found
        generation = _generation(newest) + 1 if newest else 1
        body = revisions.deployment(isvc, wanted, generation, self._replicas.deadline)
        return [*found, await self._cluster.create(DEPLOYMENTS, body, "controller")]

    async def _service(
        self, isvc: InferenceService, workload: Workload, runtime: Runtime, found: Sequence[Object]
    ) -> knative_status.Service:
        component = _component(isvc)
        seen = [_revision(one, workload, component) for one in found]
        created = seen[-1]
        before = str(component.get("latestReadyRevision", ""))
        ready = revisions.latest_ready(seen, before)
        targets = traffic.wanted(isvc.canary, str(component.get("latestRolledoutRevision", "")), isvc.tagged)
        names = frozenset(one.name for one in seen if one.is_ready)
        routed = traffic.resolved(targets, ready, names)
        current = routed if routed is not None else _told(component)
        await self._route(workload, current, component)
        pods = workload.pods(manifests.revision_deployment(created.name), PATIENCE_SECONDS)
        staying = pods.staying()
        return knative_status.Service(
            runtime=runtime.name,
            created=created,
            ready=ready,
            traffic=current,
            routed=routed is not None,
            rolled_out=traffic.rolled_out(component, created.name, ready, current),
            newest_pod=staying[-1].status() if staying else {},
            ready_pods=created.ready,
            url=workload.address.url,
            tag_urls={tag: address.url for tag, address in workload.tags.items()},
            generation=_asked(workload, (created.template_hash, targets), isvc),
        )

    async def _route(self, workload: Workload, targets: Sequence[Target], component: Status) -> None:
        """Send requests where they are to go; addresses of tags come and go with the tags."""
        pods = {
            target.revision: workload.pods(
                manifests.revision_deployment(target.revision), PATIENCE_SECONDS
            ).endpoints
            for target in targets
        }
        workload.address.route([(pods[target.revision], target.percent) for target in targets])
        tagged = {target.tag: pods[target.revision] for target in targets if target.tag}
        for tag, endpoints in tagged.items():
            address = await workload.tag(tag, _tag_port(component, tag))
            address.route([(endpoints, traffic.ALL)])
        for tag in workload.tags.keys() - tagged.keys():
            await workload.tags.pop(tag).close()

    async def _roll(
        self,
        isvc: InferenceService,
        workload: Workload,
        deployment: Object,
        service: knative_status.Service,
        changed: Callable[[], None],
    ) -> None:
        """Pods for a revision that has traffic or is to get it; none for another one."""
        name = _labels(deployment)[revisions.REVISION_LABEL]
        reachable = name == service.created.name or name in {target.revision for target in service.traffic}
        pods = workload.pods(deployment["metadata"]["name"], PATIENCE_SECONDS)
        current = int(deployment["spec"]["replicas"])
        wanted = (current or isvc.replicas) if reachable else 0
        if current != wanted:
            patched = await self._cluster.patch(
                DEPLOYMENTS,
                isvc.namespace,
                deployment["metadata"]["name"],
                body={"spec": {"replicas": wanted}},
                manager="autoscaler",
            )
            if patched is None:
                raise ApiError(409, f"{name} was deleted meanwhile")
            deployment = patched
        await self._replicas.roll(
            isvc,
            pods,
            deployment=deployment,
            template=deployment["spec"]["template"],
            now=_now(),
            changed=changed,
        )


def _revision(deployment: Object, workload: Workload, component: Status) -> Revision:
    labels, told = _labels(deployment), deployment.get("status") or {}
    name = labels[revisions.REVISION_LABEL]
    pods = workload.pods(deployment["metadata"]["name"], PATIENCE_SECONDS)
    staying, ready = pods.staying(), len(pods.endpoints)
    pods.was_ready = pods.was_ready or ready > 0 or name in _once_ready(component)
    return Revision(
        name=name,
        generation=_generation(deployment),
        template_hash=labels[revisions.HASH_LABEL],
        was_ready=pods.was_ready,
        wanted=int(deployment["spec"]["replicas"]),
        ready=ready,
        failure=revisions.failure(told, staying[-1].status() if staying else {}, ready),
    )


def _component(isvc: InferenceService) -> Status:
    found: Status = (isvc.status.get("components") or {}).get("predictor") or {}
    return found


def _once_ready(component: Status) -> set[str]:
    """Revisions that the status knows to have been ready."""
    fields = ("latestReadyRevision", "latestRolledoutRevision", "previousRolledoutRevision")
    return {str(component[field]) for field in fields if component.get(field)}


def _told(component: Status) -> tuple[Target, ...]:
    return tuple(
        Target(row["revisionName"], row["percent"], row["latestRevision"], row.get("tag", ""))
        for row in component.get("traffic") or []
    )


def _tag_port(component: Status, tag: str) -> int:
    rows = component.get("traffic") or []
    return next((port_of(row) for row in rows if row.get("tag") == tag), 0)


def _asked(workload: Workload, spec: object, isvc: InferenceService) -> int:
    """The Knative Service's generation: how often something else was asked of it."""
    if workload.spec is None:
        workload.spec = spec, int(isvc.status.get("observedGeneration", 1))
    elif workload.spec[0] != spec:
        workload.spec = spec, workload.spec[1] + 1
    return workload.spec[1]


def _labels(deployment: Object) -> dict[str, str]:
    return dict(deployment["metadata"]["labels"])


def _generation(deployment: Object) -> int:
    return int(_labels(deployment)[revisions.GENERATION_LABEL])


def _now() -> datetime:
    return datetime.now(UTC)
