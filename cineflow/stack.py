"""All of CineFlow on one machine: broker, worker and web, as children of this process.

    with stack.running(8000, logs=folder) as running:
        requests.get(f"{running.url}/api/v1/runs")

The children end with us, however we end (`core/child_process.py`).
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError

from cineflow.core import redis_server
from cineflow.core.child_process import StartFailed, start, stop

__all__ = ["Child", "Stack", "StartFailed", "running"]

_READY_SECONDS = 60.0
_WEB_PATIENCE = 20.0  # more than gunicorn's own graceful_timeout
_WORKER_PATIENCE = 60.0  # an answer to a paid call may still be on the wire

# fmt: off
WORKER = (
    sys.executable, "-m", "celery", "--quiet", "-A", "cineflow.worker", "worker",
    "--pool", "threads", "--concurrency", "2",
    "--without-gossip", "--without-mingle", "--loglevel", "info",
)
# fmt: on
WEB = (sys.executable, "-m", "gunicorn", "--config", "python:cineflow.gunicorn", "cineflow.wsgi")
MIGRATE = (sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0")


@dataclass(frozen=True, kw_only=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]

    @property
    def how_it_ended(self) -> str:
        code = self.process.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


@contextmanager
def running(
    port: int,
    *,
    host: str = "127.0.0.1",
    env: Mapping[str, str] | None = None,
    logs: Path | None = None,
) -> Iterator["Stack"]:
    """Yields once `/readyz` says ok; ends everything afterwards.

    `env` adds to our own environment. With `logs` each child writes `<logs>/<name>.log`, else to our stdout.
    Raises StartFailed when the port is taken or something does not come up.
    """
    with Stack(port, host=host, env=env, logs=logs).running() as stack:
        yield stack


class Stack:
    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        env: Mapping[str, str] | None = None,
        logs: Path | None = None,
    ) -> None:
        # An address in brackets is IPv6's, as in URLs.
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.env = {
            **os.environ,
            **(env or {}),
            "GUNICORN_BIND": self.address,
            "PYTHONUNBUFFERED": "1",
        }
        self.data_dir = Path(self.env.get("CINEFLOW_DATA_DIR") or settings.DATA_DIR).resolve()
        self.url = f"http://{_reachable(host)}:{port}"
        self.logs = logs
        self.children: list[Child] = []
        self._bindable = (host, port)

    @contextmanager
    def running(self) -> Iterator[Self]:
        _refuse_taken(*self._bindable)
        with ExitStack() as endings:
            self._migrate()
            if not self.env.get("REDIS_URL"):
                self._start_redis(endings)
            self._start("worker", WORKER, endings, patience=_WORKER_PATIENCE)
            # Its master ends its own children on QUIT; KILL would leave them to notice by themselves.
            self._start("web", WEB, endings, patience=_WEB_PATIENCE, dies_by=signal.SIGQUIT)
            self._wait_until_ready()
            yield self

    def ended(self) -> Child | None:
        """The first child found to be no longer running."""
        return next((child for child in self.children if child.process.poll() is not None), None)

    def wait(self) -> Child:
        """Until a child ends."""
        while not (child := self.ended()):
            time.sleep(0.2)
        return child

    def kill(self) -> None:
        for child in self.children:
            child.process.kill()

    def _migrate(self) -> None:
        if all(
            self.env.get(name) == os.environ.get(name)
            for name in ("CINEFLOW_DATA_DIR", "DATABASE_URL")
        ):
            # The database of this process: a second start of Python is a good part of the waiting.
            try:
                call_command("migrate", interactive=False, verbosity=0)
            except DatabaseError as error:
                raise StartFailed(f"The database could not be prepared: {error}") from error
            return
        done = subprocess.run(
            MIGRATE,
            cwd=settings.BASE_DIR,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartFailed(f"The database could not be prepared:\n{done.stderr.strip()[-2000:]}")

    def _start_redis(self, endings: ExitStack) -> None:
        try:
            process = redis_server.start(
                redis_server.socket_path(self.data_dir), work_dir=self.data_dir
            )
        except redis_server.AlreadyRunning:
            return  # another command on this data folder has one; a broker is easily shared
        self._adopt("redis", process, endings, patience=5.0)

    def _start(
        self,
        name: str,
        command: tuple[str, ...],
        endings: ExitStack,
        *,
        patience: float,
        dies_by: signal.Signals = signal.SIGKILL,
    ) -> None:
        out = self._log(name, endings)
        process = start(
            command,
            dies_by=dies_by,
            cwd=settings.BASE_DIR,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._adopt(name, process, endings, patience=patience)
        if process.stdout:
            threading.Thread(target=_relay, args=(name, process.stdout), daemon=True).start()

    def _log(self, name: str, endings: ExitStack) -> IO[bytes] | None:
        if self.logs is None:
            return None
        self.logs.mkdir(parents=True, exist_ok=True)
        return endings.enter_context((self.logs / f"{name}.log").open("wb"))

    def _adopt(
        self, name: str, process: subprocess.Popen[bytes], endings: ExitStack, *, patience: float
    ) -> None:
        self.children.append(Child(name=name, process=process))
        endings.callback(stop, process, patience=patience)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not _is_ready(f"{self.url}/readyz"):
            if child := self.ended():
                raise StartFailed(
                    f"{child.name} ended ({child.how_it_ended}). {self._where_to_look(child)}"
                )
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{self.url}/readyz does not say ok after {_READY_SECONDS:.0f} s."
                )
            time.sleep(0.1)

    def _where_to_look(self, child: Child) -> str:
        if self.logs is None:
            return "Its lines above say why."
        log = self.logs / f"{child.name}.log"
        return f"The end of {log}:\n{log.read_text(errors='replace')[-2000:].strip()}"


def _reachable(host: str) -> str:
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _refuse_taken(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As gunicorn does: connections of an earlier server that linger are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartFailed(
                    f"Port {port} is in use. Choose another: PORT={port + 1}"
                ) from None
            raise StartFailed(f"Cannot listen on {host} port {port}: {error.strerror}") from None


def _is_ready(url: str) -> bool:
    # Never through a proxy of the environment: it is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(json.load(response)["status"] == "ok")
    except (OSError, ValueError):
        return False


def _relay(name: str, lines: IO[bytes]) -> None:
    for line in lines:
        sys.stdout.write(f"{name:>6} | {line.decode(errors='replace')}")
        sys.stdout.flush()
