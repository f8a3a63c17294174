"""Connections to S3 that go to an address which was checked, and to no other.

A name is resolved once for a connection, each of its addresses is checked, and what was checked is connected to: a name
server that answers otherwise the second time is not asked a second time. Certificates are still those of the name.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, NameResolutionError

from ..addresses import forbidden

_TIMEOUT = (5, 20)
"""Longest time to connect and to wait for an answer's next part, in seconds."""


class AddressRefusedError(Exception):
    """A host has an address that the operator does not connect to."""


def checked_sender(endpoint_url: str, verify: bool) -> Any:
    """A handler of botocore's event ``before-send``: it sends the request itself, over checked connections.

    Parameters
    ----------
    endpoint_url
        Decides about the environment's proxies. Through a proxy nothing is resolved here, and it is the proxy's to check.
    verify
        Whether certificates are checked.
    """
    session = _CheckedSession(verify=verify, timeout=_TIMEOUT, proxies=get_environ_proxies(endpoint_url))

    def send(request: Any, **_: object) -> Any:
        return session.send(request)

    return send


def addresses(host: str, port: int) -> list[str]:
    """The addresses of a host.

    Raises
    ------
    AddressRefusedError
        One of them is of a kind that the operator does not connect to.
    OSError
        It has none.
    """
    found = [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        if kind := forbidden(host, address):
            raise AddressRefusedError(f"{host} has a {kind} address")
    return list(dict.fromkeys(found))


class _CheckedSession(URLLib3Session):
    """botocore's own, but for where it connects to."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        pools = {"http": _HttpPool, "https": _HttpsPool}
        self._manager.pool_classes_by_scheme = pools  # type: ignore[attr-defined]

    def send(self, request: Any) -> Any:
        try:
            return super().send(request)
        except HTTPClientError as error:
            refused = error.kwargs.get("error")
            if isinstance(refused, AddressRefusedError):
                raise refused from None  # botocore would try the other error again
            raise


class _Checked:
    """Connects to the checked addresses of its host, one after the other."""

    host: str
    port: int
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        host = self._dns_host
        try:
            *others, last = addresses(host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type]
        try:
            for address in others:
                self._dns_host = address
                with contextlib.suppress(HTTPError):
                    return self._connect()
            self._dns_host = last
            return self._connect()
        finally:
            self._dns_host = host

    def _connect(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        return made


class _Http(_Checked, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _Https(_Checked, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _NoRedirects:
    """What a server redirects to is nobody's choice here: the redirect is the answer."""

    def urlopen(self, *arguments: Any, **options: Any) -> Any:
        return super().urlopen(*arguments, **{**options, "redirect": False})  # type: ignore[misc]


class _HttpPool(_NoRedirects, AWSHTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(_NoRedirects, AWSHTTPSConnectionPool):
    ConnectionCls = _Https
