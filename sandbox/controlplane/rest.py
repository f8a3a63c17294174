"""The few calls that the sandbox itself makes on its API server, over the standard library."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TIMEOUT_SECONDS = 30.0  # a large definition on a busy machine takes its time
APPLY = "application/apply-patch+yaml"


class RestError(RuntimeError):
    """The API server refused a call.

    Attributes
    ----------
    status
        The HTTP status code.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Rest:
    """A server, seen by one bearer of a token.

    Attributes
    ----------
    server
        Its URL.
    token
        Empty for an anonymous caller.
    ca
        What signed its certificate (PEM); of no use with http.
    """

    server: str
    token: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)

    @classmethod
    def from_kubeconfig(cls, file: Path) -> Rest:
        """The current context of a kubeconfig that identifies its user by a token.

        Raises
        ------
        ValueError
            If it holds no token or no certificate authority.
        """
        config = yaml.safe_load(file.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        if "token" not in user or "certificate-authority-data" not in cluster:
            raise ValueError(f"{file} holds no token or no certificate-authority-data: not the sandbox's")
        return cls(
            cluster["server"], user["token"], base64.b64decode(cluster["certificate-authority-data"]).decode()
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        """Call `path` and return the answer, read as JSON.

        Parameters
        ----------
        accept
            The form of the answer; the API server knows JSON's as=Table.

        Raises
        ------
        RestError
            If the server answers with an error.
        OSError
            If it does not answer.
        """
        with contextlib.closing(self._connection(TIMEOUT_SECONDS)) as connection:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers=self._identity | {"Content-Type": content_type, "Accept": accept},
            )
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        if answer.status >= 400:
            raise RestError(answer.status, f"{method} {path}: {answer.status} {_message(text)}")
        return json.loads(text)

    def watch(self, path: str, seconds: int) -> Iterator[dict[str, Any]]:
        """Yield every change of what a GET of `path` lists, from its present state on: ``{"type": …, "object": …}``.

        Parameters
        ----------
        path
            With its query, without `watch`.
        seconds
            How long the server is asked to go on; then the iteration ends.

        Raises
        ------
        RestError
            If the server answers with an error.
        OSError, http.client.HTTPException
            If the connection ends before.
        """
        query = f"{'&' if '?' in path else '?'}watch=true&timeoutSeconds={seconds}"
        with contextlib.closing(self._connection(seconds + TIMEOUT_SECONDS)) as connection:
            connection.request("GET", path + query, headers=self._identity | {"Accept": "application/json"})
            answer = connection.getresponse()
            if answer.status >= 400:
                text = answer.read().decode(errors="replace")
                raise RestError(answer.status, f"GET {path}: {answer.status} {_message(text)}")
            for line in answer:
                yield json.loads(line)

    @property
    def _identity(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        address = urllib.parse.urlsplit(self.server)
        if address.scheme != "https":
            return http.client.HTTPConnection(address.netloc, timeout=timeout)
        return http.client.HTTPSConnection(address.netloc, timeout=timeout, context=_trusting(self.ca))

    def answers(self, path: str) -> bool:
        """Whether a GET of `path` succeeds; for waiting."""
        try:
            self.call("GET", path)
        except ValueError:  # succeeded, with something else than JSON
            return True
        except (OSError, http.client.HTTPException, RestError):
            return False
        return True


@functools.cache
def _trusting(ca: str | None) -> ssl.SSLContext:
    """One for all calls: making it takes longer than most of them."""
    return ssl.create_default_context(cadata=ca)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
