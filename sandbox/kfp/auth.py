"""Who may do what, in multi-user mode: TokenReview, then SubjectAccessReview."""

from __future__ import annotations

from aiohttp import web

from sandbox.kfp.answers import KfpError, denied, internal, unauthenticated
from sandbox.kfp.cluster import Cluster, ClusterError, User

GROUP = "pipelines.kubeflow.org"
_BEARER = "Bearer "


class Access:
    """Checks of one server; in single-user mode everything is allowed and no header is looked at."""

    def __init__(self, cluster: Cluster, multi_user: bool) -> None:
        self._cluster = cluster
        self._multi_user = multi_user

    async def check(
        self, request: web.Request, resource: str, verb: str, namespace: str, name: str = ""
    ) -> None:
        """Refuse what the request's user may not do.

        Raises
        ------
        KfpError
            401/16 without a valid token for KFP's audience, 403/7 when the API server says no.
        """
        if not self._multi_user:
            return
        user = await self._user(request)
        attributes = {
            "namespace": namespace,
            "verb": verb,
            "group": GROUP,
            "version": "v1beta1",
            "resource": resource,
            "name": name,
        }
        try:
            allowed, reason = await self._cluster.may(user, attributes)
        except ClusterError as error:
            raise internal(f"Failed to create SubjectAccessReview for user '{user.name}': {error}") from error
        if not allowed:
            asked = (
                f"&ResourceAttributes{{Namespace:{namespace},Verb:{verb},Group:{GROUP},Version:v1beta1,"
                f"Resource:{resource},Subresource:,Name:{name},}}"
            )
            raise denied(f"User '{user.name}' is not authorized with reason: {reason} (request: {asked})")

    async def _user(self, request: web.Request) -> User:
        header = request.headers.get("Authorization", "")
        if not header.startswith(_BEARER):
            raise unauthenticated("Request header error: there is no user identity header")
        try:
            user = await self._cluster.who(header.removeprefix(_BEARER))
        except ClusterError as error:
            raise unauthenticated("Request header error: Failed to review the token provided") from error
        if user is None:
            raise unauthenticated("Review.Status.Authenticated is false")
        return user


def cannot_access(error: KfpError, namespace: str, run_id: str = "") -> KfpError:
    """How a refused access to a run is wrapped."""
    text = f"Failed to access run {run_id}. Check if you have access to namespace {namespace}"
    return error.wrapped(text)
