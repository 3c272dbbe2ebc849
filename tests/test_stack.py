"""`manage.py serve`: it says what runs where, and leaves nothing behind, however it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from cineflow.core.child_process import start
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"),
    reason="the one-machine set-up is SQLite's",
)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    outside = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL", "PORT")
    }
    return {**outside, "CINEFLOW_DATA_DIR": str(tmp_path / "data")}


class Served:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_it_says(self, text: str, *, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def family(self) -> dict[int, str]:
        """Every process below it, by id, with its command line."""
        found: dict[int, str] = {}
        waiting = [self.process.pid]
        while waiting:
            for child in _children(waiting.pop()):
                found[child] = _command_line(child)
                waiting.append(child)
        return found


@contextmanager
def _serving(environment: Mapping[str, str], log: Path, *arguments: str) -> Iterator[Served]:
    with log.open("wb") as out:
        process = start(
            [sys.executable, "manage.py", "serve", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        yield Served(process, log)
    finally:
        process.kill()
        process.wait()


def _children(pid: int) -> list[int]:
    """Linux tells them by the thread that started them."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in lists for child in children.read_text().split()]


def _command_line(pid: int) -> str:
    """Empty when there is no such process any more."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def _one(family: Mapping[int, str], word: str) -> int:
    return min(pid for pid, command in family.items() if word in command)


def _all_gone(family: Mapping[int, str], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while any(_command_line(pid) == command for pid, command in family.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_where_things_are_and_ends_in_order(
    environment: Mapping[str, str], tmp_path: Path, signum: signal.Signals
) -> None:
    port = free_port()
    with _serving({**environment, "PORT": str(port)}, tmp_path / "log") as served:
        served.wait_until_it_says("Stop it with Ctrl-C")
        for told in (
            f"http://127.0.0.1:{port}/api/docs",
            f"http://127.0.0.1:{port}/admin/",
            str(tmp_path / "data"),
            "AUTH_TOKEN is not set",
            "manage.py createsuperuser",
        ):
            assert told in served.said
        family = served.family()
        served.process.send_signal(signum)
        assert served.process.wait(90) == 0
        assert _all_gone(family, within=0)
        web, worker = (
            served.said.index("Shutting down: Master"),
            served.said.index("the sweep has stopped"),
        )
        assert web < worker


def test_killed_it_takes_its_children_along(environment: Mapping[str, str], tmp_path: Path) -> None:
    with _serving(environment, tmp_path / "log", "--port", str(free_port())) as served:
        served.wait_until_it_says("Stop it with Ctrl-C")
        family = served.family()
        assert len(family) >= 4, family  # broker, worker, the web's master and its worker
        served.process.kill()
        assert _all_gone(family, within=10)


@pytest.mark.parametrize("name", ["cineflow.worker", "unixsocket", "gunicorn"])
def test_one_child_that_ends_ends_all(
    environment: Mapping[str, str], tmp_path: Path, name: str
) -> None:
    with _serving(environment, tmp_path / "log", "--port", str(free_port())) as served:
        served.wait_until_it_says("Stop it with Ctrl-C")
        family = served.family()
        os.kill(_one(family, name), signal.SIGKILL)
        assert served.process.wait(90) == 1
        assert "ended by itself (SIGKILL)" in served.said
        assert _all_gone(family, within=10)


def test_a_second_signal_waits_for_nothing(environment: Mapping[str, str], tmp_path: Path) -> None:
    with _serving(environment, tmp_path / "log", "--port", str(free_port())) as served:
        served.wait_until_it_says("Stop it with Ctrl-C")
        family = served.family()
        frozen = _one(family, "cineflow.worker")
        os.kill(frozen, signal.SIGSTOP)
        served.process.send_signal(signal.SIGINT)
        served.wait_until_it_says("Shutting down: Master")
        served.process.send_signal(signal.SIGINT)
        served.process.wait(10)
        assert _all_gone(family, within=10)


def test_a_port_in_use_is_told_before_anything_starts(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _serving(environment, tmp_path / "log", "--port", str(port)) as served:
            assert served.process.wait(60) == 1
    assert f"Port {port} is in use. Choose another: PORT={port + 1}" in served.said
    assert not (tmp_path / "data" / "cineflow.sqlite3").exists()


@pytest.mark.parametrize("port", ["0", "65536", "eight", "-1"])
def test_a_port_that_is_none_is_refused(
    environment: Mapping[str, str], tmp_path: Path, port: str
) -> None:
    with _serving({**environment, "PORT": port}, tmp_path / "log") as served:
        assert served.process.wait(60) != 0
    assert f"'{port}' is not a port" in served.said
