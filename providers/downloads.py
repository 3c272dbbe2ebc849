"""Fetching a finished video: whole or not at all, resumed after a cut, the key kept at home."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar
from urllib.parse import urldefrag, urljoin, urlsplit

import aiohttp

from providers.base import HttpCall
from providers.connections import CONNECT_TIMEOUT, WIRE_ERRORS, prepare, reason, session
from providers.errors import Code, Failure
from providers.loop import Loop
from providers.proxies import Proxies
from providers.replies import retry_after

T = TypeVar("T")

MAX_TRIES = 5
MAX_REDIRECTS = 5
# A stalled transfer is better asked for again than waited for.
STALL_SECONDS = 20.0
PAUSE_SECONDS = 0.2
_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=STALL_SECONDS)
# Threads that write, sync and check what came.
_FINISHERS = 4
# A smaller one comes into memory first: to make a file may take as long as to fetch it, and the loop must not wait.
_SMALL_BYTES = 1 << 18
_REDIRECTS = {301, 302, 303, 307, 308}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_STATUS_TEXTS = {
    401: "The provider refused our key when the video was fetched.",
    403: "The provider does not let us fetch the video; its address may have expired.",
    404: "The provider has no such file.",
    410: "The provider no longer has the file.",
    429: "The provider asks us to fetch the video later.",
}


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A whole file; `bytes` is its size."""

    bytes: int
    sha256: str
    content_type: str


class DownloadError(Exception):
    """No whole file came. `gone`: it is not there (any more), so asking again is of no use."""

    def __init__(self, failure: Failure, *, gone: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.gone = gone


class _Interrupted(Exception):
    """The transfer broke; what came so far may be continued."""


@dataclass(frozen=True, slots=True)
class Order(Generic[T]):
    """Write the body of `call` to `target`, within `timeout` seconds from its turn on, and sync it; what `then`
    makes of it is the result."""

    call: HttpCall
    target: Path
    timeout: float
    max_bytes: int
    then: Callable[[Downloaded], T]


class Downloads:
    """Files for many at once, whose futures have what their order's `then` returns, or raise DownloadError, or
    OSError of the disk.

    They have a loop of their own: a disk that is slow to take what comes holds up no submit and no poll.
    """

    def __init__(self, proxies: Proxies, *, limit: int) -> None:
        self._proxies = proxies
        self._slots = asyncio.Semaphore(limit)
        self._loop = Loop("downloads", partial(session, auto_decompress=False))
        self._finishers = ThreadPoolExecutor(_FINISHERS, thread_name_prefix="finisher")

    def start(self, orders: Sequence[Order[T]]) -> list[Future[T]]:
        arrivals = self._loop.start([partial(self._fetched, order=order) for order in orders])
        promises: list[Future[T]] = [Future() for _ in orders]
        for order, arrival, promise in zip(orders, arrivals, promises, strict=True):
            arrival.add_done_callback(partial(self._arrived, order, promise))
        return promises

    def close(self) -> None:
        self._loop.close()
        self._finishers.shutdown(wait=False, cancel_futures=True)

    async def _fetched(self, session: aiohttp.ClientSession, *, order: Order[Any]) -> "_Whole":
        # In turn, so that the first come is the first whole: the wire shared among all would bring all at the end.
        async with self._slots:
            body = _Body(order.target)
            try:
                async with asyncio.timeout(order.timeout):
                    done = await _Transfer(order, session, self._proxies, body).run()
            except TimeoutError:
                body.close()
                raise _error("The video did not arrive whole in the time it may take.") from None
            except BaseException:
                body.close()
                raise
            return _Whole(body, done)

    def _arrived(self, order: Order[T], promise: Future[T], arrival: "Future[_Whole]") -> None:
        """In the loop's thread, which does not wait for the disk."""
        if arrival.cancelled():
            promise.cancel()
        elif error := arrival.exception():
            promise.set_exception(error)
        else:
            try:
                finishing = self._finishers.submit(_finish, order, promise, arrival.result())
            except RuntimeError:  # closed meanwhile
                promise.cancel()
            else:
                finishing.add_done_callback(
                    lambda ended: promise.cancel() if ended.cancelled() else None
                )


def _finish(order: Order[T], promise: Future[T], whole: "_Whole") -> None:
    try:
        whole.body.sync()
        promise.set_result(order.then(whole.done))
    except BaseException as error:  # noqa: BLE001 - it belongs to who asked for the file
        promise.set_exception(error)
    finally:
        whole.body.close()


class _Body:
    """What came so far: in memory while it is small, then in the file `target`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._small = bytearray()
        self._file: BinaryIO | None = None

    def write(self, chunk: bytes) -> None:
        self._small += chunk
        if self._file or len(self._small) > _SMALL_BYTES:
            self._put()

    def start_over(self) -> None:
        self._small.clear()
        if self._file:
            self._file.seek(0)
            self._file.truncate()

    def sync(self) -> None:
        """All of it onto the disk."""
        file = self._put()
        file.flush()
        os.fsync(file.fileno())

    def _put(self) -> BinaryIO:
        if self._file is None:
            self._file = self._target.open("wb")
        self._file.write(self._small)
        self._small.clear()
        return self._file

    def close(self) -> None:
        if self._file:
            self._file.close()


@dataclass(frozen=True, slots=True)
class _Whole:
    body: _Body
    done: Downloaded


class _Transfer:
    """One file on its way; lives through several connections."""

    def __init__(
        self,
        order: Order[Any],
        session: aiohttp.ClientSession,
        proxies: Proxies,
        body: _Body,
    ) -> None:
        self._order = order
        self._session = session
        self._proxies = proxies
        self._body = body
        self._total: int | None = None
        self._start_over()

    async def run(self) -> Downloaded:
        why = ""
        for number in range(MAX_TRIES):
            await asyncio.sleep(PAUSE_SECONDS * number)
            try:
                return await self._once()
            except _Interrupted as interrupted:
                why = str(interrupted)
        raise _error(f"The video did not arrive whole after {MAX_TRIES} tries: {why}.")

    async def _once(self) -> Downloaded:
        async with self._answer() as answer:
            if answer.status == 416 and self._received:
                # There is less of it than we have: another file by now.
                self._start_over()
                raise _Interrupted("it changed meanwhile")
            _check(answer)
            self._place(answer)
            await self._receive(answer)
            return self._finished(answer)

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer at the end of the redirects."""
        url, secrets = self._order.call.url, True
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(url, secrets=secrets)
            async with answer:
                if answer.status not in _REDIRECTS:
                    yield answer
                    return
                url, old = redirected(url, answer.headers.get("location", "")), url
                # Once it has led elsewhere it stays without: a way back is chosen by strangers.
                secrets = secrets and _origin(url) == _origin(old)
        raise _error("The video's address redirects too often.")

    async def _ask(self, url: str, *, secrets: bool) -> aiohttp.ClientResponse:
        try:
            request = prepare(self._order.call, url=url, extra=self._range(), secrets=secrets)
        except ValueError:
            raise _error("The video's address or the key cannot be used in a request.") from None
        try:
            return await self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                proxy=self._proxies.choose(url),
                timeout=_LIMITS,
            )
        except WIRE_ERRORS as error:
            raise _Interrupted(reason(error)) from None

    def _range(self) -> dict[str, str]:
        if not self._received:
            return {}
        return {"Range": f"bytes={self._received}-", "If-Range": self._validator}

    def _place(self, answer: aiohttp.ClientResponse) -> None:
        """Go to where the answer's bytes belong; learn how many there should be."""
        start, total = _extent(answer)
        if start != self._received:
            self._start_over()
            if start:
                raise _Interrupted("another part came than was asked for")
        self._total = total
        self._validator = _validator(answer)
        if total is not None and total > self._order.max_bytes:
            raise _too_long(self._order.max_bytes)

    def _start_over(self) -> None:
        self._body.start_over()
        self._hash = hashlib.sha256()
        self._received = 0
        self._total = None
        self._validator = ""

    async def _receive(self, answer: aiohttp.ClientResponse) -> None:
        while chunk := await self._read(answer):
            self._body.write(chunk)
            self._hash.update(chunk)
            self._received += len(chunk)
            if self._received > self._order.max_bytes:
                raise _too_long(self._order.max_bytes)

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """Apart from the writing, so that a full disk is not taken for a broken wire."""
        try:
            return await answer.content.readany()
        except WIRE_ERRORS as error:
            if not self._validator:
                self._start_over()
            raise _Interrupted(reason(error)) from None

    def _finished(self, answer: aiohttp.ClientResponse) -> Downloaded:
        if self._total not in (None, self._received):
            self._start_over()
            raise _Interrupted("it is not as long as was said")
        if not self._received:
            raise _error("The provider sent an empty file.", status=answer.status)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Downloaded(self._received, self._hash.hexdigest(), kind)


