"""The stand-in's door to the API server: plain JSON objects in and out, a few verbs, list and watch."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio import client, config

from sandbox.kserve.spec import GROUP, PLURAL, VERSION

logger = logging.getLogger(__name__)

Object = dict[str, Any]
REQUEST_SECONDS = 30.0
WATCH_SECONDS = 240
RELIST_PAUSE = 0.5
JSON_TYPE = "application/json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Kind:
    """A kind: ``prefix`` is its group's path."""

    prefix: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        parts = [self.prefix, f"namespaces/{namespace}" if namespace else "", self.plural, name, subresource]
        return "/" + "/".join(part for part in parts if part)


INFERENCE_SERVICES = Kind(f"apis/{GROUP}/{VERSION}", PLURAL)
DEPLOYMENTS = Kind("apis/apps/v1", "deployments")
REPLICA_SETS = Kind("apis/apps/v1", "replicasets")
PODS = Kind("api/v1", "pods")
SECRETS = Kind("api/v1", "secrets")
SERVICE_ACCOUNTS = Kind("api/v1", "serviceaccounts")
EVENTS = Kind("api/v1", "events")


class ApiError(Exception):
    """The API server refused.

    Attributes
    ----------
    status
        HTTP status; the message is the server's.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cluster:
    """One API server, reached as a kubeconfig says."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def connected(cls, kubeconfig: Path) -> Cluster:
        return cls(await config.new_client_from_config(str(kubeconfig), persist_config=False))

    async def close(self) -> None:
        await self._api.close()

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON_TYPE,
        time_limit: float | aiohttp.ClientTimeout = REQUEST_SECONDS,
    ) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await self._api.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": JSON_TYPE, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=time_limit,
        )
        if response.status >= 400:
            text = await response.text()
            raise ApiError(response.status, _message(text))
        return response

    async def _json(self, *arguments: Any, **options: Any) -> Object:
        response = await self._request(*arguments, **options)
        found: Object = await response.json()
        return found

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None if the API server says that there is none."""
        try:
            return await self._json("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: Kind, namespace: str | None, selector: str) -> list[Object]:
        found = await self._json("GET", kind.path(namespace), query={"labelSelector": selector})
        return list(found["items"])

    async def create(self, kind: Kind, body: Object, manager: str) -> Object:
        path = kind.path(body["metadata"]["namespace"])
        return await self._json("POST", path, body=body, query={"fieldManager": manager})

    async def ensure(self, kind: Kind, body: Object, manager: str) -> None:
        """Create an object without a namespace; one of that name that is there already is fine."""
        try:
            await self._json("POST", kind.path(None), body=body, query={"fieldManager": manager})
        except ApiError as error:
            if error.status != 409:
                raise

    async def replace(self, kind: Kind, body: Object, manager: str, subresource: str | None = None) -> Object:
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"], subresource)
        return await self._json("PUT", path, body=body, query={"fieldManager": manager})

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        body: Object,
        manager: str,
        subresource: str | None = None,
    ) -> Object | None:
        """JSON merge patch; None if the object is gone."""
        path, query = kind.path(namespace, name, subresource), {"fieldManager": manager}
        try:
            return await self._json("PATCH", path, body=body, query=query, content_type=MERGE_PATCH)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def delete(self, kind: Kind, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Delete in the background; one that is gone is fine."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self._json("DELETE", kind.path(namespace, name), body=options)
        except ApiError as error:
            if error.status != 404:
                raise

    async def watch_forever(
        self, kind: Kind, namespace: str | None, selector: str, seen: Callable[[Object], None]
    ) -> None:
        """Call `seen` with every object at every list and change; a watch that breaks means a new list."""
        while True:
            try:
                found = await self._json("GET", kind.path(namespace), query={"labelSelector": selector})
                for item in found["items"]:
                    seen(item)
                await self._watch(kind.path(namespace), selector, found["metadata"]["resourceVersion"], seen)
            except ApiError as error:
                if error.status != 410:
                    logger.warning("watching %s: %s", kind.plural, error)
                await asyncio.sleep(RELIST_PAUSE)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.debug("watching %s: %r", kind.plural, error)
                await asyncio.sleep(RELIST_PAUSE)

    async def _watch(self, path: str, selector: str, version: str, seen: Callable[[Object], None]) -> None:
        while True:
            query = {
                "labelSelector": selector,
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": version,
                "timeoutSeconds": str(WATCH_SECONDS),
            }
            time_limit = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS)
            async with await self._request("GET", path, query=query, time_limit=time_limit) as response:
                async for event in _events(response):
                    if event["type"] == "ERROR":
                        raise ApiError(
                            int(event["object"].get("code", 500)), str(event["object"].get("message"))
                        )
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        seen(event["object"])


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Object]:
    async for line in response.content:
        if line.strip():
            yield json.loads(line)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
