"""Where the operator may be sent by what others wrote: hosts by the administrator's lists, addresses by their kind.

Pure: nothing is resolved and nothing is connected to here. A host's name is checked before it is used; the address that it
turns out to have is checked by the doors (`gateways`), at the moment when they connect, because a name may mean something
else a second later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_REGION = "[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}"
_AMAZON = re.compile(
    rf"(s3[.-]external-1|s3-accelerate([.]dualstack)?|s3|s3[.-]{_REGION}|s3(-fips)?([.]dualstack)?[.]{_REGION})"
    "[.]amazonaws[.]com([.]cn)?(:443)?"
)
"""S3's own endpoints and no others below amazonaws.com: there are customers' machines and private endpoints as well.
https://docs.aws.amazon.com/general/latest/gr/s3.html"""

_METADATA = frozenset(
    ip_address(one)
    for one in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
"""Metadata services of clouds that are not on link-local addresses: they hand out the machine's credentials."""

_NAT64 = IPv6Network("64:ff9b::/96")


def is_amazon(host: str) -> bool:
    """Whether a host (with its port, if it has one) is an endpoint of Amazon S3."""
    return _AMAZON.fullmatch(host.lower()) is not None


def is_listed(host: str, entries: Iterable[str]) -> bool:
    """Whether a host is in a list of an administrator.

    Parameters
    ----------
    host
        As it was written, with its port if it has one.
    entries
        Hosts to be written just so, and ``*.suffix``: any host below. A port belongs to both.
    """
    host = host.lower()
    for entry in (one.lower() for one in entries):
        if host == entry:
            return True
        if entry.startswith("*.") and _is_below(host, entry[1:]):
            return True
    return False


def _is_below(host: str, suffix: str) -> bool:
    below = host.removesuffix(suffix)
    return below != host and re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", below) is not None


def literal(host: str) -> Address | None:
    """The address that a host is written as; None for a name, and for the old forms of IPv4 (decimal, hexadecimal, octal)."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def forbidden(host: str, address: str) -> str | None:
    """Why the operator does not connect to an address that a host was resolved to; None where it may.

    Parameters
    ----------
    host
        The host as it was asked for, without a port. Written as an address, or as ``localhost``, it is what an
        administrator listed: then it may be just that.
    address
        One of the addresses that it has.

    Returns
    -------
    str or None
        The kind of the address, like ``loopback``. Private addresses are none of these: Services have them.
    """
    found = ip_address(address.partition("%")[0])
    if literal(host) == found or (host.lower() == "localhost" and found.is_loopback):
        return None
    return next((kind for one in _meanings(found) if (kind := _kind(one))), None)


def _kind(address: Address) -> str | None:
    if address in _METADATA:
        return "metadata"
    kinds = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "unspecified": address.is_unspecified or (address.version == 4 and address.packed[0] == 0),
        "multicast": address.is_multicast,
        "reserved": address.is_reserved,
    }
    return next((kind for kind, holds in kinds.items() if holds), None)


def _meanings(address: Address) -> Iterable[Address]:
    """The address, or those of IPv4 that are written inside it and that a router may take it to."""
    if not isinstance(address, IPv6Address):
        return (address,)
    inside: list[Address] = [one for one in (address.ipv4_mapped, address.sixtofour) if one]
    if address.teredo:
        inside += address.teredo
    if address in _NAT64:
        inside.append(IPv4Address(address.packed[-4:]))
    return inside or (address,)