def _check(answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if status not in (200, 206):
        raise _refused(answer)
    kind = answer.headers.get("content-type", "").lower()
    if kind.startswith(("text/", "application/json", "application/xml")):
        raise _error("The provider sent a page of text instead of the video.", status=status)
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise _error("The provider sent the video in an encoding we did not ask for.")


def _refused(answer: aiohttp.ClientResponse) -> DownloadError:
    status = answer.status
    text = _STATUS_TEXTS.get(status, f"The provider did not hand out the video (HTTP {status}).")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    failure = Failure(Code.DOWNLOAD_FAILED, text, status, retry_after(headers))
    return DownloadError(failure, gone=status in (404, 410))


def _extent(answer: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """The place of the answer's first byte, and the size of the whole file if it is known."""
    if answer.status == 206:
        part = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
        if part is None:
            raise _error("The provider sent a part of the video and did not say which.")
        return int(part[1]), None if part[2] == "*" else int(part[2])
    length = answer.headers.get("content-length", "")
    return 0, int(length) if length.isascii() and length.isdigit() else None


def _validator(answer: aiohttp.ClientResponse) -> str:
    """What tells one version of the file from another; weak tags do not, byte for byte."""
    tag = answer.headers.get("etag", "")
    strong = tag if tag.startswith('"') else ""
    return strong or answer.headers.get("last-modified", "")


def redirected(url: str, location: str) -> str:
    """The absolute URL that `location` leads to; raises DownloadError where we do not follow."""
    there = urldefrag(urljoin(url, location)).url
    scheme, host, _ = _origin(there)
    if not location or not host or scheme not in ("http", "https"):
        raise _error("The video's address redirects to something that is no web address.")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise _error("The video's address redirects from https to http; that is not followed.")
    return there


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", "", None
    return parts.scheme, parts.hostname or "", port


def _error(message: str, *, status: int | None = None) -> DownloadError:
    return DownloadError(Failure(Code.DOWNLOAD_FAILED, message, status))


def _too_long(limit: int) -> DownloadError:
    return _error(f"The video is longer than the {limit} bytes that are allowed.")
