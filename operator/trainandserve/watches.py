"""Events in, keys out. What an event says goes into the cache; what is to be done about it is never decided here.

kopf watches our resource, InferenceServices and Deployments, by selectors on the server. Workflows are watched apart, by
their metadata only: one weighs about 50 KB a task, every run of the cluster has one, and kopf cannot ask for less.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import kopf

from .cache import Cache, Key, owner_of_deployment
from .gateways.errors import GatewayError
from .gateways.kubernetes import Gone, Kubernetes
from .inference_service import API
from .names import INFERENCE_SERVICE_LABEL, KFP_RUN_LABEL, OWNER
from .queue import Queue
from .resource import API_VERSION, GROUP, PLURAL, VERSION

logger = logging.getLogger(__name__)

_KSERVE_GROUP, _KSERVE_VERSION = API.split("/")
_PAUSE = 2.0
_LONGEST_PAUSE = 60.0


class Watches:
    """All watches of the operator, into one cache and one queue."""

    def __init__(self, cache: Cache, queue: Queue) -> None:
        self._cache = cache
        self._queue = queue

    # --- What kopf watches ----------------------------------------------------------------------------------------

    def registry(self) -> kopf.OperatorRegistry:
        """The handlers: each takes an event into the cache and a key into the queue."""
        registry = kopf.OperatorRegistry()
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="resource")(self._handler(self._resource))
        services = (_KSERVE_GROUP, _KSERVE_VERSION, "inferenceservices")
        kopf.on.event(*services, registry=registry, id="service")(self._handler(self._inference_service))
        kopf.on.event("apps", "v1", "deployments", registry=registry, id="deployment")(
            self._handler(self._deployment)
        )
        kopf.on.login(registry=registry, id="login")(_login)
        return registry

    @staticmethod
    def settings() -> kopf.OperatorSettings:
        """Kopf as a watcher only: it writes nothing, neither events nor annotations."""
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.watching.label_selectors[_KSERVE_GROUP, "inferenceservices"] = OWNER
        settings.watching.label_selectors["apps", "deployments"] = INFERENCE_SERVICE_LABEL
        settings.watching.chunk_size = 500
        settings.batching.idle_timeout = 0.05
        settings.networking.request_timeout = 60
        return settings

    @staticmethod
    def _handler(take: Callable[[bool, dict[str, Any]], None]) -> Callable[..., Any]:
        async def handler(event: kopf.RawEvent, **_: Any) -> None:
            take(event["type"] == "DELETED", dict(event["object"]))

        return handler

    def _resource(self, deleted: bool, body: dict[str, Any]) -> None:
        key = _key(body)
        if deleted:
            self._cache.drop_resource(key, body["metadata"]["uid"])
        else:
            self._cache.put_resource(key, body)
        self._queue.add(key)

    def _inference_service(self, deleted: bool, body: dict[str, Any]) -> None:
        key = _key(body)
        if deleted:
            self._cache.inference_services.drop(key, body["metadata"]["uid"])
        else:
            self._cache.inference_services.put(key, body)
        self._wake(key)

    def _deployment(self, deleted: bool, body: dict[str, Any]) -> None:
        key = owner_of_deployment(body)
        if key is None:
            return
        if deleted:
            self._cache.deployments.drop(key, body["metadata"]["uid"])
        else:
            self._cache.deployments.put(key, body)
        self._wake(key)

    def _wake(self, key: Key) -> None:
        """Wake a resource that is there: the objects of others carry KServe's labels as well."""
        if self._cache.resources.get(key) is not None:
            self._queue.add(key)

    # --- Workflows ------------------------------------------------------------------------------------------------

    async def watch_workflows(self, kubernetes: Kubernetes, path: str) -> None:
        """Watch the Workflows of runs by their metadata, for ever; listed anew whenever the watch falls behind."""
        pause = _PAUSE
        while True:
            try:
                version = await self._list_workflows(kubernetes, path)
                while True:
                    version = await self._follow_workflows(kubernetes, path, version)
                    pause = _PAUSE
            except Gone:
                continue
            except GatewayError as error:
                logger.warning(
                    "Workflows cannot be watched, trying again in %.0f s: %s", pause, error.message
                )
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _list_workflows(self, kubernetes: Kubernetes, path: str) -> str:
        items, version = await kubernetes.list_with_version(path, KFP_RUN_LABEL, metadata_only=True)
        self._cache.replace_workflows(items)
        for resource in self._cache.all_resources():
            if resource.status.run is not None or resource.status.abandoned:
                self._queue.add(resource.key)
        return version

    async def _follow_workflows(self, kubernetes: Kubernetes, path: str, version: str) -> str:
        async for kind, item in kubernetes.watch_metadata(path, KFP_RUN_LABEL, version):
            version = item["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            take = self._cache.drop_workflow if kind == "DELETED" else self._cache.put_workflow
            owner = self._cache.owner_of_run(take(item["metadata"]))
            if owner is not None:
                self._queue.add(owner)
        return version

    # --- Resync ---------------------------------------------------------------------------------------------------

    async def resync(self, kubernetes: Kubernetes, every: float, namespaces: tuple[str, ...]) -> None:
        """Now and then look at everything, from live lists: an event that was missed must not be missed for good."""
        while True:
            await asyncio.sleep(every)
            try:
                for path in collection_paths(API_VERSION, PLURAL, namespaces):
                    for body in await kubernetes.list_all(path):
                        self._resource(False, {"apiVersion": API_VERSION, "kind": "TrainAndServe", **body})
                for path in collection_paths(API, "inferenceservices", namespaces):
                    self._compare_services(await kubernetes.list_all(path, OWNER))
            except GatewayError as error:
                logger.warning("the resync did not succeed: %s", error.message)
            for key in self._cache.resources.keys():  # noqa: SIM118 - a copy
                self._queue.add(key)

    def _compare_services(self, bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            self._cache.inference_services.put(_key(body), body)


def collection_paths(group_version: str, plural: str, namespaces: tuple[str, ...]) -> list[str]:
    """The collection in each of the namespaces, or in all."""
    if not namespaces:
        return [f"/apis/{group_version}/{plural}"]
    return [f"/apis/{group_version}/namespaces/{namespace}/{plural}" for namespace in namespaces]


def _key(body: dict[str, Any]) -> Key:
    return (body["metadata"]["namespace"], body["metadata"]["name"])


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
