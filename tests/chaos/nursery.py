"""Bears the processes that chaos kills. It has imported the application once; each child is a fork of it.

An import costs a second of CPU, so two hundred restarts from nothing would measure imports. Whatever a child
does after its birth is what `celery worker`, `celery beat` and `gunicorn` do. Orders come as lines of JSON on
stdin, `{"role", "name", "env", "log"}`; the answer is the child's pid.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from celery import beat as _beat  # noqa: F401 - born with them
from celery.apps import beat as _beat_app  # noqa: F401
from celery.apps import worker as _worker_app  # noqa: F401
from celery.concurrency import thread as _pool  # noqa: F401
from gunicorn.app import wsgiapp

from cineflow.core import child_process, faults
from cineflow.worker import app

import_module("cineflow.urls")  # after the worker's module has set Django up


def worker(name: str, folder: Path) -> None:
    command = (
        "worker --pool threads --concurrency 2 --without-gossip --without-mingle --loglevel info"
    )
    app.worker_main([*command.split(), "--hostname", f"{name}@chaos"])


def beat(name: str, folder: Path) -> None:
    app.start(["beat", "--schedule", str(folder / "beat"), "--loglevel", "info", "--pidfile="])


def web(name: str, folder: Path) -> None:
    sys.argv = ["gunicorn", "--config", "python:cineflow.gunicorn", "cineflow.wsgi"]
    wsgiapp.run()


ROLES: dict[str, Callable[[str, Path], None]] = {"worker": worker, "beat": beat, "web": web}


def bear(order: dict[str, Any]) -> int:
    parent = os.getpid()
    if child := os.fork():
        return child
    try:
        _settle_in(order, parent)
        ROLES[order["role"]](order["name"], Path(order["log"]).parent)
    finally:
        os._exit(0)


def _settle_in(order: dict[str, Any], parent: int) -> None:
    os.setsid()
    # Web's master ends its own children on QUIT; KILL would leave them to notice by themselves.
    dies_by = signal.SIGQUIT if order["role"] == "web" else signal.SIGKILL
    child_process._follow_parent(parent, dies_by)
    for signum in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["env"])
    faults.arm(os.environ.get("CINEFLOW_FAULT", ""))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that nobody has to wait for the dead
    print("ready", flush=True)
    for line in sys.stdin:
        print(bear(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
