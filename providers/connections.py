"""A connection that serves one request and is cut at a deadline, whatever it is busy with."""

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool

from providers.base import HttpCall
from providers.proxies import Proxies

CONNECT_TIMEOUT = 10.0
CHUNK = 64 * 1024
USER_AGENT = "CineFlow"

# It writes whole addresses into its lines, and a query may hold a signature.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class TooLate(Exception):
    """The connection was open only after the moment until which it could be used."""


# Everything that sending or reading may raise when the wire, and not our code, is at fault.
WIRE_ERRORS = (TooLate, requests.RequestException, urllib3_errors.HTTPError, OSError)


def prepare(
    call: HttpCall, *, url: str = "", extra: dict[str, str] | None = None, secrets: bool = True
) -> requests.PreparedRequest:
    """Raises ValueError (requests' errors are) when it cannot be put on the wire."""
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **call.headers}
    headers |= (dict(call.secret_headers) if secrets else {}) | (extra or {})
    for value in headers.values():
        value.encode("latin-1")  # http.client would find out after it has connected
    form, files = _form(call)
    return requests.Request(
        call.method, url or call.url, headers=headers, json=call.json, data=form, files=files
    ).prepare()


def _form(call: HttpCall) -> tuple[Any, Any]:
    """Fields and files, as requests wants them: to it, no files mean that the form is no multipart one."""
    if call.form and call.files == {}:
        return None, {name: (None, text) for name, text in call.form.items()}
    return call.form, call.files


class Wire(HTTPAdapter):
    """Sends one request over a connection of its own, so never over one that went stale.

    `opened` is the line between "surely not sent" and "perhaps": proxy and TLS included, the
    connection stands and the request goes out next. `cut` says that the deadline ended it.
    """

    def __init__(self, *, deadline: float, send_by: float | None = None) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self.opened = False
        self.cut = False
        self._deadline = deadline
        self._send_by = deadline if send_by is None else min(deadline, send_by)
        self._handle: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self._answer: requests.Response | None = None
        self._pool: HTTPConnectionPool | None = None

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self, request: requests.PreparedRequest, proxies: Proxies, *, read_timeout: float | None
    ) -> requests.Response:
        """The answer with its body unread. Redirects are answers like any other."""
        request.headers["Connection"] = "close"
        url = request.url or ""
        proxy = proxies.choose(url)
        left = self.left()
        self._answer = self.send(
            request,
            stream=True,
            timeout=(min(CONNECT_TIMEOUT, left), min(read_timeout or left, left)),
            proxies={url.partition(":")[0].lower(): proxy} if proxy else {},
        )
        return self._answer

    def chunks(self, answer: requests.Response) -> Iterator[bytes]:
        """The body as its server meant it, decompressed."""
        return self._whole(answer.raw.stream(CHUNK, decode_content=True))

    def raw_chunks(self, answer: requests.Response) -> Iterator[bytes]:
        """The body as it comes: a slow one in small pieces."""
        return self._whole(iter(partial(answer.raw.read1, CHUNK, decode_content=False), b""))

    def _whole(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield from chunks
        if self.cut:
            # A body without a declared length seems to end well when it is cut.
            raise TimeoutError

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> ConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        assert isinstance(pool, HTTPConnectionPool)  # noqa: S101 - the only kind there is
        kind = _Secure if issubclass(pool.ConnectionCls, HTTPSConnection) else _Plain
        pool.ConnectionCls = partial(kind, wire=self)  # type: ignore[assignment]
        self._pool = pool
        return pool

    def watch(self, sock: socket.socket) -> None:
        """From here on the deadline holds: through tunnel, TLS, request, headers and body."""
        left = self.left()
        sock.settimeout(left)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # The kernel outlives us: it must not deliver what we wrote long after we gave up.
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(left * 1000) + 1)
        # A handle of our own: TLS takes the first one over, and a number may be given out again.
        self._handle = sock.dup()
        self._timer = threading.Timer(left, self._cut, [self._handle])
        self._timer.daemon = True
        self._timer.start()

    def left(self) -> float:
        """Seconds to the deadline; never 0, which would mean "do not block"."""
        return max(self._deadline - time.monotonic(), 0.001)

    def note_open(self) -> None:
        if time.monotonic() > self._send_by:
            raise TooLate
        self.opened = True

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        if self._answer is not None:  # an error is false
            self._answer.close()
        if self._pool:
            self._pool.close()  # the adapter's close() leaves that to the garbage collector
        if self._handle:
            self._handle.close()
        self._answer = self._pool = None
        super().close()

    def _cut(self, handle: socket.socket) -> None:
        self.cut = True
        with suppress(OSError):
            # Closed with a reset: what is still in the buffer is thrown away, not sent later.
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handle.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    def __init__(self, *args: Any, wire: Wire, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire = wire

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self._wire.watch(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        self.timeout = self._wire.left()  # for the sending: that of the connect is short
        self._wire.note_open()


class _Secure(_Plain, HTTPSConnection):
    pass


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (TooLate, "it took too long"),
    (urllib3_errors.NameResolutionError, "the host's name is not known"),
    (urllib3_errors.ProxyError, "the proxy failed"),
    (urllib3_errors.SSLError, "no TLS connection came about (certificate?)"),
    (ConnectionRefusedError, "connection refused"),
    (urllib3_errors.TimeoutError, "it took too long"),
    (TimeoutError, "it took too long"),
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
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        first = error.args[0] if error.args else None
        error = next((e for e in (inner, first) if isinstance(e, BaseException)), None)
