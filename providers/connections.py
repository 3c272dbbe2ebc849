"""What all requests have in common: how they are put together, whom they trust, what breaks them."""

import asyncio
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Any

import aiohttp
import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

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


def prepare(
    call: HttpCall, *, url: str = "", extra: dict[str, str] | None = None, secrets: bool = True
) -> requests.PreparedRequest:
    """Address, headers and body as they go on the wire. Raises ValueError (requests' errors are) if they cannot."""
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **call.headers}
    headers |= (dict(call.secret_headers) if secrets else {}) | (extra or {})
    for value in headers.values():
        value.encode("ascii")
    form, files = _form(call)
    return requests.Request(
        call.method, url or call.url, headers=headers, json=call.json, data=form, files=files
    ).prepare()


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


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (TooLate, "it took too long"),
    (aiohttp.ClientConnectorDNSError, "the host's name is not known"),
    (aiohttp.ClientProxyConnectionError, "the proxy failed"),
    (aiohttp.ClientHttpProxyError, "the proxy failed"),
    (aiohttp.ClientSSLError, "no TLS connection came about (certificate?)"),
    (ssl.SSLError, "no TLS connection came about (certificate?)"),
    (ConnectionRefusedError, "connection refused"),
    (asyncio.TimeoutError, "it took too long"),
)


def reason(error: BaseException) -> str:
    """Why no connection came about, in words without an address."""
    causes = list(_causes(error))
    for kind, words in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return "the connection failed"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
