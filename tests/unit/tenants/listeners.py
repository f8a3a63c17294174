"""Servers on loopback that count what reaches them, and a name server whose answers a test writes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

EMPTY_LISTING = (
    b'<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount></ListBucketResult>'
)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP answer as it goes over the wire."""
    told = {"Content-Length": str(len(body)), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Listener:
    """What reached one address."""

    address: str
    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def untouched(self) -> bool:
        """Whether nobody connected, let alone sent a byte."""
        return self.connections == 0 and not self.requests


@contextlib.contextmanager
def listening(
    says: bytes = b"", *, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Listener]:
    """A server that answers each connection with the same bytes and counts."""
    with socket.create_server((address, port)) as server:
        listener = Listener(address, int(server.getsockname()[1]))
        thread = threading.Thread(target=_serve, args=(server, listener, says, tls), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(10)


def _serve(server: socket.socket, listener: Listener, says: bytes, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        listener.connections += 1
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            stream = tls.wrap_socket(connection, server_side=True) if tls else connection
            with stream:
                listener.requests.append(_request(stream))
                stream.sendall(says)


def _request(stream: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        if not (more := stream.recv(65536)):
            break
        found += more
    return found


@dataclass
class NameServer:
    """Answers for names, in their order; the last one stays. Other names and literals are none of its business.

    Attributes
    ----------
    answers
        By name: one list of addresses for each time that it is asked.
    routes
        Where an address is reached on this machine: what a network does.
    asked
        The names that were asked for.
    """

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def install(self, monkeypatch: Any) -> NameServer:
        """Put it before the system's."""
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name in self.routes:
                return real(self.routes[name], port, *args, **kwargs)
            if name not in self.answers:
                return real(host, port, *args, **kwargs)
            self.asked.append(name)
            later = self.answers[name]
            addresses = later.pop(0) if len(later) > 1 else later[0]
            return [_entry(one, port) for one in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return self


def _entry(address: str, port: Any) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    place = (address, port or 0, 0, 0) if ":" in address else (address, port or 0)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)
