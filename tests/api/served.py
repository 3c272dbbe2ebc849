"""The web server as it is served, on the test's database, and what it leaves behind."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from django.apps import apps

from cineflow.core.child_process import start, stop, wait_until
from cineflow.stack import WEB
from tests.processes import ROOT, environment


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # with small letters
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    port: int
    folder: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, request: bytes, *, seconds: float = 30) -> Answer:
        """Sends these bytes and nothing more; the first answer that comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as client:
            with suppress(OSError):  # it may answer, and hang up, before it has read everything
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
            return _first_answer(client)


def _first_answer(client: socket.socket) -> Answer:
    received = bytearray()
    with suppress(ConnectionResetError):
        while data := client.recv(65_536):
            received += data
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if "chunked" in headers.get("transfer-encoding", ""):
        return Answer(int(first.split(" ")[1]), headers, _joined(rest))
    length = int(headers.get("content-length", len(rest)))
    return Answer(int(first.split(" ")[1]), headers, rest[:length])


def _joined(chunks: bytes) -> bytes:
    whole = b""
    while (size := int(chunks.partition(b"\r\n")[0] or b"0", 16)) > 0:
        chunks = chunks.partition(b"\r\n")[2]
        whole, chunks = whole + chunks[:size], chunks[size + 2 :]
    return whole


@contextmanager
def served(folder: Path, *, ready: str = "/readyz", **env: str) -> Iterator[Server]:
    """gunicorn, configured as in production. `env` on top of what every child of a test gets."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    log = folder / "web.log"
    more = {"CINEFLOW_DATA_DIR": str(data), "GUNICORN_BIND": f"127.0.0.1:{port}", **env}
    with log.open("wb") as out:
        process = start(
            WEB, cwd=ROOT, env=environment(**more), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    server = Server(port, data, log)
    wait_until(lambda: _answers(f"{server.url}{ready}"), process, log=log, seconds=60)
    try:
        yield server
    finally:
        stop(process, patience=20)


def _answers(url: str) -> bool:
    with suppress(requests.RequestException), requests.Session() as client:
        client.trust_env = False
        return client.get(url, timeout=5).ok
    return False


def everything_stored(folder: Path) -> tuple[dict[str, list[Any]], set[str]]:
    """All rows of all tables, and the files of the data folder."""
    tables = {
        model._meta.label: list(model._default_manager.order_by("pk").values_list())
        for model in apps.get_models()
    }
    files = {os.path.relpath(path, folder) for path in folder.rglob("*") if path.is_file()}
    return tables, {name for name in files if not name.startswith("test.sqlite3")}
