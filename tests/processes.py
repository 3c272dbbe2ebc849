"""Real worker and web processes on the database of the running test."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from cineflow.core.child_process import start, stop

ROOT = Path(__file__).resolve().parent.parent


def environment(**more: str) -> dict[str, str]:
    """The environment of a child that shall see what this test sees."""
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "CINEFLOW_DATA_DIR": str(settings.DATA_DIR),
        "DJANGO_SETTINGS_MODULE": "cineflow.settings",
        **more,
    }


def database_url() -> str:
    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


class Worker:
    """A worker process that can be killed and started again."""

    def __init__(self, log: Path, env: Mapping[str, str]) -> None:
        self.log, self.env = log, env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "cineflow.worker",
            "worker",
            "--pool",
            "threads",
        ]
        options = [
            "--concurrency",
            "2",
            "--without-gossip",
            "--without-mingle",
            "--loglevel",
            "info",
        ]
        with self.log.open("ab") as log:
            self.process = start(
                [*command, *options], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """As the kernel does it: nothing is said, nothing is written."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        stop(self.process, patience=60)
        return self.process.returncode


@contextmanager
def workers(count: int, folder: Path, **env: str) -> Iterator[list[Worker]]:
    made = [Worker(folder / f"worker{number}.log", environment(**env)) for number in range(count)]
    for worker in made:
        worker.start()
    try:
        yield made
    finally:
        for worker in made:
            if worker.process and worker.process.poll() is None:
                worker.stop()


def wait_for(met: Callable[[], Any], *, seconds: float = 120, every: float = 0.1) -> None:
    """Until the condition is met; fails the test when that takes too long to be true at all."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every)
