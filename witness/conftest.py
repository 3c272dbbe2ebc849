"""The simulator, started as its users start it, for clients that know nothing of CineFlow."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-of-the-far-end"


@dataclass(frozen=True)
class FarEnd:
    port: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def posts(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(self.url("/__sim__/ledger")) as answer:
            posts: list[dict[str, Any]] = json.load(answer)["posts"]
        return posts


def project_python() -> str:
    """That of CineFlow, which is not the one that runs these tests."""
    return os.environ.get("CINEFLOW_PYTHON", str(ROOT / ".venv/bin/python"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextlib.contextmanager
def running(
    command: list[str], *, log: Path, answers: str, seconds: float = 120, **environment: str
) -> Iterator[None]:
    """A process from its first answer at `answers` to the end of the block."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**clean, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + seconds
        while not _answers(answers):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[:3]} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    folder = tmp_path_factory.mktemp("simulator")
    far_end = FarEnd(free_port())
    options = ["--port", str(far_end.port), "--seconds", "0.3", "--api-key", KEY]
    command = [project_python(), "manage.py", "simulator", *options]
    ledger = far_end.url("/__sim__/ledger")
    data = {"CINEFLOW_DATA_DIR": str(folder / "data")}
    with running(command, log=folder / "log", answers=ledger, **data):
        yield far_end


@pytest.fixture
def far_end(simulator: FarEnd) -> FarEnd:
    """The simulator as it is at its start: no jobs, an empty ledger."""
    request = urllib.request.Request(simulator.url("/__sim__/reset"), method="POST")
    with urllib.request.urlopen(request):
        return simulator


@pytest.fixture
def is_video() -> Callable[[bytes], bool]:
    return lambda content: content[4:8] == b"ftyp" and len(content) > 1000
