"""The door to the Kubernetes API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio import client, config

from .. import reasons
from ..names import FIELD_MANAGER
from .errors import Conflict, Denied, GatewayError, NoSuchKind, NotFound, Refused, Unreachable, brief

Json = dict[str, Any]

METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"

_CONTENT = {"apply": "application/apply-patch+yaml", "merge": "application/merge-patch+json"}
_PAGE = 500


class Gone(GatewayError):
    """A watch is too far behind: list again."""


class Kubernetes:
    """Requests to the API server, each with a time limit and an answer in our own types."""

    def __init__(self, api: client.ApiClient, timeout: timedelta) -> None:
        self._api = api
        self._timeout = timeout.total_seconds()

    @classmethod
    @asynccontextmanager
    async def connected(cls, timeout: timedelta, kubeconfig: Path | None = None) -> AsyncIterator[Kubernetes]:
        """Connect as the pod's service account, or as the kubeconfig says outside a cluster."""
        settings = client.Configuration()
        if kubeconfig is None:
            try:
                config.load_incluster_config(client_configuration=settings)
            except config.ConfigException:
                await config.load_kube_config(client_configuration=settings)
        else:
            await config.load_kube_config(str(kubeconfig), client_configuration=settings)
        async with client.ApiClient(settings) as api:
            yield cls(api, timeout)

    # --- Objects --------------------------------------------------------------------------------------------------

    async def get(self, path: str) -> Json | None:
        """One object; None when there is none.

        Raises
        ------
        Unreachable
            No answer, or one that means nothing about the object (a kind that the server does not know).
        Refused
            The operator may not read it.
        """
        try:
            return await self._request("GET", path)
        except NotFound:
            return None

    async def list_all(
        self, path: str, selector: str | None = None, *, metadata_only: bool = False
    ) -> list[Json]:
        """All objects of a collection, in pages."""
        items, _ = await self.list_with_version(path, selector, metadata_only=metadata_only)
        return items

    async def list_with_version(
        self, path: str, selector: str | None = None, *, metadata_only: bool = False
    ) -> tuple[list[Json], str]:
        """All objects of a collection, and the resourceVersion to watch on from."""
        query: dict[str, str] = {"limit": str(_PAGE)}
        if selector:
            query["labelSelector"] = selector
        items: list[Json] = []
        while True:
            page = await self._request(
                "GET", path, query=query, accept=METADATA_LIST if metadata_only else None
            )
            items += page.get("items") or []
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                return items, str(page["metadata"]["resourceVersion"])

    async def watch_metadata(self, path: str, selector: str, version: str) -> AsyncIterator[tuple[str, Json]]:
        """Events of a collection with the objects' metadata only.

        Raises
        ------
        Gone
            The version is too old: list again.
        """
        query = {
            "watch": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "290",
        }
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=300)
        async with self._open("GET", path, query=query, accept=METADATA, limit=limit) as answer:
            if answer.status != 200:
                raise _error(answer.status, await answer.read(), "GET", path)
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Gone(reasons.KUBERNETES_REFUSED, brief(event["object"].get("message")))
                yield event["type"], event["object"]

    async def create(self, path: str, body: Json) -> Json:
        """Create an object."""
        return await self._request("POST", path, body=body, query={"fieldManager": FIELD_MANAGER})

    async def replace(self, path: str, body: Json) -> Json:
        """Put an object, or its status, from the resourceVersion in it.

        Raises
        ------
        Conflict
            It has changed since.
        """
        return await self._request("PUT", path, body=body, query={"fieldManager": FIELD_MANAGER})

    async def merge(self, path: str, body: Json) -> Json:
        """Merge-patch an object; with a resourceVersion in the patch, only that version of it."""
        return await self._request(
            "PATCH", path, body=body, query={"fieldManager": FIELD_MANAGER}, content="merge"
        )

    async def apply(self, path: str, body: Json, *, force: bool) -> Json:
        """Server-side apply under our own field manager; with `force` our fields are taken back where others took them."""
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower(), "fieldValidation": "Strict"}
        return await self._request("PATCH", path, body=body, query=query, content="apply")

    async def delete(self, path: str, uid: str | None = None) -> None:
        """Delete an object (with a uid: only that one); one that is gone already is fine."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}  # type: ignore[assignment]
        try:
            await self._request("DELETE", path, body=body)
        except NotFound:
            return

    async def has_kind(self, group_version: str, plural: str) -> bool:
        """Whether the server knows a kind; only an answer that means so is taken for a no."""
        try:
            found = await self._request("GET", f"/apis/{group_version}")
        except NotFound:
            return False
        return any(kind["name"] == plural for kind in found.get("resources", ()))

    # --- Requests -------------------------------------------------------------------------------------------------

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        content: str | None = None,
        accept: str | None = None,
    ) -> Json:
        limit = aiohttp.ClientTimeout(total=self._timeout)
        async with self._open(
            method, path, body=body, query=query, content=content, accept=accept, limit=limit
        ) as answer:
            data = await answer.read()
        if 200 <= answer.status < 300:
            found: Json = json.loads(data)
            return found
        raise _error(answer.status, data, method, path)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        limit: aiohttp.ClientTimeout,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        content: str | None = None,
        accept: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {
            "Accept": accept or "application/json",
            "Content-Type": _CONTENT.get(content or "", "application/json"),
        }
        try:
            answer: aiohttp.ClientResponse = await self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=limit,
            )
            async with answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = brief(error) or type(error).__name__
            raise Unreachable(
                reasons.KUBERNETES_REFUSED, f"the API server did not answer {method} {path}: {what}"
            ) from error


def _error(status: int, data: bytes, method: str, path: str) -> GatewayError:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {}
    message = brief(answer.get("message") or data[:200].decode(errors="replace") or f"status {status}")
    words = f"{method} {path}: {message}"
    if status == 404 and answer.get("kind") == "Status" and (answer.get("details") or {}).get("name"):
        return NotFound(reasons.KUBERNETES_REFUSED, words)
    if status == 404:
        # A path that the server does not know: the list of a group's kinds (/apis/group/version), or a kind.
        kind = NotFound if path.count("/") <= 3 else NoSuchKind
        return kind(reasons.KSERVE_MISSING if "kserve" in path else reasons.KUBERNETES_REFUSED, words)
    if status == 409:
        return Conflict(reasons.KUBERNETES_REFUSED, words)
    if status == 410:
        return Gone(reasons.KUBERNETES_REFUSED, words)
    if "admission webhook" in message and "denied the request" in message:
        return Denied(reasons.ADMISSION_DENIED, words)
    if status in (400, 401, 403, 405, 413, 415, 422):
        return Refused(reasons.KUBERNETES_REFUSED, words)
    return Unreachable(reasons.KUBERNETES_REFUSED, words)
