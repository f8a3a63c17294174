"""Kubernetes through kubernetes_asyncio."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.exceptions import ApiException

from sandbox.kfp.cluster import ClusterError, Manifest, User

log = logging.getLogger(__name__)

_GROUP, _VERSION, _PLURAL = "argoproj.io", "v1alpha1", "workflows"
_RUN_ID = "pipeline/runid"
AUDIENCE = "pipelines.kubeflow.org"
_RETRY_SECONDS = 0.2


class KubernetesCluster:
    """The API server of a kubeconfig.

    Parameters
    ----------
    namespace
        Where to watch Workflows; None: in every namespace (multi-user mode).
    """

    def __init__(self, api: Any, namespace: str | None) -> None:
        self._api = api
        self._namespace = namespace
        self._objects = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._authentication = client.AuthenticationV1Api(api)
        self._authorization = client.AuthorizationV1Api(api)

    @classmethod
    async def connect(cls, kubeconfig: Path, namespace: str | None) -> KubernetesCluster:
        configuration = client.Configuration()
        await config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        return cls(client.ApiClient(configuration), namespace)

    async def close(self) -> None:
        await self._api.close()

    async def create_workflow(self, namespace: str, body: Manifest) -> Manifest:
        return await _manifest(
            self._objects.create_namespaced_custom_object(_GROUP, _VERSION, namespace, _PLURAL, body)
        )

    async def workflow(self, namespace: str, name: str) -> Manifest | None:
        call = self._objects.get_namespaced_custom_object(_GROUP, _VERSION, namespace, _PLURAL, name)
        found = await _or_none(_manifest(call))
        return None if found is None else dict(found)

    async def patch_workflow(self, namespace: str, name: str, patch: Manifest) -> Manifest:
        return await _manifest(
            self._objects.patch_namespaced_custom_object(
                _GROUP,
                _VERSION,
                namespace,
                _PLURAL,
                name,
                patch,
                _content_type="application/merge-patch+json",
            )
        )

    async def delete_workflow(self, namespace: str, name: str) -> None:
        call = self._objects.delete_namespaced_custom_object(_GROUP, _VERSION, namespace, _PLURAL, name)
        await _or_none(_manifest(call))

    async def workflows(self) -> AsyncIterator[tuple[str, Manifest]]:
        known: dict[str, Manifest] = {}
        while True:
            try:
                async for kind, item in self._list_then_watch(known):
                    yield kind, item
            except (ApiException, ClientError, TimeoutError) as error:
                log.debug("the watch of Workflows starts again: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _list_then_watch(self, known: dict[str, Manifest]) -> AsyncIterator[tuple[str, Manifest]]:
        call, arguments = self._listing()
        listed = await call(*arguments, label_selector=_RUN_ID)
        current = {item["metadata"]["uid"]: item for item in listed["items"]}
        for uid in [uid for uid in known if uid not in current]:
            yield "DELETED", known.pop(uid)
        for uid, item in current.items():
            known[uid] = item
            yield "MODIFIED", item
        version = listed["metadata"]["resourceVersion"]
        async with watch.Watch().stream(
            call, *arguments, label_selector=_RUN_ID, resource_version=version, timeout_seconds=300
        ) as stream:
            async for event in stream:
                item = event["object"]
                if event["type"] == "DELETED":
                    known.pop(item["metadata"]["uid"], None)
                else:
                    known[item["metadata"]["uid"]] = item
                yield event["type"], item

    def _listing(self) -> tuple[Any, tuple[str, ...]]:
        if self._namespace is None:
            return self._objects.list_cluster_custom_object, (_GROUP, _VERSION, _PLURAL)
        return self._objects.list_namespaced_custom_object, (_GROUP, _VERSION, self._namespace, _PLURAL)

    async def create_pod(self, namespace: str, body: Manifest) -> Manifest:
        pod = await _call(self._core.create_namespaced_pod(namespace, body))
        return dict(self._api.sanitize_for_serialization(pod))

    async def patch_pod_status(self, namespace: str, name: str, status: Manifest) -> None:
        body = {"status": status}
        await _or_none(
            _call(
                self._core.patch_namespaced_pod_status(
                    name, namespace, body, _content_type="application/merge-patch+json"
                )
            )
        )

    async def delete_pods(self, namespace: str, workflow: str) -> None:
        selector = f"workflows.argoproj.io/workflow={workflow}"
        await _call(
            self._core.delete_collection_namespaced_pod(
                namespace, label_selector=selector, grace_period_seconds=0
            )
        )

    async def secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        found = await _or_none(_call(self._core.read_namespaced_secret(name, namespace)))
        if found is None:
            return None
        return {key: base64.b64decode(value).decode() for key, value in (found.data or {}).items()}

    async def has_service_account(self, namespace: str, name: str) -> bool:
        return await _or_none(_call(self._core.read_namespaced_service_account(name, namespace))) is not None

    async def ensure_service_account(self, namespace: str, name: str) -> None:
        if not await self.has_service_account(namespace, name):
            body = {"metadata": {"name": name}}
            try:
                await _call(self._core.create_namespaced_service_account(namespace, body))
            except ClusterError as error:
                if error.status != 409:
                    raise

    async def who(self, token: str) -> User | None:
        body = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token, audiences=[AUDIENCE]))
        review = await _call(self._authentication.create_token_review(body))
        if not review.status.authenticated or AUDIENCE not in (review.status.audiences or []):
            return None
        return User(review.status.user.username, tuple(review.status.user.groups or ()))

    async def may(self, user: User, attributes: Mapping[str, str]) -> tuple[bool, str]:
        spec = client.V1SubjectAccessReviewSpec(
            user=user.name,
            groups=list(user.groups),
            resource_attributes=client.V1ResourceAttributes(**attributes),
        )
        body = client.V1SubjectAccessReview(spec=spec)
        review = await _call(self._authorization.create_subject_access_review(body))
        return bool(review.status.allowed), str(review.status.reason or "")


async def _call(call: Any) -> Any:
    try:
        return await call
    except ApiException as error:
        raise ClusterError(int(error.status or 0), _message(error)) from error


async def _manifest(call: Any) -> Manifest:
    return dict(await _call(call))


async def _or_none(call: Any) -> Any:
    try:
        return await call
    except ClusterError as error:
        if error.status == 404:
            return None
        raise


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
