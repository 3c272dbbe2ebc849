"""Getting a file from an address that a user wrote: from the public internet only, and never more than asked for.

Every address that a name resolves to is looked at where the connection is made, so a name that answers
differently the second time leads nowhere else. Each redirect is looked at anew. Nothing of ours goes along: no
key, no cookie.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from cineflow.core.addresses import is_public_address, is_public_host
from providers.connections import CHUNK, CONNECT_TIMEOUT, USER_AGENT
from providers.proxies import Proxies

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_PASSING = (408, 425, 429)


class NotFetched(Exception):
    """Its text tells a person why; `temporary` when the same address may answer another time."""

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary


@dataclass(frozen=True, slots=True)
class Rules:
    """Where a request may go. Tests replace them to have a far end of their own."""

    allows_host: Callable[[str], bool] = is_public_host
    allows_address: Callable[[IPv4Address | IPv6Address], bool] = is_public_address
    resolver: Callable[[], AbstractResolver] = ThreadedResolver


PUBLIC_ONLY = Rules()


def fetch(
    url: str,
    *,
    timeout: float,
    max_bytes: int,
    proxies: Proxies | None = None,
    rules: Rules | None = None,
) -> bytes:
    """The body behind `url`, within `timeout` seconds in all; raises NotFetched."""
    return asyncio.run(_fetch(url, timeout, max_bytes, proxies or Proxies(), rules or PUBLIC_ONLY))


async def _fetch(url: str, timeout: float, max_bytes: int, proxies: Proxies, rules: Rules) -> bytes:
    resolver = _Guarded(rules)
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False)
    limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
    try:
        async with (
            asyncio.timeout(timeout),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                # Packed, a few bytes could be gigabytes.
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
                timeout=limit,
            ) as session,
        ):
            return await _follow(session, resolver, url, max_bytes, proxies)
    except TimeoutError as error:
        raise NotFetched(f"it did not come within {timeout:g} seconds", temporary=True) from error
    except aiohttp.InvalidURL as error:
        raise NotFetched("that is no web address") from error
    except (aiohttp.ClientError, OSError) as error:
        if resolver.refused:
            raise NotFetched(_PRIVATE) from error
        raise NotFetched("the connection failed", temporary=True) from error


_PRIVATE = "its host is not on the public internet"


async def _follow(
    session: aiohttp.ClientSession,
    resolver: "_Guarded",
    url: str,
    max_bytes: int,
    proxies: Proxies,
) -> bytes:
    for _ in range(_MOST_REDIRECTS + 1):
        proxy = proxies.choose(url)
        await _check(resolver, url, proxied=proxy is not None)
        async with session.get(url, allow_redirects=False, proxy=proxy) as answer:
            if answer.status not in _REDIRECTS:
                return await _body(answer, max_bytes)
            url = urljoin(url, answer.headers.get("Location", ""))
    raise NotFetched(f"it redirects more than {_MOST_REDIRECTS} times")


async def _check(resolver: "_Guarded", url: str, *, proxied: bool) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise NotFetched("that is no web address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotFetched("that is no http(s) address")
    if not resolver.rules.allows_host(parts.hostname):
        raise NotFetched(_PRIVATE)
    if proxied:
        # The proxy looks the name up by itself; what it means here must be public all the same.
        await resolver.resolve(parts.hostname, port)


async def _body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if answer.status != 200:
        temporary = answer.status >= 500 or answer.status in _PASSING
        raise NotFetched(f"its server answers HTTP {answer.status}", temporary=temporary)
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise NotFetched("its server sends it packed although it was asked not to")
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > max_bytes:
            raise NotFetched(f"it is larger than {max_bytes} bytes")
    return bytes(body)


class _Guarded(AbstractResolver):
    """Names resolve to public addresses, or to none. What it gives is what is connected to."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.refused = False
        self._inner = rules.resolver()

    async def resolve(
        self, host: str, port: int = 0, *args: Any, **kwargs: Any
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, *args, **kwargs)
        if not all(self.rules.allows_address(ip_address(each["host"])) for each in found):
            self.refused = True
            raise OSError(_PRIVATE)
        return found

    async def close(self) -> None:
        await self._inner.close()
