"""The KServe stand-in: InferenceServices in, Deployments, pods, processes and status out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.kserve import admission, manifests, status
from sandbox.kserve.cluster import (
    DEPLOYMENTS,
    INFERENCE_SERVICES,
    PODS,
    ApiError,
    Cluster,
    Kind,
)
from sandbox.kserve.events import warn
from sandbox.kserve.knative import Knative
from sandbox.kserve.kubelet import Pace, PodRun
from sandbox.kserve.meter import Pages, Scraped
from sandbox.kserve.passes import Key, Passes
from sandbox.kserve.replicas import KSERVE, Replicas
from sandbox.kserve.rollout import DeploymentFacts
from sandbox.kserve.servers import Servers
from sandbox.kserve.spec import (
    FINALIZER,
    ISVC_LABEL,
    TENSORFLOW_RUNTIME,
    Finding,
    InferenceService,
    Problem,
    Runtime,
    choose_runtime,
    failed_workload,
    rejected_mode,
    unsupported_storage,
)
from sandbox.kserve.workload import Workload

PROGRESS_DEADLINE_SECONDS = 600.0
INVALID_RETRY_SECONDS = 5.0
CREATE_RETRY_SECONDS = 1.0
WEBHOOK = "kserve-webhook-server"


class KServe:
    """KServe v0.20 with a cluster's controllers and kubelet, for one machine.

    Not for an API server beside which a deployment controller, a scheduler or a kubelet runs: both would
    create pods.

    Parameters
    ----------
    kubeconfig
        An API server with KServe's resource definitions, and the right to do anything.
    servers
        What runs the pods' containers. Closed by `stop`.
    progress_deadline
        Seconds after which a rollout that does not come forward is reported.
    pace
        How much faster than a cluster restarts and endings are.
    knative
        Whether Knative is there. Without it, its mode is refused, as KServe does.
    namespace
        The one namespace to look at, for tests that share an API server; all if None.
    """

    def __init__(
        self,
        kubeconfig: Path,
        servers: Servers,
        *,
        progress_deadline: float = PROGRESS_DEADLINE_SECONDS,
        pace: Pace | None = None,
        runtimes: tuple[Runtime, ...] = (TENSORFLOW_RUNTIME,),
        knative: bool = False,
        namespace: str | None = None,
    ) -> None:
        self._kubeconfig, self._servers, self._runtimes = kubeconfig, servers, runtimes
        self._deadline, self._pace = progress_deadline, pace or Pace()
        self._namespace, self._with_knative = namespace, knative
        self._workloads: dict[Key, Workload] = {}
        self._passes = Passes(self._pass)
        self._watches: list[asyncio.Task[None]] = []
        self._pages = Pages(self._scraped)

    @property
    def targets_url(self) -> str:
        """Lists the pages with the pods' metrics, for Prometheus' ``http_sd_configs``."""
        return f"{self._pages.url}/targets"

    async def start(self) -> None:
        """Connect, list and watch. Returns at once; what exists is brought up in the background."""
        await self._pages.open()
        self._cluster = await Cluster.connected(self._kubeconfig)
        self._replicas = Replicas(self._cluster, self._servers, self._pace, self._deadline)
        self._knative = Knative(self._cluster, self._replicas)
        await admission.install(self._cluster)
        watched: list[tuple[Kind, str, Callable[[Any], None]]] = [
            (INFERENCE_SERVICES, "", self._saw_isvc),
            (DEPLOYMENTS, ISVC_LABEL, self._saw_child),
            (PODS, ISVC_LABEL, self._saw_child),
        ]
        self._watches = [
            asyncio.create_task(
                self._cluster.watch_forever(kind, self._namespace, selector, seen),
                name=f"watch {kind.plural}",
            )
            for kind, selector, seen in watched
        ]

    async def stop(self) -> None:
        """Stop watching and end every process; the objects stay, for a later stand-in to go on with."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._passes.stop()
        await asyncio.gather(*(workload.halt() for workload in self._workloads.values()))
        self._workloads.clear()
        await self._servers.close()
        await self._cluster.close()
        await self._pages.close()

    def pods(self, namespace: str, name: str) -> list[PodRun]:
        """The pods of an InferenceService that are to stay. For tests: ``.container.kill()``."""
        workload = self._workloads.get((namespace, name))
        return workload.staying() if workload else []

    def _scraped(self) -> Iterator[Scraped]:
        """The pods that are ready, with what they answered."""
        for (_, service), workload in self._workloads.items():
            for pods in workload.deployments.values():
                for run in pods.staying():
                    if (endpoint := pods.endpoints.of(run.uid)) is not None:
                        yield Scraped(
                            run.namespace, run.name, service, endpoint.url, run.revision, endpoint.answered
                        )

    def _saw_isvc(self, found: dict[str, Any]) -> None:
        self._passes.enqueue((found["metadata"]["namespace"], found["metadata"]["name"]))

    def _saw_child(self, found: dict[str, Any]) -> None:
        self._passes.enqueue((found["metadata"]["namespace"], found["metadata"]["labels"][ISVC_LABEL]))

    async def _pass(self, key: Key) -> float | None:
        """Look at one InferenceService and do what is missing; seconds until it should be looked at again."""
        found = await self._cluster.get(INFERENCE_SERVICES, *key)
        if found is None:
            await self._drop(key)
            return None
        isvc = InferenceService(found)
        if (held := self._workloads.get(key)) is not None and held.uid != isvc.uid:
            await self._drop(key)
        if isvc.being_deleted:
            await self._delete(isvc, key)
            return None
        isvc = await self._prepared(isvc)
        if isvc.stop_requested:
            await self._replicas.remove(isvc, self._workloads.get(key))
            await self._write(isvc, status.stopped(isvc, _now()))
            return None
        runtime = await self._deployable(isvc)
        if runtime is None:
            if "url" in isvc.status:  # what an earlier spec brought to serve goes on
                await self._resume(isvc, key)
            return None
        if isvc.status_mode == "Knative":
            told, again = await self._knative.look(
                isvc, await self._workload(isvc, key), runtime, self._changed(key)
            )
            await self._write(isvc, told)
            return again
        return await self._deploy(isvc, runtime, key)

    async def _resume(self, isvc: InferenceService, key: Key) -> None:
        if isvc.status_mode == "Knative":
            await self._knative.resume(isvc, await self._workload(isvc, key), self._changed(key))
        else:
            await self._adopt(isvc, key)

    async def _adopt(self, isvc: InferenceService, key: Key) -> Workload:
        workload = await self._workload(isvc, key)
        await self._replicas.adopt(isvc, workload, self._changed(key))
        pods = workload.pods(manifests.predictor_name(isvc.name))
        workload.address.route([(pods.endpoints, 100)])
        return workload

    def _changed(self, key: Key) -> Callable[[], None]:
        return lambda: self._passes.enqueue(key)

    async def _drop(self, key: Key) -> None:
        workload = self._workloads.pop(key, None)
        if workload is not None:
            await workload.leave()
            await workload.close()

    async def _delete(self, isvc: InferenceService, key: Key) -> None:
        if FINALIZER not in isvc.finalizers:
            return
        await self._replicas.remove(isvc, self._workloads.get(key))
        await self._drop(key)
        left = [finalizer for finalizer in isvc.finalizers if finalizer != FINALIZER]
        body = {"metadata": {"finalizers": left, "resourceVersion": isvc.metadata["resourceVersion"]}}
        await self._cluster.patch(INFERENCE_SERVICES, isvc.namespace, isvc.name, body=body, manager=KSERVE)

    async def _prepared(self, isvc: InferenceService) -> InferenceService:
        """The InferenceService with its finalizer, and with the annotation that the real webhook adds."""
        raw: Any = isvc.raw
        if isvc.defaulted_annotations:
            body: dict[str, Any] = {"metadata": {"annotations": isvc.defaulted_annotations}}
            raw = (
                await self._cluster.patch(
                    INFERENCE_SERVICES, isvc.namespace, isvc.name, body=body, manager=WEBHOOK
                )
                or raw
            )
        if FINALIZER not in isvc.finalizers:
            finalizers = [*isvc.finalizers, FINALIZER]
            body = {
                "metadata": {
                    "finalizers": finalizers,
                    "resourceVersion": raw["metadata"]["resourceVersion"],
                }
            }
            raw = (
                await self._cluster.patch(
                    INFERENCE_SERVICES, isvc.namespace, isvc.name, body=body, manager=KSERVE
                )
                or raw
            )
        return InferenceService(raw)

    async def _deployable(self, isvc: InferenceService) -> Runtime | None:
        """The runtime to deploy with, or None once status and event say why nothing can be deployed."""
        finding = unsupported_storage(isvc)
        if not self._with_knative:
            finding = rejected_mode(isvc) or finding
        chosen = choose_runtime(isvc, self._runtimes)
        runtime = chosen if isinstance(chosen, Runtime) else None
        if finding is None and not isinstance(chosen, Runtime):
            finding = chosen
        finding = finding or failed_workload(isvc)
        if finding is None:
            return runtime
        await self._refuse(isvc, finding, runtime.name if runtime else None)
        return None

    async def _refuse(self, isvc: InferenceService, finding: Finding, runtime: str | None) -> None:
        reason = finding.problem.value
        if finding.problem is Problem.STORAGE_NOT_SUPPORTED:
            reason = "InternalError"
        refused = status.refused(isvc, finding, runtime, _now())
        if await self._write(isvc, refused) or finding.problem is Problem.STORAGE_NOT_SUPPORTED:
            await warn(self._cluster, isvc, reason, finding.message)

    async def _deploy(self, isvc: InferenceService, runtime: Runtime, key: Key) -> float | None:
        workload = await self._adopt(isvc, key)
        pods = workload.pods(manifests.predictor_name(isvc.name))
        wanted = manifests.deployment(isvc, runtime, self._deadline)
        template = wanted["spec"]["template"]
        try:
            deployment = await self._replicas.apply(wanted, pods)
        except ApiError as error:
            if error.status != 422:
                raise
            await warn(self._cluster, isvc, "InternalError", str(error))  # the old pods serve on
            return INVALID_RETRY_SECONDS
        wanted_hash = manifests.template_hash(template)
        isvc = await self._tell(isvc, workload, runtime, deployment, wanted_hash)
        deployment, facts = await self._replicas.roll(
            isvc, pods, deployment=deployment, template=template, now=_now(), changed=self._changed(key)
        )
        isvc = await self._tell(isvc, workload, runtime, deployment, wanted_hash)
        # Once more: the model becomes Loaded one write after Ready.
        await self._tell(isvc, workload, runtime, deployment, wanted_hash)
        return _wake_after(facts)

    async def _workload(self, isvc: InferenceService, key: Key) -> Workload:
        if key not in self._workloads:
            workload = Workload(isvc.uid)
            await workload.open(isvc.status)
            self._workloads[key] = workload
        return self._workloads[key]

    async def _tell(
        self,
        isvc: InferenceService,
        workload: Workload,
        runtime: Runtime,
        deployment: dict[str, Any],
        template_hash: str,
    ) -> InferenceService:
        pods = workload.pods(manifests.predictor_name(isvc.name))
        seen = status.Workload(
            runtime=runtime.name,
            deployment_status=deployment.get("status") or {},
            newest_pod=pods.newest(template_hash),
            ready_pods=pods.ready,
            url=workload.address.url,
        )
        return await self._write(isvc, status.running(isvc, seen, _now())) or isvc

    async def _write(self, isvc: InferenceService, wanted: dict[str, Any]) -> InferenceService | None:
        """Write the status if it is another than the one read; the InferenceService as written, or None."""
        if wanted == isvc.status:
            return None
        body = dict(isvc.raw) | {"status": wanted}
        return InferenceService(
            await self._cluster.replace(INFERENCE_SERVICES, body, KSERVE, subresource="status")
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _wake_after(facts: DeploymentFacts) -> float | None:
    """When to look again without an event: a pod that was refused, a deadline that is near."""
    if facts.create_failure:
        return CREATE_RETRY_SECONDS
    if facts.complete or facts.overdue(_now()):
        return None
    return facts.deadline - (_now() - facts.progressed_at).total_seconds()
