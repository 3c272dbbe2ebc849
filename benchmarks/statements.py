"""Counts the SQL statements of each phase, in one process and without HTTP: `python -m benchmarks.statements FILE`.

A COPY and an `executemany` count as one; BEGIN and COMMIT are not counted. Prints JSON.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402 - needs the settings
from django.test import Client  # noqa: E402

from benchmarks import api  # noqa: E402
from cineflow.core import clock  # noqa: E402
from runs.steps import check  # noqa: E402


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


@contextmanager
def counted() -> Iterator[Counter]:
    counter = Counter()
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        _count_copies(counter)
    with connection.execute_wrapper(counter):
        yield counter


def _count_copies(counter: Counter) -> None:
    """COPY goes past Django's wrappers, straight to the driver."""
    driver = connection.connection
    plain = driver.cursor_factory

    class Cursor(plain):  # type: ignore[misc, valid-type]
        def copy(self, *args: Any, **kwargs: Any) -> Any:
            counter.count += 1
            return super().copy(*args, **kwargs)

    driver.cursor_factory = Cursor


def main(file: Path) -> dict[str, int]:
    client = Client(SERVER_NAME="localhost")
    counts = {}
    # The first request of a process asks for more (sessions, health checks).
    client.get("/api/v1/runs")
    with counted() as counter, file.open("rb") as opened:
        storyboard = client.post(api.STORYBOARDS, {"file": opened}).json()
    counts["upload"] = counter.count
    with counted() as counter:
        body = api.dry_run_of(storyboard["id"])
        run = client.post(api.RUNS, body, content_type="application/json").json()
    counts["create"] = counter.count
    with counted() as counter:
        while check.turn(clock.now()):
            pass
    counts["dry run"] = counter.count
    for name, path in api.reads(storyboard, run).items():
        with counted() as counter:
            assert client.get(path).status_code == 200, path
        counts[name] = counter.count
    return counts


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
