"""A connection that serves one request and is cut at a deadline, whatever it is busy with."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url
from urllib3 import BaseHTTPResponse, ProxyManager, Timeout, connection_from_url, make_headers
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool

from providers.base import HttpCall
from providers.proxies import Proxies
from providers.watchdog import WATCHDOG, Watch

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


@cache
def trusted() -> ssl.SSLContext:
    """The certificates that requests trusts. Loading them takes longer than a handshake, so it is done once."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def _pool(url: str, proxy: str | None) -> HTTPConnectionPool:
    """Makes no connection yet."""
    secure: dict[str, Any] = {"ssl_context": trusted()} if url.lower().startswith("https:") else {}
    if proxy is None:
        return connection_from_url(url, maxsize=1, **secure)
    user, password = get_auth_from_url(proxy)
    login = make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
    manager = ProxyManager(proxy, proxy_headers=login, maxsize=1, **secure)
    return manager.connection_from_url(url)


class Wire:
    """Sends a request over a connection of its own, and ends it at a deadline whatever it is busy with.

    A paid request has a fresh one, which cannot have gone stale. A `lasting` one serves others after it.
    `opened` is the line between "surely not sent" and "perhaps": proxy and TLS included, the
    connection stands and the request goes out next. `cut` says that the deadline ended it.
    """

    def __init__(
        self, *, deadline: float, send_by: float | None = None, lasting: bool = False
    ) -> None:
        self.opened = False
        self.cut = False
        self._lasting = lasting
        self._deadline = deadline
        self._send_by = deadline if send_by is None else min(deadline, send_by)
        self._handle: socket.socket | None = None
        self._watch: Watch | None = None
        self._answer: BaseHTTPResponse | None = None
        self._pool: HTTPConnectionPool | None = None

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self, request: requests.PreparedRequest, proxies: Proxies, *, read_timeout: float | None
    ) -> BaseHTTPResponse:
        """The answer with its body unread. Redirects are answers like any other."""
        request.headers["Connection"] = "keep-alive" if self._lasting else "close"
        proxy = proxies.choose(request.url or "")
        pool = self._pool = self._pool or self._pool_for(request, proxy)
        left = self.left()
        self._answer = pool.urlopen(
            request.method or "",
            (request.url or "") if proxy and pool.scheme == "http" else request.path_url,
            body=request.body,
            headers=request.headers,
            timeout=Timeout(min(CONNECT_TIMEOUT, left), min(read_timeout or left, left)),
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        return self._answer

    def _pool_for(self, request: requests.PreparedRequest, proxy: str | None) -> HTTPConnectionPool:
        try:
            pool = _pool(request.url or "", proxy)
        except (urllib3_errors.LocationValueError, urllib3_errors.URLSchemeUnknown) as error:
            raise requests.exceptions.InvalidURL(request=request) from error
        kind = _Secure if pool.scheme == "https" else _Plain
        pool.ConnectionCls = partial(kind, wire=self)  # type: ignore[assignment]
        return pool

    def chunks(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        """The body as its server meant it, decompressed."""
        return self._whole(answer.stream(CHUNK, decode_content=True))

    def raw_chunks(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        """The body as it comes: a slow one in small pieces."""
        return self._whole(iter(partial(answer.read1, CHUNK, decode_content=False), b""))

    def _whole(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield from chunks
        if self.cut:
            # A body without a declared length seems to end well when it is cut.
            raise TimeoutError

    def watch(self, sock: socket.socket) -> None:
        """From here on the deadline holds: through tunnel, TLS, request, headers and body."""
        self._forget()
        sock.settimeout(self.left())
        # A handle of our own: TLS takes the first one over, and a number may be given out again.
        self._handle = sock.dup()
        self._guard(self._handle)

    def _guard(self, handle: socket.socket) -> None:
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # The kernel outlives us: it must not deliver what we wrote long after we gave up.
            limit = int(self.left() * 1000) + 1
            with suppress(OSError):
                handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)
        self._watch = WATCHDOG.watch(handle, self._deadline, self._note_cut)

    def rest(self) -> bool:
        """Whether it may serve another request: it lasts, and the answer was read to its end."""
        self._end_watch()
        answer, self._answer = self._answer, None
        read = answer is not None and answer.connection is None
        if answer is not None and not read:
            answer.close()
        return self._lasting and read and not self.cut

    def resume(self, deadline: float) -> None:
        """Serve another request. Where the far end has closed meanwhile, it connects anew."""
        self._deadline = self._send_by = deadline
        if self._handle:
            self._guard(self._handle)

    def left(self) -> float:
        """Seconds to the deadline; never 0, which would mean "do not block"."""
        return max(self._deadline - time.monotonic(), 0.001)

    def note_open(self) -> None:
        if time.monotonic() > self._send_by:
            raise TooLate
        self.opened = True

    def close(self) -> None:
        self._end_watch()
        if self._answer is not None:  # an error is false
            self._answer.close()
        if self._pool:
            self._pool.close()  # the adapter's close() leaves that to the garbage collector
        self._forget()
        self._answer = self._pool = None

    def _note_cut(self) -> None:
        self.cut = True

    def _end_watch(self) -> None:
        if self._watch:
            self._watch.end()
        self._watch = None

    def _forget(self) -> None:
        """The connection that was before."""
        self._end_watch()
        if self._handle:
            self._handle.close()
        self._handle = None


class Wires:
    """Lasting connections that wait for another request, a few for each origin. Safe to share between threads."""

    _MOST = 32
    _IDLE_SECONDS = 15.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resting: list[tuple[str, float, Wire]] = []  # origin, since when; the latest last

    @contextmanager
    def open(self, url: str, deadline: float, *, fresh: bool = False) -> Iterator[Wire]:
        """`fresh`: one that has served nobody yet. It rests afterwards if its answer is read to the end."""
        origin = "/".join(url.split("/", 3)[:3])
        wire = None if fresh else self._rested(origin)
        if wire:
            wire.resume(deadline)
        else:
            wire = Wire(deadline=deadline, lasting=True)
        try:
            yield wire
        except BaseException:
            wire.close()
            raise
        self._take_back(origin, wire)

    def _rested(self, origin: str) -> Wire | None:
        with self._lock:
            for place, (of, _, wire) in reversed(list(enumerate(self._resting))):
                if of == origin:
                    del self._resting[place]
                    return wire
        return None

    def _take_back(self, origin: str, wire: Wire) -> None:
        if not wire.rest():
            wire.close()
            return
        now = time.monotonic()
        with self._lock:
            self._resting.append((origin, now, wire))
            too_many = len(self._resting) - self._MOST
            old = [
                entry
                for place, entry in enumerate(self._resting)
                if place < too_many or now - entry[1] > self._IDLE_SECONDS
            ]
            self._resting = [entry for entry in self._resting if entry not in old]
        for _, _, tired in old:
            tired.close()


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
