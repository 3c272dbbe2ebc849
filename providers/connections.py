"""What all requests have in common: how they are put together, whom they trust, what breaks them."""

import asyncio
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, requote_uri
from yarl import URL

from providers.base import HttpAnswer, HttpCall

CONNECT_TIMEOUT = 10.0
CHUNK = 64 * 1024
USER_AGENT = "CineFlow"
MAX_ANSWER = 4 * 1024 * 1024
# A signed address may be long, and comes as one header.
_LONGEST_HEADER = 64 * 1024


class TooLate(Exception):
    """The connection was open only after the moment until which it could be used."""


class TooLong(Exception):
    """More came than an answer may have."""


# Everything that sending or reading may raise when the wire, and not our code, is at fault. Addresses that are
# none are among them: a ValueError that is a ClientError.
WIRE_ERRORS = (TooLate, TooLong, aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as it goes on the wire."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


def prepare(
    call: HttpCall, *, url: str = "", extra: Mapping[str, str] | None = None, secrets: bool = True
) -> Prepared:
    """`url` in place of the call's own. Raises ValueError: `Unspeakable` for a header, else for the address."""
    body, kind = _body(call)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **kind, **call.headers}
    headers |= {**(call.secret_headers if secrets else {}), **(extra or {})}
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise Unspeakable
    return Prepared(call.method, _address(url or call.url), headers, body)


class Unspeakable(ValueError):
    """A header has characters that none can carry. Which ones is not told: it may hold the key."""


def _address(url: str) -> URL:
    """Characters that no address has are escaped; what is escaped stays so, for the signature that it may be part of.

    A name and password in it are left out: a key goes in a header.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address")
    if not parts.netloc.isascii():
        return URL(url).with_user(None)
    return URL(requote_uri(url), encoded=True).with_user(None)


def _body(call: HttpCall) -> tuple[bytes | None, dict[str, str]]:
    """And the header that says of what kind it is."""
    if call.form is not None:
        form, files = _form(call)
        encoded = requests.Request(
            call.method, "http://localhost", data=form, files=files
        ).prepare()
        body = encoded.body.encode() if isinstance(encoded.body, str) else encoded.body
        kind = encoded.headers.get("Content-Type")
        return body, {"Content-Type": kind} if kind else {}
    if call.json is not None:
        return json.dumps(call.json, allow_nan=False).encode(), {"Content-Type": "application/json"}
    return None, {}


def _form(call: HttpCall) -> tuple[Any, Any]:
    """Fields and files, as requests wants them: to it, no files mean that the form is no multipart one."""
    if call.form and call.files == {}:
        return None, {name: (None, text) for name, text in call.form.items()}
    return call.form, call.files


@cache
def trusted() -> ssl.SSLContext:
    """The certificates that requests trusts. Loading them takes longer than a handshake, so it is done once."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def session(
    *,
    limit: int = 0,
    connector: aiohttp.BaseConnector | None = None,
    auto_decompress: bool = True,
) -> aiohttp.ClientSession:
    """Opened in its event loop. It keeps nothing of one request for another but connections, `limit` at the most.

    All of them trust the same certificates: or a poll may fail where a submit went through.
    """
    return aiohttp.ClientSession(
        connector=connector or aiohttp.TCPConnector(limit=limit, ssl=trusted()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        auto_decompress=auto_decompress,
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
        trust_env=False,
    )


async def read_whole(answer: aiohttp.ClientResponse) -> HttpAnswer:
    """Raises TooLong, and whatever breaks the wire."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise TooLong("The answer is too long to be one.")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return HttpAnswer(answer.status, headers, bytes(body))


_NO_TLS = "no TLS connection came about (certificate?)"
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (TooLate, "it took too long"),
    (aiohttp.ClientConnectorDNSError, "the host's name is not known"),
    (aiohttp.ClientProxyConnectionError, "the proxy failed"),
    (aiohttp.ClientHttpProxyError, "the proxy failed"),
    (aiohttp.ClientSSLError, _NO_TLS),
    (ssl.SSLError, _NO_TLS),
    (ConnectionRefusedError, "connection refused"),
    (asyncio.TimeoutError, "it took too long"),
)


def reason(error: BaseException) -> str:
    """Why no connection came about, in words without an address."""
    causes = list(_causes(error))
    # Of a TLS handshake that failed asyncio tells no more than a reset, and that without a number.
    if any(isinstance(cause, ConnectionResetError) and cause.errno is None for cause in causes):
        return _NO_TLS
    for kind, words in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return "the connection failed"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
