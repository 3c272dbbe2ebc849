"""gunicorn's threaded worker, with two things put right.

What it answers itself, before Django sees a request, is the API's JSON envelope and not an HTML page. And a request
takes a thread only once its head (and a small body) has arrived: as it comes, a dozen clients that stop in the middle
of a header hold every thread there is.
"""

import errno
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers import gthread

MAX_HEAD_BYTES = 1_048_576
SMALL_BODY_BYTES = 65_536
ARRIVES_WITHIN_SECONDS = 10.0
SILENCE_SECONDS = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_NOT_BY_LENGTH = re.compile(rb"\r\n(?:expect|transfer-encoding)[ \t]*:", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")

# Every other error of its parser is a 400.
_STATUS: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
# Reasons of our own: the parser's quote the line they do not like, which may hold a token.
_MESSAGE = {
    HTTPStatus.BAD_REQUEST: "This is not a well-formed HTTP request.",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address is too long.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are too large.",
    HTTPStatus.EXPECTATION_FAILED: "Only `Expect: 100-continue` is understood.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed on our side; the log has the reason.",
}


class PatientSocket(socket.socket):
    """Where gunicorn would wait for ever, this one gives a silent client up."""

    def setblocking(self, flag: bool, /) -> None:
        self.settimeout(SILENCE_SECONDS if flag else 0.0)

    def recv(self, *args: Any) -> bytes:
        with _silence_is_a_reset():
            return super().recv(*args)

    def sendall(self, *args: Any) -> None:
        with _silence_is_a_reset():
            super().sendall(*args)

    def sendfile(self, *args: Any, **kwargs: Any) -> int:
        with _silence_is_a_reset():
            return super().sendfile(*args, **kwargs)


@contextmanager
def _silence_is_a_reset() -> Iterator[None]:
    # gunicorn takes a lost client calmly, and a time-out for a bug that deserves a stack trace.
    try:
        yield
    except TimeoutError:
        raise ConnectionResetError(errno.ECONNRESET, "the client was silent for too long") from None


class Connection(gthread.TConn):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.arrived = bytearray()

    def close(self, graceful: bool = False) -> None:
        # The graceful part waits for the client, so `Worker.handle` has done it, in a thread.
        util.close(self.sock)


class Worker(gthread.ThreadWorker):
    def accept(self, listener: Any) -> None:
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        patient = PatientSocket(fileno=client.detach())
        self._await_request(Connection(self.cfg, patient, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def _await_request(self, conn: Connection) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + ARRIVES_WITHIN_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        try:
            data = conn.sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        conn.arrived += data
        if data and not _is_ready(conn.arrived):
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if conn.arrived:
            self.enqueue_req(conn)
        else:
            self.nr_conns -= 1
            conn.close()

    def handle(self, conn: Connection) -> Any:
        conn.data_ready = True
        conn.sock.setblocking(True)
        conn.init()
        if len(conn.arrived) > MAX_HEAD_BYTES and b"\r\n\r\n" not in conn.arrived:
            error = errors.LimitRequestHeaders("the head is too large")
            self.handle_error(None, conn.sock, conn.client, error)
            keep = False
        else:
            conn.parser.unreader.unread(bytes(conn.arrived))
            conn.arrived.clear()
            keep = super().handle(conn)
        if not keep:
            util.close_graceful(conn.sock, timeout=1.0)
        return keep

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        fault_of_ours = not isinstance(exc, errors.ParseException) or isinstance(
            exc,
            errors.InvalidResponseHeader
            | errors.InvalidResponseHeaderName
            | errors.ConfigurationProblem,
        )
        if fault_of_ours:
            self.log.error("Error handling a request", exc_info=exc)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        else:
            self.log.info("refused a request: %s", type(exc).__name__)
            status = _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
        try:
            util.write_nonblock(client, _answer(status))
        except OSError:
            self.log.debug("The client left before its error was sent.")

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping server need not wait for requests that have not arrived."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)


def _is_ready(arrived: bytearray) -> bool:
    """It is all there, or too much, or so wrong that the parser need not see the rest."""
    head, ended, body = arrived.partition(b"\r\n\r\n")
    if not ended:
        line, line_ended, _ = arrived.partition(b"\r\n")
        is_odd = bool(line_ended and line and line.count(b" ") < 2)
        return is_odd or len(arrived) > MAX_HEAD_BYTES or bool(_BARE_LF.search(arrived))
    length = _LENGTH.search(head + b"\r\n")
    # Whoever expects a "100 Continue" sends nothing before it, and only a thread says that; chunks tell no length.
    if length is None or _NOT_BY_LENGTH.search(head):
        return True
    return int(length[1]) > SMALL_BODY_BYTES or len(body) >= int(length[1])


def _answer(status: HTTPStatus) -> bytes:
    code = "validation_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    body = json.dumps({"code": code, "message": _MESSAGE[status]}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
