"""A far end that does to a connection what a test tells it to, and keeps what it was sent."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PATIENCE = 10


@dataclass(frozen=True)
class Received:
    """One request. Header names are lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[socket.socket], None]


@dataclass
class FarEnd:
    port: int
    requests: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/videos"

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests]


@contextmanager
def far_end(*behaviours: Behaviour) -> Iterator[FarEnd]:
    """Serves one connection after the other; the last behaviour goes on for all that follow."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = FarEnd(listener.getsockname()[1])
    thread = threading.Thread(target=_serve, args=(listener, found, behaviours))
    thread.start()
    try:
        yield found
    finally:
        # It wakes the thread; closing alone would leave it in accept().
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _serve(listener: socket.socket, found: FarEnd, behaviours: Sequence[Behaviour]) -> None:
    left = list(behaviours)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        connection.settimeout(_PATIENCE)
        with connection, suppress(OSError):
            received = _read(connection)
            if received:
                found.requests.append(received)
                behaviour(connection)


def _read(connection: socket.socket) -> Received | None:
    """None when it was no HTTP."""
    with connection.makefile("rb") as stream:
        line = stream.readline().decode("latin-1").strip()
        if not line.endswith(("HTTP/1.1", "HTTP/1.0")):
            return None
        headers = dict(_headers(iter(stream.readline, b"\r\n")))
        body = stream.read(int(headers.get("content-length", "0")))
    return Received(line, headers, body)


def _headers(lines: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        yield name.strip().lower(), value.strip()


# ---- behaviours ----------------------------------------------------------------------------------


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> Behaviour:
    """A whole answer; `content_type="…"` becomes `Content-Type: …`."""
    return send(head(status, content_length=str(len(body)), **headers) + body)


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def send(data: bytes) -> Behaviour:
    """Bytes as they are, then the connection ends."""
    return lambda connection: connection.sendall(data)


def hang_up(connection: socket.socket) -> None:
    """The connection ends without a word."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say_nothing(connection: socket.socket) -> None:
    """Until the other side gives up."""
    connection.recv(1)


def trickle(start: bytes) -> Behaviour:
    """`start`, then a byte at a time for as long as somebody listens."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        connection.settimeout(0.02)
        while True:
            connection.sendall(b"x")
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return

    return behave
