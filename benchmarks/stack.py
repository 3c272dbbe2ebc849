"""A whole CineFlow for one measurement: a database, a broker, a web server and a worker, all of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import requests

from benchmarks import processes
from cineflow.core.child_process import start, stop, wait_until
from tests.servers import free_port, postgres_server, redis_server

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("sqlite", "postgres")
_START_SECONDS = 60.0


@dataclass
class Stack:
    """`parents` are the first processes of each part: "web", "worker" and, where there is one, "database"."""

    database: str
    env: Mapping[str, str]
    folder: Path
    address: str = ""
    parents: dict[str, list[int]] = field(default_factory=dict)
    http: requests.Session = field(default_factory=requests.Session)

    def pids(self, part: str) -> list[int]:
        return [pid for parent in self.parents.get(part, ()) for pid in processes.family(parent)]

    def python(self, *arguments: str) -> str:
        """Runs Python with the settings of this stack; returns what it prints."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, stdout=subprocess.PIPE, text=True)
        done.check_returncode()
        return done.stdout


@contextmanager
def empty(database: str, **settings: str) -> Iterator[Stack]:
    """A database with its tables and seed, a broker, and nobody at work yet."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = f"sqlite:///{folder / 'cineflow.sqlite3'}"
        if database == "postgres":
            url = ending.enter_context(postgres_server(durable=True))
        broker = ending.enter_context(redis_server())
        stack = Stack(database, _environment(folder, url, broker) | settings, folder)
        ending.callback(stack.http.close)
        stack.python("manage.py", "migrate", "--verbosity", "0")
        if database == "postgres":
            stack.parents["database"] = [_postmaster(url)]
        yield stack


def _environment(folder: Path, database_url: str, redis_url: str) -> dict[str, str]:
    ours = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CINEFLOW_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "cineflow.settings",
        "AUTH_TOKEN": "",
        "LOG_LEVEL": "WARNING",
    }
    return {**os.environ, **ours}


def _postmaster(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    return int(Path(row[0], "postmaster.pid").read_text().split()[0])


@contextmanager
def at_work(stack: Stack, *, app: str = "cineflow.worker", workers: int = 1) -> Iterator[None]:
    """With a web server and workers, as they run in production."""
    port = free_port()
    stack.address = f"http://127.0.0.1:{port}"
    web = f"gunicorn --config python:cineflow.gunicorn cineflow.wsgi --bind 127.0.0.1:{port}"
    worker = f"celery -A {app} worker --pool threads --concurrency 2"
    alone = "--without-gossip --without-mingle --loglevel warning"
    with ExitStack() as ending:
        ending.enter_context(_process(stack, "web", web.split()))
        for number in range(1, workers + 1):
            name = f"--hostname worker{number}@%h"
            command = f"{worker} {alone} {name}".split()
            ending.enter_context(_process(stack, "worker", command))
        yield


@contextmanager
def _process(stack: Stack, part: str, command: list[str]) -> Iterator[None]:
    parents = stack.parents.setdefault(part, [])
    log = stack.folder / f"{part}-{len(parents) + 1}.log"
    with log.open("wb") as out:
        process = start(
            [sys.executable, "-m", *command], cwd=ROOT, env=stack.env, stdout=out, stderr=out
        )
    parents.append(process.pid)
    try:
        wait_until(lambda: _is_up(stack, part), process, log=log, seconds=_START_SECONDS)
        yield
    finally:
        parents.remove(process.pid)
        stop(process, patience=60)


def _is_up(stack: Stack, part: str) -> bool:
    try:
        answer = requests.get(f"{stack.address}/readyz", timeout=5)
    except requests.RequestException:
        return False
    return answer.ok and (part == "web" or answer.json()["checks"]["sweep"] == "ok")
