"""The cluster of the current KUBECONFIG, and tokens of service accounts in it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from tests.harness.api import Api, ApiRefused, Json

TOKEN_SECONDS = 6 * 3600


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server as the user of a kubeconfig sees it, whatever way that one identifies itself."""
    from kubernetes_asyncio import client, config  # seconds to import: not where the suite is only skipped

    known = client.Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=known)

    async def authorization() -> str:
        return str(await known.get_api_key_with_prefix("BearerToken") or "")

    trust = None
    if known.host.startswith("https:"):
        trust = ssl.create_default_context(cafile=known.ssl_ca_cert)
        if known.cert_file:
            trust.load_cert_chain(known.cert_file, known.key_file)
        if not known.verify_ssl:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with Api.connected(known.host.rstrip("/"), trust, authorization) as api:
        yield api


async def token(api: Api, account: str, audience: str = "") -> str:
    """A token of a service account, said as ``namespace/name``, for the API server or an audience."""
    namespace, _, name = account.partition("/")
    spec: Json = {"expirationSeconds": TOKEN_SECONDS} | ({"audiences": [audience]} if audience else {})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    try:
        return str((await api.call("POST", path, body))["status"]["token"])
    except ApiRefused as refused:
        words = f"no token for {account}: {refused}; install the operator first, or name its account"
        raise RuntimeError(words) from refused


def write_kubeconfig(file: Path, kubeconfig: Path, bearer: str) -> None:
    """The same cluster for somebody else, who has a token."""
    known = yaml.safe_load(kubeconfig.read_text())
    context = next(one for one in known["contexts"] if one["name"] == known["current-context"])
    cluster = next(one for one in known["clusters"] if one["name"] == context["context"]["cluster"])
    cluster = dict(cluster["cluster"])
    if authority := cluster.pop("certificate-authority", None):
        content = (kubeconfig.parent / authority).read_bytes()
        cluster["certificate-authority-data"] = base64.b64encode(content).decode()
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "operator", "user": {"token": bearer}}],
        "contexts": [{"name": "operator", "context": {"cluster": "cluster", "user": "operator"}}],
        "current-context": "operator",
    }
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(body))
