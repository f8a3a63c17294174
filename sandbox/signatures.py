"""Who asks: a WSGI layer that lets pass what the holder of one pair of S3 keys signed, and refuses the rest.

It computes every signature anew with botocore's own signers. Accepted are version 4 in the headers and in the
query, and version 2 in the query, which is what boto3 presigns with unless told otherwise. The signature
covers the payload's announced checksum; that the body has it is not looked at.
"""

from __future__ import annotations

import datetime
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CLOCK_SKEW = datetime.timedelta(minutes=15)  # as S3 allows
CHUNK_BYTES = 1 << 20

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<scope>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]+)"
)


class RefusedError(Exception):
    """What S3 answers, with status 403, to a request whose sender it does not accept."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def document(self, path: str) -> bytes:
        """The answer's body."""
        text = f"<Code>{self.code}</Code><Message>{escape(str(self))}</Message>"
        resource = f"<Resource>{escape(path)}</Resource><RequestId>sandbox</RequestId>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}{resource}</Error>'.encode()


@dataclass(frozen=True)
class Incoming:
    """A request as it came over the wire: path and query are those that were signed, not decoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @classmethod
    def from_environ(cls, environ: WSGIEnvironment) -> Incoming:
        """Read werkzeug's environment, whose REQUEST_URI is the raw one."""
        path, _, query = environ["REQUEST_URI"].partition("?")
        names = {
            name.removeprefix("HTTP_"): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or (name in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value)
        }
        headers = {name.replace("_", "-").lower(): value for name, value in names.items()}
        return cls(environ["REQUEST_METHOD"], path, query, headers)

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def without(self, parameter: str) -> str:
        """The query, raw, but for one parameter."""
        return "&".join(each for each in self.query.split("&") if each.partition("=")[0] != parameter)


class SignatureCheck:
    """A WSGI application in front of another one that believes everybody."""

    def __init__(self, application: WSGIApplication, credentials: Credentials) -> None:
        self._application = application
        self._credentials = credentials

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        incoming = Incoming.from_environ(environ)
        try:
            self.check(incoming, datetime.datetime.now(datetime.UTC))
        except RefusedError as refused:
            _discard_body(environ)
            body = refused.document(incoming.path)
            headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
            start_response("403 Forbidden", headers)
            return [] if incoming.method == "HEAD" else [body]
        return self._application(environ, start_response)

    def check(self, incoming: Incoming, now: datetime.datetime) -> None:
        """Return if the request is signed with the known keys.

        Raises
        ------
        RefusedError
            With the code that S3 answers: AccessDenied (not signed, or expired), InvalidAccessKeyId,
            SignatureDoesNotMatch or RequestTimeTooSkewed.
        """
        if "authorization" in incoming.headers:
            self._check_headers(incoming, now)
        elif "X-Amz-Signature" in incoming.parameters:
            self._check_query(incoming, now)
        elif "AWSAccessKeyId" in incoming.parameters:
            self._check_old_query(incoming, now)
        else:
            raise RefusedError("AccessDenied", "Access Denied")

    def _check_headers(self, incoming: Incoming, now: datetime.datetime) -> None:
        match = _AUTHORIZATION.fullmatch(incoming.headers["authorization"])
        if not match:
            raise RefusedError("AccessDenied", "Only signatures of version 4 are accepted in headers")
        self._must_know(match["scope"].partition("/")[0])
        stamp = incoming.headers.get("x-amz-date", "")
        if abs(now - _time(stamp)) > CLOCK_SKEW:
            text = "The difference between the request time and the current time is too large."
            raise RefusedError("RequestTimeTooSkewed", text)
        signer = _HeaderSigner(self._credentials, "s3", _region(match["scope"]))
        expected = _signature(signer, incoming, incoming.query, stamp, match["headers"])
        _must_equal(expected, match["signature"])

    def _check_query(self, incoming: Incoming, now: datetime.datetime) -> None:
        given = incoming.parameters
        scope, stamp = given.get("X-Amz-Credential", ""), given.get("X-Amz-Date", "")
        self._must_know(scope.partition("/")[0])
        _must_last(_time(stamp).timestamp() + _seconds(given.get("X-Amz-Expires", "")), now)
        signer = _QuerySigner(self._credentials, "s3", _region(scope))
        query = incoming.without("X-Amz-Signature")
        expected = _signature(signer, incoming, query, stamp, given.get("X-Amz-SignedHeaders", ""))
        _must_equal(expected, given["X-Amz-Signature"])

    def _check_old_query(self, incoming: Incoming, now: datetime.datetime) -> None:
        given = incoming.parameters
        self._must_know(given["AWSAccessKeyId"])
        _must_last(_seconds(given.get("Expires", "")), now)
        signer = _OldQuerySigner(self._credentials, given["Expires"])
        headers: Any = AWSRequest(incoming.method, headers=dict(incoming.headers)).headers
        url = urlsplit(f"http://host{incoming.path}?{incoming.query}")
        _must_equal(signer.get_signature(incoming.method, url, headers), given.get("Signature", ""))

    def _must_know(self, access_key: str) -> None:
        if access_key != self._credentials.access_key:
            text = "The AWS Access Key Id you provided does not exist in our records."
            raise RefusedError("InvalidAccessKeyId", text)


class _HeaderSigner(S3SigV4Auth):
    """Signs all the headers it is given: those that the caller says it signed."""

    def headers_to_sign(self, request: AWSRequest) -> Any:
        return request.headers


class _QuerySigner(S3SigV4QueryAuth):
    def headers_to_sign(self, request: AWSRequest) -> Any:
        return request.headers


class _OldQuerySigner(HmacV1QueryAuth):
    """Signs the expiry that the caller names."""

    def __init__(self, credentials: Credentials, expires: str) -> None:
        super().__init__(credentials)
        self._date = expires

    def _get_date(self) -> str:
        return self._date


def _signature(
    signer: S3SigV4Auth | S3SigV4QueryAuth, incoming: Incoming, query: str, stamp: str, signed_headers: str
) -> str:
    names = signed_headers.split(";")
    headers = {name: incoming.headers.get(name, "") for name in names}
    request = AWSRequest(incoming.method, f"http://host{incoming.path}?{query}", headers=headers)
    request.context["timestamp"] = stamp
    canonical = signer.canonical_request(request)
    if isinstance(signer, S3SigV4Auth) and "x-amz-content-sha256" not in names:
        raise RefusedError("AccessDenied", "x-amz-content-sha256 must be signed")
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


def _region(scope: str) -> str:
    """From access key/date/region/s3/aws4_request."""
    parts = scope.split("/")
    if len(parts) != 5 or parts[3:] != ["s3", "aws4_request"]:
        raise RefusedError("AccessDenied", f"The credential scope {scope} is not one of S3")
    return parts[2]


def _time(stamp: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise RefusedError("AccessDenied", "The request says no time of signing in x-amz-date") from None


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise RefusedError("AccessDenied", "The query says no expiry")
    return int(text)


def _must_last(until: float, now: datetime.datetime) -> None:
    if now.timestamp() > until:
        raise RefusedError("AccessDenied", "Request has expired")


def _must_equal(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise RefusedError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )


def _discard_body(environ: WSGIEnvironment) -> None:
    """Read what the caller is still sending: closing on it would show as a broken pipe, not as the answer."""
    body = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        while body.read(CHUNK_BYTES):
            pass
        return
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (chunk := body.read(min(left, CHUNK_BYTES))):
        left -= len(chunk)
