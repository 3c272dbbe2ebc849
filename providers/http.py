"""The one transport. It says what the wire did and never repeats a POST."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from urllib3 import BaseHTTPResponse
from urllib3 import exceptions as urllib3_errors

from providers.base import HttpAnswer, HttpCall
from providers.connections import WIRE_ERRORS, TooLate, Wire, Wires, prepare, reason
from providers.downloads import Downloaded, DownloadError, Order, download
from providers.errors import Code, Failure
from providers.polls import MAX_ANSWER, PollClient
from providers.proxies import Proxies

__all__ = [
    "DownloadError",
    "Downloaded",
    "NotSent",
    "PollClient",
    "Proxies",
    "SentNoAnswer",
    "Transport",
]


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


class Transport:
    """What happens once: a paid POST, a download. Safe to share between threads.

    `timeout` is for a submit from its beginning to the last byte of its answer, in seconds.
    """

    def __init__(self, *, timeout: float, proxies: Proxies | None = None) -> None:
        self._timeout = timeout
        self._proxies = proxies or Proxies()
        self._wires = Wires()

    def submit(
        self, call: HttpCall, *, send_by: float | None = None
    ) -> HttpAnswer | NotSent | SentNoAnswer:
        """Send once. `send_by` (time.monotonic): a connection that is open later stays unused."""
        try:
            request = prepare(call)
        except ValueError as error:
            return NotSent(_unsendable(error))
        with Wire(deadline=time.monotonic() + self._timeout, send_by=send_by) as wire:
            return self._send(wire, request)

    def download(
        self,
        call: HttpCall,
        target: Path,
        *,
        timeout: float,
        max_bytes: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> Downloaded:
        """Write the body to `target` and sync it; raises DownloadError, or OSError of the disk.

        `on_progress` is told the bytes so far, at most once a second, and not while nothing
        comes; what it raises ends the download. `timeout` holds for all of it.
        """
        deadline = time.monotonic() + timeout
        return download(
            Order(call, deadline, max_bytes, self._proxies, self._wires, on_progress), target
        )

    def _send(
        self, wire: Wire, request: requests.PreparedRequest
    ) -> HttpAnswer | NotSent | SentNoAnswer:
        try:
            answer = wire.begin(request, self._proxies, read_timeout=None)
            return self._read(wire, answer)
        except WIRE_ERRORS as error:
            if wire.opened:
                return SentNoAnswer(self._lost(wire, error))
            message = f"Could not connect: {reason(error)}."
            late = isinstance(error, TooLate)
            return NotSent(Failure(Code.DEPENDENCY_ERROR, message), too_late=late)

    def _read(self, wire: Wire, answer: BaseHTTPResponse) -> HttpAnswer | SentNoAnswer:
        body = bytearray()
        for chunk in wire.chunks(answer):
            body += chunk
            if len(body) > MAX_ANSWER:
                message = "The answer is too long to be one."
                return SentNoAnswer(Failure(Code.SERVER_ERROR, message, answer.status))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return HttpAnswer(answer.status, headers, bytes(body))

    def _lost(self, wire: Wire, error: BaseException) -> Failure:
        if wire.cut or isinstance(error, urllib3_errors.TimeoutError | TimeoutError):
            return Failure(Code.TIMEOUT, f"No answer within {self._timeout:g} seconds.")
        return Failure(Code.SERVER_ERROR, "The connection broke before an answer came.")


def _unsendable(error: ValueError) -> Failure:
    # Neither error may be quoted: both hold the header, and the header holds the key.
    if isinstance(error, UnicodeError | requests.exceptions.InvalidHeader):
        return Failure(Code.UNAUTHORIZED, "The key has characters that no header can carry.")
    return Failure(Code.DEPENDENCY_ERROR, "The base URL is not a web address.")
