"""Refusals as the KFP API server words them: an HTTP status, a gRPC code, a message and its `details`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

INVALID, NOT_FOUND, EXISTS, DENIED, ABORTED, INTERNAL, UNAUTHENTICATED = 3, 5, 6, 7, 10, 13, 16
STATUS_OF = {
    INVALID: 400,
    NOT_FOUND: 404,
    EXISTS: 409,
    DENIED: 403,
    ABORTED: 409,
    INTERNAL: 500,
    UNAUTHENTICATED: 401,
}


class KfpError(Exception):
    """A request that the server refuses.

    Parameters
    ----------
    code
        gRPC status code; the HTTP status follows from it.
    message
        The text in the body, with every wrapping the real server puts around it.
    detail
        What `details[0].message` says: the innermost text. Internal errors hide it. None leaves `details`
        out, as answers of the JSON gateway (before any handler) do.
    """

    def __init__(
        self, code: int, message: str, detail: str | None = None, detail_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.detail_code = code if detail_code is None else detail_code

    def wrapped(self, prefix: str) -> KfpError:
        """The same refusal seen from one layer up."""
        return KfpError(self.code, f"{prefix}: {self.message}", self.detail, self.detail_code)

    def response(self) -> web.Response:
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            status = {"@type": "type.googleapis.com/google.rpc.Status", "code": self.detail_code}
            body["details"] = [status | {"message": self.detail}]
        return web.json_response(body, status=STATUS_OF[self.code])


def malformed(message: str) -> KfpError:
    """What the gateway says of a body that it cannot read; such answers carry no details."""
    return KfpError(INVALID, message)


def invalid(message: str) -> KfpError:
    return KfpError(INVALID, f"Invalid input error: {message}", message)


def internal(message: str) -> KfpError:
    return KfpError(INTERNAL, f"InternalServerError: {message}", "Internal Server Error")


def not_found(kind: str, name: str) -> KfpError:
    text = f"{kind} {name} not found"
    return KfpError(NOT_FOUND, f"ResourceNotFoundError: {text}", text)


def exists(message: str) -> KfpError:
    return KfpError(EXISTS, f"Already exist error: {message}", message)


def bad_request(message: str, cause: str) -> KfpError:
    return KfpError(ABORTED, f"BadRequestError: {message}: {cause}", message)


def denied(message: str) -> KfpError:
    return KfpError(DENIED, f"PermissionDenied: {message}: Unauthorized access", message)


def unauthenticated(message: str) -> KfpError:
    return KfpError(UNAUTHENTICATED, f"Unauthenticated: {message}: {message}", message)
