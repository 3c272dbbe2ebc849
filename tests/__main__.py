"""`python -m tests [--only sqlite|postgres] [pytest arguments]`: all tests, on either database.

What touches no database (`once`, given out in conftest.py) runs in the first half alone.
Each half has a database, a Redis-compatible server and a data folder of its own. What
TEST_DATABASE_URL (PostgreSQL) and TEST_REDIS_URL name is used instead of a server started here;
the tests empty it.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from cineflow.core.child_process import StartFailed, start, stop
from tests.servers import interrupt_on_signals, postgres_server, redis_server

ROOT = Path(__file__).resolve().parent.parent
HALVES = ("sqlite", "postgres")
_NOT_AGAIN = ("-m", "not once")


@dataclass(frozen=True, kw_only=True)
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problem: str = ""  # why the half counts as failed, beyond its failed tests
    about: str = ""

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return " · ".join(part for part in (counts, self.about, self.problem) if part)


def main(arguments: Sequence[str]) -> int:
    options, pytest_arguments = _parse(arguments)
    interrupt_on_signals()
    try:
        halves = options.only or HALVES
        results = {
            # Before the caller's arguments: a choice of theirs goes before ours.
            name: _run_half(name, [*(_NOT_AGAIN if name != halves[0] else ()), *pytest_arguments])
            for name in halves
        }
    except KeyboardInterrupt:
        print("Interrupted.")
        return 130
    return _report(results)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests",
        description="Runs pytest on SQLite and on PostgreSQL.",
        epilog="Every other argument goes to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument("--only", action="append", choices=HALVES, help="run this half only")
    return parser.parse_known_args(arguments)


def _report(results: dict[str, Result]) -> int:
    print()  # a killed pytest leaves its line unfinished
    for name, result in results.items():
        print(f"{name}: {result}")
    failed = sum(result.failed for result in results.values())
    print(f"{sum(result.passed for result in results.values())} passed, {failed} failed")
    return 1 if failed or any(result.problem for result in results.values()) else 0


def _run_half(name: str, pytest_arguments: Sequence[str]) -> Result:
    try:
        with tempfile.TemporaryDirectory(prefix="cineflow-tests-") as folder:
            return _run_in(Path(folder), name, pytest_arguments)
    except (StartFailed, OSError, psycopg.Error, redis.RedisError) as error:
        return Result(problem=f"its servers are not usable: {error}")


def _run_in(folder: Path, name: str, pytest_arguments: Sequence[str]) -> Result:
    with _redis() as redis_url, _database(name, folder) as database_url:
        about = f"{_database_version(database_url)}, {_redis_version(redis_url)}"
        print(f"=== {name}: {about}", flush=True)
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "CINEFLOW_DATA_DIR": str(folder / "data"),
        }
        return _run_pytest(pytest_arguments, environment, folder / "junit.xml", about)


@contextmanager
def _redis() -> Iterator[str]:
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given
        return
    with redis_server() as url:
        yield url


@contextmanager
def _database(name: str, folder: Path) -> Iterator[str]:
    if name == "sqlite":
        yield f"sqlite:///{folder / 'db.sqlite3'}"
    elif given := os.environ.get("TEST_DATABASE_URL"):
        if not given.startswith(("postgres://", "postgresql://")):
            raise StartFailed("TEST_DATABASE_URL must start with postgres://")
        yield given
    else:
        with postgres_server() as url:
            yield url


def _database_version(url: str) -> str:
    if url.startswith("sqlite:"):
        return f"SQLite {sqlite3.sqlite_version}"
    with psycopg.connect(url, connect_timeout=10) as connection:
        return f"PostgreSQL {connection.info.parameter_status('server_version')}"


def _redis_version(url: str) -> str:
    with redis.Redis.from_url(url, socket_timeout=10) as client:
        info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _run_pytest(
    arguments: Sequence[str], environment: dict[str, str], report: Path, about: str
) -> Result:
    command = [sys.executable, "-m", "pytest", *arguments, f"--junitxml={report}"]
    began = time.monotonic()
    code = _wait(start(command, cwd=ROOT, env=os.environ | environment))
    about = f"{about} · {time.monotonic() - began:.1f} s"
    passed, failed, skipped = _count(report)
    problem = _problem(code, ran=passed + failed, failed=failed)
    return Result(passed=passed, failed=failed, skipped=skipped, problem=problem, about=about)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:
        # It has a session of its own, so the terminal's Ctrl-C reached us only.
        stop(process, by=signal.SIGINT, patience=30)
        raise


def _count(report: Path) -> tuple[int, int, int]:
    """Passed, failed, skipped."""
    if not report.exists():  # pytest was killed, or did not understand its arguments
        return 0, 0, 0
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 our own pytest wrote it
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = [c for c in cases if c not in failed and c.find("skipped") is not None]
    return len(cases) - len(failed) - len(skipped), len(failed), len(skipped)


def _problem(code: int, *, ran: int, failed: int) -> str:
    if code < 0:
        return f"FAILED: pytest was killed by {signal.Signals(-code).name}"
    if not ran:
        return f"FAILED: no test ran (pytest's exit code is {code})"
    if code and not failed:
        return f"FAILED: pytest's exit code is {code}"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
