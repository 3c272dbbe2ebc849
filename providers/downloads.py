"""Fetching a finished video: whole or not at all, resumed after a cut, the key kept at home."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urldefrag, urljoin, urlsplit

from urllib3 import BaseHTTPResponse

from providers.base import HttpCall
from providers.connections import WIRE_ERRORS, Wire, Wires, prepare, reason
from providers.errors import Code, Failure
from providers.proxies import Proxies
from providers.replies import retry_after

MAX_TRIES = 5
MAX_REDIRECTS = 5
# A stalled transfer is better asked for again than waited for.
STALL_SECONDS = 20.0
PAUSE_SECONDS = 0.2
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
class Order:
    """What to fetch, and its limits. `deadline` is of `time.monotonic`."""

    call: HttpCall
    deadline: float
    max_bytes: int
    proxies: Proxies
    wires: Wires
    on_progress: Callable[[int], None] | None = None


def download(order: Order, target: Path) -> Downloaded:
    with target.open("wb") as file:
        done = _Transfer(order, file).run()
        file.flush()
        os.fsync(file.fileno())
    return done


class _Transfer:
    """One file on its way; lives through several connections."""

    def __init__(self, order: Order, file: BinaryIO) -> None:
        self._order = order
        self._file = file
        self._told = time.monotonic()
        self._total: int | None = None
        self._start_over()

    def run(self) -> Downloaded:
        why = ""
        for number in range(MAX_TRIES):
            self._pause(number)
            try:
                return self._once(fresh=number > 0)
            except _Interrupted as interrupted:
                why = str(interrupted)
        raise _error(f"The video did not arrive whole after {MAX_TRIES} tries: {why}.")

    def _pause(self, number: int) -> None:
        pause = PAUSE_SECONDS * number
        if time.monotonic() + pause >= self._order.deadline:
            raise _error("The video did not arrive whole in the time it may take.")
        if pause:
            time.sleep(pause)

    def _once(self, *, fresh: bool) -> Downloaded:
        with self._answer(fresh=fresh) as (wire, answer):
            if answer.status == 416 and self._received:
                # There is less of it than we have: another file by now.
                self._start_over()
                raise _Interrupted("it changed meanwhile")
            _check(answer)
            self._place(answer)
            self._receive(wire, answer)
            return self._finished(answer)

    @contextmanager
    def _answer(self, *, fresh: bool) -> Iterator[tuple[Wire, BaseHTTPResponse]]:
        """The answer at the end of the redirects. `fresh`: not over a connection that may have gone stale."""
        url, secrets = self._order.call.url, True
        for _ in range(MAX_REDIRECTS + 1):
            with self._order.wires.open(url, self._order.deadline, fresh=fresh) as wire:
                answer = self._ask(wire, url, secrets=secrets)
                if answer.status not in _REDIRECTS:
                    yield wire, answer
                    return
                url, old = redirected(url, answer.headers.get("location", "")), url
                # Once it has led elsewhere it stays without: a way back is chosen by strangers.
                secrets = secrets and _origin(url) == _origin(old)
        raise _error("The video's address redirects too often.")

    def _ask(self, wire: Wire, url: str, *, secrets: bool) -> BaseHTTPResponse:
        try:
            request = prepare(self._order.call, url=url, extra=self._range(), secrets=secrets)
        except ValueError:
            raise _error("The video's address or the key cannot be used in a request.") from None
        try:
            return wire.begin(request, self._order.proxies, read_timeout=STALL_SECONDS)
        except WIRE_ERRORS as error:
            raise _Interrupted(reason(error)) from None

    def _range(self) -> dict[str, str]:
        if not self._received:
            return {}
        return {"Range": f"bytes={self._received}-", "If-Range": self._validator}

    def _place(self, answer: BaseHTTPResponse) -> None:
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
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self._received = 0
        self._total = None
        self._validator = ""

    def _receive(self, wire: Wire, answer: BaseHTTPResponse) -> None:
        chunks = wire.raw_chunks(answer)
        while chunk := self._read(chunks):
            self._file.write(chunk)
            self._hash.update(chunk)
            self._received += len(chunk)
            if self._received > self._order.max_bytes:
                raise _too_long(self._order.max_bytes)
            self._tell()

    def _read(self, chunks: Iterator[bytes]) -> bytes:
        """Apart from the writing, so that a full disk is not taken for a broken wire."""
        try:
            return next(chunks, b"")
        except WIRE_ERRORS as error:
            if not self._validator:
                self._start_over()
            raise _Interrupted(reason(error)) from None

    def _tell(self) -> None:
        if self._order.on_progress and time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            self._order.on_progress(self._received)

    def _finished(self, answer: BaseHTTPResponse) -> Downloaded:
        if self._total not in (None, self._received):
            self._start_over()
            raise _Interrupted("it is not as long as was said")
        if not self._received:
            raise _error("The provider sent an empty file.", status=answer.status)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Downloaded(self._received, self._hash.hexdigest(), kind)


def _check(answer: BaseHTTPResponse) -> None:
    status = answer.status
    if status not in (200, 206):
        raise _refused(answer)
    kind = answer.headers.get("content-type", "").lower()
    if kind.startswith(("text/", "application/json", "application/xml")):
        raise _error("The provider sent a page of text instead of the video.", status=status)
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise _error("The provider sent the video in an encoding we did not ask for.")


def _refused(answer: BaseHTTPResponse) -> DownloadError:
    status = answer.status
    text = _STATUS_TEXTS.get(status, f"The provider did not hand out the video (HTTP {status}).")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    failure = Failure(Code.DOWNLOAD_FAILED, text, status, retry_after(headers))
    return DownloadError(failure, gone=status in (404, 410))


def _extent(answer: BaseHTTPResponse) -> tuple[int, int | None]:
    """The place of the answer's first byte, and the size of the whole file if it is known."""
    if answer.status == 206:
        part = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
        if part is None:
            raise _error("The provider sent a part of the video and did not say which.")
        return int(part[1]), None if part[2] == "*" else int(part[2])
    length = answer.headers.get("content-length", "")
    return 0, int(length) if length.isascii() and length.isdigit() else None


def _validator(answer: BaseHTTPResponse) -> str:
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
