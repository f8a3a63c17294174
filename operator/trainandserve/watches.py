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

from .cache import Cache, Key, Store, owner_of_deployment, resource_of
from .gateways.errors import GatewayError, NoSuchKind, Refused
from .gateways.kubernetes import Gone, Kubernetes
from .inference_service import API
from .names import INFERENCE_SERVICE_LABEL, KFP_RUN_LABEL, OWNER
from .resource import API_VERSION, GROUP, PLURAL, VERSION
from .work_queue import Queue

logger = logging.getLogger(__name__)

_KSERVE_GROUP, _KSERVE_VERSION = API.split("/")
Take = Callable[[bool, dict[str, Any]], None]
"""Takes an object: whether it was deleted, and its body."""

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
        # By the way that the gateway takes, to the address that the pod is told: not every node resolves a name for it.
        kopf.on.login(registry=registry, id="login")(kopf.login_via_async_client)
        return registry

    @staticmethod
    def settings(*, scanning: bool = True) -> kopf.OperatorSettings:
        """Kopf as a watcher only: it writes nothing, neither events nor annotations.

        Parameters
        ----------
        scanning
            Whether it looks for definitions and namespaces that come and go; see `may_scan`.
        """
        settings = kopf.OperatorSettings()
        settings.scanning.disabled = not scanning
        settings.posting.enabled = False
        settings.watching.label_selectors[_KSERVE_GROUP, "inferenceservices"] = OWNER
        settings.watching.label_selectors["apps", "deployments"] = INFERENCE_SERVICE_LABEL
        settings.watching.chunk_size = 500
        settings.batching.idle_timeout = 0.05
        settings.networking.request_timeout = 60
        return settings

    @staticmethod
    def _handler(take: Take) -> Callable[..., Any]:
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
        self._wake(resource_of(body) or key)

    def _deployment(self, deleted: bool, body: dict[str, Any]) -> None:
        key = owner_of_deployment(body)
        if key is None:
            return
        if deleted:
            self._cache.deployments.drop(key, body["metadata"]["uid"])
        else:
            self._cache.deployments.put(key, body)
        self._wake(resource_of(body) or key)

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

    @staticmethod
    async def may_scan(kubernetes: Kubernetes, namespaces: tuple[str, ...]) -> bool:
        """Whether the operator may list definitions and, where it is told its namespaces, those.

        kopf would ask for them 9 times in 88 s before it gives up and watches anything. An operator of one namespace has no
        such rights; what it does without is to see KServe being installed before its next start or resync.
        """
        asked = ["/apis/apiextensions.k8s.io/v1/customresourcedefinitions"]
        asked += ["/api/v1/namespaces"] if namespaces else []
        try:
            for path in asked:
                await kubernetes.list_all(path, metadata_only=True)
        except Refused:
            return False
        except GatewayError:
            return True  # kopf asks again, and longer
        return True

    # --- Resync ---------------------------------------------------------------------------------------------------

    async def list_all(self, kubernetes: Kubernetes, namespaces: tuple[str, ...]) -> None:
        """Take everything from live lists, and forget what is not in them any more.

        At the start this comes before the first pass: what a watch has not brought yet would look as if it were not there.

        Raises
        ------
        GatewayError
            The API server does not answer.
        """
        store = self._cache.resources
        kinds = (
            (API, "inferenceservices", OWNER, self._cache.inference_services, self._inference_service),
            ("apps/v1", "deployments", INFERENCE_SERVICE_LABEL, self._cache.deployments, self._deployment),
            (API_VERSION, PLURAL, None, store, self._resource),
        )
        for group_version, plural, selector, known, take in kinds:
            for path in collection_paths(group_version, plural, namespaces):
                await self._list_kind(kubernetes, path, selector, known, take)

    async def _list_kind(
        self, kubernetes: Kubernetes, path: str, selector: str | None, known: Store, take: Take
    ) -> None:
        try:
            bodies, version = await kubernetes.list_with_version(path, selector)
        except NoSuchKind:
            return  # KServe is not installed: there is nothing of it, and preflight says so
        for body in bodies:
            take(False, body)
        listed = {owner_of_deployment(body) or _key(body) for body in bodies}
        for key in known.missing({key for key in listed if _covered(path, key)}, int(version)):
            if _covered(path, key):
                take(True, dict(known.get(key) or {}))

    async def resync(self, kubernetes: Kubernetes, every: float, namespaces: tuple[str, ...]) -> None:
        """Now and then look at everything: an event that was missed must not be missed for good."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.list_all(kubernetes, namespaces)
            except GatewayError as error:
                logger.warning("the resync did not succeed: %s", error.message)
            for key in self._cache.resources.keys():  # noqa: SIM118 - a copy
                self._queue.add(key)


def _covered(path: str, key: Key) -> bool:
    """Whether a list of this path would have shown an object of this key."""
    return "/namespaces/" not in path or f"/namespaces/{key[0]}/" in path


def collection_paths(group_version: str, plural: str, namespaces: tuple[str, ...]) -> list[str]:
    """The collection in each of the namespaces, or in all."""
    if not namespaces:
        return [f"/apis/{group_version}/{plural}"]
    return [f"/apis/{group_version}/namespaces/{namespace}/{plural}" for namespace in namespaces]


def _key(body: dict[str, Any]) -> Key:
    return (body["metadata"]["namespace"], body["metadata"]["name"])
