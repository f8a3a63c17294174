"""Which hosts and addresses the operator may be sent to."""

from __future__ import annotations

import pytest

from trainandserve.addresses import forbidden, is_amazon, is_listed

METADATA = {
    "as it is": "169.254.169.254",
    "mapped into IPv6": "::ffff:169.254.169.254",
    "mapped, in hexadecimal": "::ffff:a9fe:a9fe",
    "behind NAT64": "64:ff9b::a9fe:a9fe",
    "in 6to4": "2002:a9fe:a9fe::",
    "Amazon's for IPv6": "fd00:ec2::254",
    "Google's for IPv6": "fd20:ce::254",
    "Alibaba's": "100.100.100.200",
    "Azure's": "168.63.129.16",
}


@pytest.mark.parametrize("address", METADATA.values(), ids=list(METADATA))
def test_no_name_leads_to_a_metadata_service(address: str) -> None:
    assert forbidden("storage.example", address) in ("link-local", "metadata")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("169.254.0.7", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
    ],
)
def test_no_name_leads_to_this_machine_or_its_link(address: str, kind: str) -> None:
    assert forbidden("storage.example", address) == kind


@pytest.mark.parametrize(
    "address", ["10.96.0.12", "192.168.7.1", "fd12::7", "52.216.1.1", "64:ff9b::34d8:101"]
)
def test_services_and_the_world_outside_are_gone_to(address: str) -> None:
    assert forbidden("storage.example", address) is None


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", True),  # listed just so by the administrator
        ("[::1]", "::1", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "169.254.169.254", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("2130706433", "127.0.0.1", False),
        ("0x7f.1", "127.0.0.1", False),
    ],
)
def test_an_address_that_is_written_out_is_that_address(host: str, address: str, allowed: bool) -> None:
    assert (forbidden(host, address) is None) == allowed


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com",
        "S3.amazonaws.com:443",
        "s3.eu-west-1.amazonaws.com",
        "s3-us-west-2.amazonaws.com",
        "s3.dualstack.us-gov-west-1.amazonaws.com",
        "s3-fips.us-east-1.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn",
        "s3-accelerate.amazonaws.com",
    ],
)
def test_the_endpoints_of_amazon_s3_are_known(host: str) -> None:
    assert is_amazon(host)


@pytest.mark.parametrize(
    "host",
    [
        "ec2-10-0-0-7.compute-1.amazonaws.com",  # a customer's machine; inside a network it has a private address
        "vpce-1-2.s3.us-east-1.vpce.amazonaws.com",  # anybody's private endpoint, with an address of their choosing
        "abc.execute-api.us-east-1.amazonaws.com",
        "bucket.s3.amazonaws.com",
        "s3.amazonaws.com:22",
        "s3.amazonaws.com.evil.example",
        "evils3.amazonaws.com",
        "s3.amazonaws.com.",
        "amazonaws.com",
        "s3.amazonaws.com\n",
    ],
)
def test_no_other_machine_of_amazon_counts_as_theirs(host: str) -> None:
    assert not is_amazon(host)


LISTED = ("minio.storage.svc:9000", "*.objects.example", "10.0.0.7")


@pytest.mark.parametrize(
    "host", ["minio.storage.svc:9000", "MINIO.storage.svc:9000", "eu.objects.example", "a.b.objects.example"]
)
def test_a_listed_host_is_allowed(host: str) -> None:
    assert is_listed(host, LISTED)


@pytest.mark.parametrize(
    "host",
    [
        "minio.storage.svc",
        "minio.storage.svc:9001",
        "minio.storage.svc:09000",
        "minio.storage.svc:9000:80",
        "evil-minio.storage.svc:9000",
        "minio.storage.svc:9000.evil.example",
        "objects.example",
        ".objects.example",
        "evilobjects.example",
        "eu.objects.example:22",
        "eu.objects.example.evil.example",
        "user@eu.objects.example",
        "evil.example/.objects.example",
        "evil.example#.objects.example",
        "10.0.0.8",
        "167772167",
        "",
    ],
)
def test_nothing_that_only_looks_like_a_listed_host_is_allowed(host: str) -> None:
    assert not is_listed(host, LISTED)
