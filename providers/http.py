"""The one transport. It says what the wire did and never repeats a POST."""

import asyncio
import io
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from providers.base import HttpAnswer, HttpCall
from providers.connections import (
    CONNECT_TIMEOUT,
    Prepared,
    TooLate,
    TooLong,
    Unspeakable,
    prepare,
    read_whole,
    reason,
    session,
    trusted,
)
from providers.downloads import Downloaded, DownloadError, Downloads, Order, T
from providers.errors import Code, Failure
from providers.loop import Loop
from providers.polls import PollClient
from providers.proxies import Proxies

__all__ = [
    "DownloadError",
    "Downloaded",
    "NotSent",
    "Order",
    "PollClient",
    "Proxies",
    "SentNoAnswer",
    "Transport",
]

# What the loop may need beyond a call's own time-out.
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely nothing arrived: no connection came about, so not a byte was written.

    `too_late`: one did come about, after `send_by`; nothing is wrong with the provider.
    """

    failure: Failure
    too_late: bool = False


@dataclass(frozen=True, slots=True)
class SentNoAnswer:
    """The connection was open and no whole answer came: the far end may have acted."""

    failure: Failure


Sent = HttpAnswer | NotSent | SentNoAnswer


class Transport:
    """What happens once: a paid POST, a download. Safe to share between threads.

    `timeout` is for a submit from its beginning to the last byte of its answer, in seconds. Of the downloads
    that are asked for, `downloads` are on the wire at once: the first come is the first whole.
    """

    def __init__(
        self, *, timeout: float, proxies: Proxies | None = None, downloads: int = 32
    ) -> None:
        self._timeout = timeout
        self._proxies = proxies or Proxies()
        self._submits = Loop("submits", lambda: session(connector=_Fresh()))
        self._downloads = Downloads(self._proxies, limit=downloads)

    def submit(self, call: HttpCall, *, send_by: float | None = None) -> Sent:
        """Send once. `send_by` (time.monotonic): a connection that is open later stays unused."""
        (answer,) = self.submit_all([call], send_by=send_by)
        try:
            return answer.result(self._timeout + _GRACE)
        except (TimeoutError, CancelledError):
            return SentNoAnswer(self._late())

    def submit_all(
        self, calls: Sequence[HttpCall], *, send_by: float | None = None
    ) -> list[Future[Sent]]:
        """As `submit`, side by side: what became of each call, in the order of the calls."""
        deadline = time.monotonic() + self._timeout
        open_by = deadline if send_by is None else min(deadline, send_by)
        return self._submits.start(
            [
                partial(self._sent, request=_prepared(call), passage=_Passage(deadline, open_by))
                for call in calls
            ]
        )

    def download_all(self, orders: Sequence[Order[T]]) -> list[Future[T]]:
        """Side by side; the futures raise DownloadError, or OSError of the disk."""
        return self._downloads.start(orders)

    def close(self) -> None:
        """Ends what is under way; nothing can be asked of it afterwards."""
        self._submits.close()
        self._downloads.close()

    async def _sent(
        self,
        session: aiohttp.ClientSession,
        *,
        request: Prepared | NotSent,
        passage: "_Passage",
    ) -> Sent:
        if isinstance(request, NotSent):
            return request
        _passage.set(passage)
        try:
            async with (
                asyncio.timeout(passage.left()),
                session.request(
                    request.method,
                    request.url,
                    # A large one goes out in pieces, so that it holds up no other request.
                    data=request.body and io.BytesIO(request.body),
                    headers=request.headers,
                    allow_redirects=False,
                    proxy=self._proxies.choose(str(request.url)),
                    timeout=_NO_LIMIT_BUT_THE_DEADLINE,
                ) as answer,
            ):
                return await read_whole(answer)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            # Whatever it is, and be it the end of this process: what counts is whether bytes may have gone out.
            passage.cut()
            return self._told(passage, error)

    def _told(self, passage: "_Passage", error: BaseException) -> Sent:
        if not passage.opened:
            failure = Failure(Code.DEPENDENCY_ERROR, f"Could not connect: {reason(error)}.")
            return NotSent(failure, too_late=isinstance(error, TooLate))
        if isinstance(error, TimeoutError):
            return SentNoAnswer(self._late())
        broken = "The connection broke before an answer came."
        message = str(error) if isinstance(error, TooLong) else broken
        return SentNoAnswer(Failure(Code.SERVER_ERROR, message))

    def _late(self) -> Failure:
        return Failure(Code.TIMEOUT, f"No answer within {self._timeout:g} seconds.")


_NO_LIMIT_BUT_THE_DEADLINE = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)


class _Passage:
    """One paid request on its way.

    `opened` is the line between "surely not sent" and "perhaps": proxy and TLS included, the connection
    stands and the request goes out next. Times are of time.monotonic.
    """

    def __init__(self, deadline: float, send_by: float) -> None:
        self.opened = False
        self._deadline = deadline
        self._send_by = send_by
        self._transport: asyncio.Transport | None = None

    def left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)

    def open(self, transport: asyncio.Transport | None) -> None:
        """Raises TooLate."""
        if time.monotonic() > self._send_by:
            raise TooLate
        self.opened = True
        self._transport = transport
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # The kernel outlives us: it must not deliver what we wrote long after we gave up.
            limit = int(self.left() * 1000) + 1
            self._set(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)

    def cut(self) -> None:
        """Closes with a reset: what is still in a buffer is thrown away, not sent later."""
        self._set(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self._transport:
            self._transport.abort()

    def _set(self, level: int, option: int, value: int | bytes) -> None:
        opened: Any = self._transport and self._transport.get_extra_info("socket")
        if opened:
            with suppress(OSError):
                opened.setsockopt(level, option, value)


# Of the task that asks its connector for a connection.
_passage: ContextVar[_Passage] = ContextVar("passage")


class _Fresh(aiohttp.TCPConnector):
    """A connection for each request, which cannot have gone stale; the request learns when it stands."""

    def __init__(self) -> None:
        super().__init__(limit=0, force_close=True, ssl=trusted())

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        try:
            _passage.get().open(connection.transport)
        except TooLate:
            connection.close()
            raise
        return connection


def _prepared(call: HttpCall) -> Prepared | NotSent:
    try:
        return prepare(call)
    except ValueError as error:
        return NotSent(_unsendable(error))


def _unsendable(error: ValueError) -> Failure:
    if isinstance(error, Unspeakable):
        return Failure(Code.UNAUTHORIZED, "The key has characters that no header can carry.")
    return Failure(Code.DEPENDENCY_ERROR, "The base URL is not a web address.")
