"""Where the door to S3 leads, and where it does not: what was checked is what is connected to."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.tenants.listeners import EMPTY_LISTING, Listener, NameServer, answer, listening
from trainandserve import reasons
from trainandserve.gateways import s3 as door
from trainandserve.gateways.errors import Refused, Unreachable
from trainandserve.gateways.s3 import S3, Access, Keys
from trainandserve.gateways.s3_connections import checked_sender
from trainandserve.storage_access import StorageAccess

NAME, PUBLIC = "storage.example", "203.0.113.10"
LISTING = answer(200, EMPTY_LISTING, Content_Type="application/xml")
KEYS = Keys("access", "planted-secret-Zq8mV2xL")


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    door._client.cache_clear()
    made = S3(threads=1)
    yield made
    made.close()


def access(host: str, port: int) -> Access:
    return Access(StorageAccess(endpoint_url=f"http://{host}:{port}"), KEYS)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "fd00:ec2::254"])
async def test_a_name_that_leads_inside_is_not_followed(
    s3: S3, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    names = NameServer({NAME: [[address]]}).install(monkeypatch)
    with listening(LISTING) as inside:
        with pytest.raises(Refused) as refused:
            await s3.objects("s3://bucket/data/", access(NAME, inside.port))
        assert inside.untouched
    assert refused.value.reason == reasons.ENDPOINT_NOT_ALLOWED and NAME in refused.value.message
    assert names.asked == [NAME]  # and not once more


async def test_one_bad_address_among_good_ones_is_enough(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    NameServer({NAME: [[PUBLIC, "127.0.0.1"]]}).install(monkeypatch)
    with listening(LISTING) as inside:
        with pytest.raises(Refused):
            await s3.objects("s3://bucket/data/", access(NAME, inside.port))
        assert inside.untouched


async def test_a_name_that_means_something_else_the_second_time_leads_where_it_was_checked(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = NameServer({NAME: [[PUBLIC], ["127.0.0.1"]]}, routes={PUBLIC: "127.0.0.2"}).install(monkeypatch)
    with listening(LISTING, address="127.0.0.2") as outside:
        with listening(LISTING, port=outside.port) as inside:
            assert await s3.objects("s3://bucket/data/", access(NAME, outside.port)) == []
            assert outside.connections == 1 and f"Host: {NAME}:{outside.port}".encode() in outside.requests[0]
            assert names.asked == [NAME]

            with pytest.raises(Refused):  # the second connection asks again, and is told the other address
                await s3.objects("s3://bucket/data/", access(NAME, outside.port))
            assert inside.untouched and outside.connections == 1


async def test_a_name_that_has_no_address_at_first_is_not_asked_again_behind_the_check(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable) as unreachable:
        await s3.objects("s3://bucket/data/", access("no-such-host.invalid", 9000))
    assert unreachable.value.reason == reasons.STORAGE_UNREACHABLE


async def test_an_address_that_the_administrator_listed_is_reached(s3: S3) -> None:
    with listening(LISTING) as store:
        assert await s3.objects("s3://bucket/data/", access("127.0.0.1", store.port)) == []
        assert store.connections == 1


PERMANENT = "<Error><Code>PermanentRedirect</Code><Endpoint>{place}</Endpoint></Error>"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("region", ["eu-west-1", ""])
async def test_a_redirect_is_an_error_and_no_way_to_go(s3: S3, status: int, region: str) -> None:
    with listening(LISTING) as elsewhere:
        place = f"127.0.0.1:{elsewhere.port}"
        headers = {"Location": f"http://{place}/bucket"} | ({"x_amz_bucket_region": region} if region else {})
        with listening(answer(status, PERMANENT.format(place=place).encode(), **headers)) as store:
            with pytest.raises(Unreachable, match=f"answered {status}"):
                await s3.objects("s3://bucket/data/", access("127.0.0.1", store.port))
            assert store.connections == 1 and elsewhere.untouched


async def test_a_region_in_an_answer_is_no_way_to_another_host(s3: S3) -> None:
    """Of Amazon boto3 believes it, and tries again in the region that an answer names."""
    with listening(LISTING) as elsewhere:
        with listening(answer(301, x_amz_bucket_region=f"127.0.0.1:{elsewhere.port}#")) as store:
            with pytest.raises(Unreachable):
                await s3.objects("s3://bucket/data/", access("127.0.0.1", store.port))
            assert store.connections >= 1 and elsewhere.untouched


async def test_what_is_not_within_reach_is_not_even_connected_to(s3: S3) -> None:
    with listening(LISTING) as store:
        storage = StorageAccess(endpoint_url=store.url)
        mine = Access(storage, KEYS, reach=("shared/vision",))
        for uri in ("s3://shared/prod/", "s3://other/", "s3://shared/vision/../prod/"):
            with pytest.raises(Refused) as refused:
                await s3.objects(uri, mine)
            assert refused.value.reason == reasons.SECRET_NOT_NAMED
            for request in (s3.read, s3.folders, s3.check_writable, s3.delete):
                with pytest.raises(Refused):
                    await request(uri, mine)
        assert store.untouched
        assert await s3.objects("s3://shared/vision/data/", mine) == []


def test_a_certificate_is_still_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.awsrequest import AWSRequest

    NameServer({NAME: [[PUBLIC]], "other.example": [[PUBLIC]]}, {PUBLIC: "127.0.0.1"}).install(monkeypatch)
    certificate = _certificate(tmp_path, NAME)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with listening(LISTING, tls=server) as store:

        def send(host: str) -> int:
            url = f"https://{host}:{store.port}/"
            sender = checked_sender(url, str(certificate))  # type: ignore[arg-type]
            return int(sender(request=AWSRequest("GET", url).prepare()).status_code)

        assert send(NAME) == 200
        with pytest.raises(Exception, match="t match either of"):
            send("other.example")


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("10.9.9.9"))]
    )
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "certificate.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_listener_counts_who_connects() -> None:
    import socket

    with listening(b"") as listener:
        with socket.create_connection(("127.0.0.1", listener.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.recv(1) == b""
        assert isinstance(listener, Listener) and not listener.untouched
