"""gunicorn as it is served: what a client gets that does not speak HTTP well, or at all, or slowly."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cineflow.core.child_process import start, stop, wait_until
from cineflow.stack import WEB
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-of-the-tests"
BEARER = f"Authorization: Bearer {TOKEN}"
UPLOAD_LIMIT = 100_000


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("web")
    number = free_port()
    environment = {
        **os.environ,
        "GUNICORN_BIND": f"127.0.0.1:{number}",
        "CINEFLOW_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "AUTH_TOKEN": TOKEN,
        "MAX_UPLOAD_BYTES": str(UPLOAD_LIMIT),
    }
    log = folder / "web.log"
    with log.open("wb") as out:
        process = start(
            WEB, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    wait_until(lambda: _listens(number), process, log=log, seconds=60)
    yield number
    stop(process, patience=20)


def _listens(port: int) -> bool:
    try:
        return _status(_talk(port, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
    except (OSError, IndexError):
        return False


def _talk(port: int, request: bytes, *, seconds: float = 20) -> bytes:
    """Everything the server sends until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65_536), b""))


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _body(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    return json.loads(body)


def _request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return (
        "\r\n".join(
            [f"{line} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
        ).encode()
        + body
    )


def _chunks(body: bytes, size: int = 7_000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _upload(content: bytes) -> tuple[str, bytes]:
    """Content type and body of a form with one file."""
    disposition = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="board.json"\r\n\r\n'
    )
    return "multipart/form-data; boundary=edge", disposition + content + b"\r\n--edge--\r\n"


@pytest.mark.parametrize("size", [6_000, 64_000, 900_000])
def test_an_enormous_token_is_refused_like_any_wrong_one(port: int, size: int) -> None:
    answer = _talk(port, _request("GET /api/v1/models", f"Authorization: Bearer {'x' * size}"))
    assert _status(answer) == 401
    assert _body(answer) == {"code": "unauthorized", "message": "Authentication required"}


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"hello\r\n", 400, id="not HTTP"),
        pytest.param(b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="method in small letters"),
        pytest.param(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, id="version"),
        pytest.param(b"GET / HTTP/1.1\nHost: x\n\n", 400, id="bare line feeds"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, id="header without a colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", 400, id="NUL in a header"),
        pytest.param(_request("GET /" + "x" * 9_000), 414, id="long address"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, id="many headers"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 1_100_000, 431, id="head past any limit"),
        pytest.param(
            _request("POST /api/v1/runs", "Transfer-Encoding: sideways"), 400, id="transfer coding"
        ),
        pytest.param(
            _request("POST /api/v1/runs", "Transfer-Encoding: gzip"), 400, id="not chunked"
        ),
        pytest.param(
            _request("POST /api/v1/runs", "Content-Length: -1"), 400, id="negative length"
        ),
        pytest.param(
            _request("POST /api/v1/runs", "Content-Length: 3", "Transfer-Encoding: chunked"),
            400,
            id="two lengths",
        ),
        pytest.param(_request("GET /", "Expect: a miracle"), 417, id="expectation"),
    ],
)
def test_what_is_not_http_gets_the_envelope(port: int, request_bytes: bytes, status: int) -> None:
    answer = _talk(port, request_bytes)
    assert _status(answer) == status
    assert b"Content-Type: application/json\r\n" in answer
    assert _body(answer)["code"] == "validation_error"
    assert set(_body(answer)) == {"code", "message"}


def test_a_refusal_does_not_repeat_what_it_refused(port: int) -> None:
    assert b"hunter2" not in _talk(port, b"GET / HTTP/1.1\r\nAuthorization Bearer hunter2\r\n\r\n")


def test_a_json_body_in_chunks_is_read(port: int) -> None:
    chunked = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    answer = _talk(
        port, _request("POST /api/v1/runs", BEARER, *chunked, body=_chunks(b'{"surprise": 1}', 4))
    )
    assert _status(answer) == 400
    assert ["surprise"] in [error["loc"] for error in _body(answer)["details"]["errors"]]


def test_an_upload_in_chunks_is_read(port: int) -> None:
    content_type, body = _upload(b'{"segments": [{"segment_index": 1, "prompt_text": " "}]}')
    headers = (BEARER, f"Content-Type: {content_type}", "Transfer-Encoding: chunked")
    answer = _talk(port, _request("POST /api/v1/storyboards", *headers, body=_chunks(body, 50)))
    assert _status(answer) == 400
    assert _body(answer)["code"] == "schema_error"


def test_an_upload_in_chunks_has_the_same_limit(port: int) -> None:
    content_type, body = _upload(b" " * (UPLOAD_LIMIT + 70_000))
    headers = (BEARER, f"Content-Type: {content_type}", "Transfer-Encoding: chunked")
    answer = _talk(port, _request("POST /api/v1/storyboards", *headers, body=_chunks(body)))
    assert _status(answer) == 413
    assert _body(answer)["code"] == "payload_too_large"


def test_broken_chunks_are_the_clients_fault(port: int) -> None:
    chunked = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    answer = _talk(port, _request("POST /api/v1/runs", BEARER, *chunked, body=b"zz\r\nnot hex\r\n"))
    assert _status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1


def test_a_strangers_chunks_are_not_read(port: int) -> None:
    # It never ends, so an answer proves that nobody waited for the end.
    head = _request(
        "POST /api/v1/runs", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    assert _status(_talk(port, head + b"5\r\n")) == 401


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /healthz HTT", id="half a line"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: loc", id="half a head"),
        pytest.param(
            _request("POST /api/v1/runs", BEARER, "Content-Length: 20") + b"{", id="half a body"
        ),
    ],
)
def test_clients_that_stall_keep_nobody_waiting(port: int, beginning: bytes) -> None:
    with ExitStack() as stalled:
        for _ in range(60):
            client = stalled.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(beginning)
        began = time.monotonic()
        assert _status(_talk(port, _request("GET /healthz"))) == 200
        assert time.monotonic() - began < 3


def test_a_connection_is_kept_for_the_next_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        for _ in range(3):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"0\r\n\r\n") and b"Content-Length" not in answer:
                answer += client.recv(65_536)
            assert _status(answer) == 200


def test_a_probe_need_not_know_the_hosts_name(port: int) -> None:
    assert (
        _status(
            _talk(port, b"GET /healthz HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n")
        )
        == 200
    )


def test_a_client_that_waits_for_100_continue_gets_it(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        expects = ("Content-Type: application/json", "Content-Length: 2", "Expect: 100-continue")
        client.sendall(_request("POST /api/v1/runs", BEARER, *expects))
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"{}")
        assert _status(b"".join(iter(lambda: client.recv(65_536), b""))) == 400
