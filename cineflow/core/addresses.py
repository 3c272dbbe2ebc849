"""Which hosts lie on the public internet: what a user's URL may name, and what we may connect to.

`ipaddress` alone does not know. Its `is_private` is False for 100.64.0.1, and its `is_global` is
True for 64:ff9b::a9fe:a9fe, which is 169.254.169.254 behind a NAT64.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

# https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by the customers of a carrier
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; clouds serve their credentials there
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# https://www.iana.org/assignments/iana-ipv6-special-registry: all that is global lies in 2000::/3,
# except addresses that hold an IPv4 address.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")

_HOST_NAME = re.compile(r"[a-z0-9_.-]+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_public_host(host: str) -> bool:
    """False for a literal address that is not public, for localhost, and for what is no host.

    `host` is that of a URL, with or without the brackets of IPv6. A name is not looked up: whoever
    connects has to ask `is_public_address` about the addresses that it resolves to.
    """
    if ":" in host:
        return _is_public_v6_literal(host.removeprefix("[").removesuffix("]"))
    name = _ascii(host).removesuffix(".")
    last = name.rpartition(".")[2]
    if not _HOST_NAME.fullmatch(name) or last == "localhost":
        return False
    # Readers disagree on 127.1, 0177.0.0.1 and 0x7f000001, so no such spelling counts as public.
    return not _NUMBER.fullmatch(last) or _is_public_v4_literal(name)


def is_public_address(address: IPv4Address | IPv6Address) -> bool:
    """False when the address, or one that it wraps, is in no public network."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if wrapped := list(_wrapped(address)):
        return all(is_public_address(inner) for inner in wrapped)
    return address in _GLOBAL_V6 and not any(address in network for network in _SPECIAL_V6)


def _wrapped(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that traffic to `address` can end at."""
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _ascii(host: str) -> str:
    """The name as a resolver gets it, without full-width digits and soft hyphens; "" if none."""
    try:
        return unicodedata.normalize("NFKC", host).encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def _is_public_v4_literal(text: str) -> bool:
    try:
        return is_public_address(IPv4Address(text))
    except ipaddress.AddressValueError:
        return False


def _is_public_v6_literal(text: str) -> bool:
    try:
        address = IPv6Address(text)
    except ipaddress.AddressValueError:
        return False
    return address.scope_id is None and is_public_address(address)
