"""A far end that repeats every secret it hears, in each way in which answers carry words."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import quote

_KEY_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key", "x-key")
_ids = count(1)


class Parrot(ThreadingHTTPServer):
    """One provider a path: `<url>/<provider id>` is its base URL."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.heard: Counter[tuple[str, str]] = Counter()  # provider, method: with a key
        self.keys: dict[str, set[str]] = {}
        self.strays: list[str] = []  # keys that came to the other origin

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def other_origin(self) -> str:
        return f"http://localhost:{self.server_address[1]}"

    def hear(self, provider: str, method: str, key: str) -> int:
        """Which request of its kind this is."""
        with self.lock:
            self.keys.setdefault(provider, set()).add(key)
            self.heard[provider, method] += 1
            return self.heard[provider, method] - 1


@contextmanager
def parrot() -> Iterator[Parrot]:
    server = Parrot()
    thread = threading.Thread(target=server.serve_forever, name="parrot")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Parrot

    def do_GET(self) -> None:
        self._answer("GET", _polls)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer("POST", _submits)

    do_PUT = do_DELETE = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, method: str, answers: Any) -> None:
        sent = [self.headers[name] for name in _KEY_HEADERS if name in self.headers]
        header = sent[0] if sent else ""
        if self.headers.get("host", "").startswith("localhost"):
            self.server.strays += sent
        provider = self.path.split("/")[1].split("?")[0]
        number = self.server.hear(provider, method, header.rpartition(" ")[2])
        if provider == "broken":
            return self._send(200, {"what": self.path.partition("what=")[2]})
        chosen = answers(_repeated(header), self.server.other_origin)
        return self._send(*chosen[number % len(chosen)])

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        if status == 0:
            self.close_connection = True
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _repeated(header: str) -> str:
    """The header as it came, its key alone, and both in the spellings of headers and of addresses."""
    key = header.rpartition(" ")[2]
    packed = [base64.b64encode(each.encode()).decode() for each in (header, key, f"user:{key}")]
    return " ".join([f"You sent {header!r} ({key})", *packed, quote(header), quote(key, safe="")])


Answer = tuple[int, Any, dict[str, str]]


def _errors(said: str) -> list[dict[str, Any]]:
    """The envelopes that providers have."""
    return [
        {"error": {"message": said, "type": said, "code": said, "param": said}},
        {"error": said, "issues": [said]},
        {"detail": said, "title": said},
        {"detail": [{"loc": [said], "msg": said, "type": said}]},
        {"code": said, "message": said, "data": None},
        {"code": 1001, "message": said, "data": None},
        {"type": "error", "error": {"type": said, "message": said, "http_code": "400"}},
        {"base_resp": {"status_code": 1004, "status_msg": said}},
    ]


def _submits(said: str, elsewhere: str) -> list[Answer]:
    statuses = (400, 401, 402, 403, 404, 409, 422, 500)
    errors: list[Answer] = [
        (status, body, {}) for status, body in zip(statuses, _errors(said) * 2, strict=False)
    ]
    name = f"job-{next(_ids):05}-of-the-parrot"
    accepted = {
        "id": name,
        "task_id": name,
        "request_id": name,
        "status": "queued",
        "code": 200,
        "data": {"id": name, "task_id": name, "status": "pending"},
    }
    page = f"<html><h1>{said}</h1></html>".encode()
    return [
        (200, accepted, {}),
        *errors,
        (200, accepted, {}),
        (429, _errors(said)[0], {"Retry-After": "0"}),
        (502, page, {}),
        (200, {"status": said, "message": said}, {}),
        (200, {"id": {"odd": said}}, {}),
        (200, page, {}),
        (307, {}, {"Location": f"{elsewhere}/stolen?key={quote(said)}"}),
        (0, None, {}),
        *[(200, accepted, {}) for _ in range(4)],
    ]


def _polls(said: str, elsewhere: str) -> list[Answer]:
    url = f"{elsewhere}/stolen?key={quote(said)}"
    failed = {
        "status": "failed",
        "error": {"message": said, "code": said},
        "error_msg": said,
        "failure": said,
        "failureCode": said,
        "data": {"status": "failed", "error_msg": said},
        "task": {"status": "failed", "error": {"code": said, "message": said}},
    }
    odd = {"status": said, "data": {"status": said}, "task": {"status": said}}
    statuses = (401, 403, 500, 429, 400, 503, 402)
    errors: list[Answer] = [
        (status, body, {}) for status, body in zip(statuses, _errors(said) * 2, strict=False)
    ]
    return [
        (200, odd, {}),
        *errors,
        (200, f"<html>{said}</html>".encode(), {}),
        (302, {}, {"Location": url}),
        (0, None, {}),
        (200, failed, {}),
    ]
