"""`manage.py demo`: starts CineFlow, walks the checklist, and prints the acceptance record."""

import platform
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from cineflow import stack
from cineflow.acceptance.accept import Site, accept
from cineflow.acceptance.client import Api
from cineflow.acceptance.record import Record, as_markdown, narrow, width
from cineflow.acceptance.screen import Screen
from cineflow.acceptance.walk import Verdict, Walk
from cineflow.core.files import write_atomically
from cineflow.core.redis_server import socket_path


@dataclass(frozen=True, kw_only=True)
class Target:
    """The server that is walked. `is_ours`: started here, so its files lie in our data folder."""

    api: Api
    environment: str
    is_ours: bool


class Command(BaseCommand):
    help = "Walk the integration checklist against a CineFlow of its own (or at --url)."
    # The stack migrates first; a check that looks at the database would come too early.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--url",
            help="a server that runs already, such as http://localhost:8000; starts nothing",
        )
        parser.add_argument("--token", help="its AUTH_TOKEN (default: this installation's)")

    def run_from_argv(self, argv: list[str]) -> None:
        _end_in_order_on_signals()  # here, since only a process of our own has signals to handle
        super().run_from_argv(argv)

    def handle(self, *args: Any, url: str | None, token: str | None, **options: Any) -> None:
        began = time.monotonic()
        try:
            with self._target(url, token or settings.AUTH_TOKEN) as target:
                record, walk = self._walk(target)
        except stack.StartFailed as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted; everything that was started has been stopped."
            ) from None
        self._report(record, walk, target, time.monotonic() - began)

    def _walk(self, target: Target) -> tuple[Record, Walk]:
        screen = Screen(self.stdout, self.style)
        walk = Walk(target.api, watch=screen.watch)
        site = Site(version=_version(), environment=target.environment, today=timezone.now())
        return accept(walk, site, tell=screen.tell), walk

    # ---- the server that is walked -------------------------------------------------------------

    @contextmanager
    def _target(self, url: str | None, token: str) -> Iterator[Target]:
        if url:
            yield self._running_already(Api(url, token))
            return
        token = token or secrets.token_urlsafe(24)
        logs = settings.DATA_DIR / "logs"
        self._announce()
        with stack.running(free_port(), env=_environment(token), logs=logs) as ours:
            self.stdout.write(f"  server   {ours.url}  (for this demo; logs in {_short(logs)})")
            yield Target(api=Api(ours.url, token), environment=_facts(), is_ours=True)

    def _running_already(self, api: Api) -> Target:
        try:
            state = api.call("GET", "/readyz").json()["status"]
        except (requests.RequestException, ValueError, TypeError, KeyError):
            raise CommandError(f"No CineFlow answers at {api.url}/readyz.") from None
        self.stdout.write(f"CineFlow demo\n  server   {api.url}  (readyz: {state})")
        return Target(api=api, environment=f"已在运行的服务，/readyz：{state}", is_ours=False)

    def _announce(self) -> None:
        self.stdout.write("CineFlow demo")
        self.stdout.write(f"  data     {_short(settings.DATA_DIR)}")
        token = "of your settings" if settings.AUTH_TOKEN else "made up for this demo"
        self.stdout.write(f"  token    {token}")
        if _has_company():
            self.stdout.write(
                "  note     a CineFlow runs on this data already; its worker shares the work"
            )
        self.stdout.write("  starting web and worker …")
        self.stdout.flush()  # what follows takes seconds

    # ---- what came of it -----------------------------------------------------------------------

    def _report(self, record: Record, walk: Walk, target: Target, seconds: float) -> None:
        text = as_markdown(record)
        path = settings.DATA_DIR / f"acceptance-{timezone.now():%Y-%m-%d}.md"
        write_atomically(path, [text.encode()])
        self.stdout.write(f"\n{text if self._has_room_for(text) else narrow(text)}\n{'-' * 80}")
        self._show_files(walk, target)
        self.stdout.write(f"Record: {_short(path)}")
        passed, untested = record.count(Verdict.PASS), record.count(Verdict.NOT_TESTED)
        counts = f"{passed} passed, {len(record.failed)} failed, {untested} not tested"
        summary = f"{counts}, in {seconds:.1f} s"
        if record.failed:
            raise CommandError(f"The acceptance failed: {summary}.")
        self.stdout.write(self.style.SUCCESS(f"Accepted: {summary}."))

    def _has_room_for(self, text: str) -> bool:
        """A file has, whatever its width; a terminal would wrap straight columns into a mess."""
        columns = shutil.get_terminal_size().columns
        return not self.stdout.isatty() or max(map(width, text.splitlines())) <= columns

    def _show_files(self, walk: Walk, target: Target) -> None:
        if walk.files:
            whose = "" if target.is_ours else " (in that server's data folder)"
            self.stdout.write(f"Videos{whose}:")
        for path, facts in walk.files.items():
            place = _short(settings.DATA_DIR / path) if target.is_ours else path
            self.stdout.write(f"  {place}  ({facts})")


def _end_in_order_on_signals() -> None:
    """Each ends the `with` blocks. Ctrl-C too: a background job is born ignoring it."""

    def end(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def _environment(token: str) -> dict[str, str]:
    """The user's own settings, less what would keep a client on this machine out."""
    hosts = ",".join([*settings.ALLOWED_HOSTS, "127.0.0.1"])
    return {"AUTH_TOKEN": token, "ALLOWED_HOSTS": hosts, "BEHIND_HTTPS": "false"}


def _has_company() -> bool:
    """Whether a `serve` has its embedded broker on our data folder."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path(settings.DATA_DIR))) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _facts() -> str:
    """In the record's language: database, broker and machine."""
    if connection.vendor == "sqlite":
        database = f"SQLite {sqlite3.sqlite_version}"
    else:
        database = f"{connection.display_name}（外部）"
    broker = (
        "内嵌 Redis 兼容服务" if settings.REDIS_URL.startswith("redis+socket:") else "外部 Redis"
    )
    machine = f"Python {platform.python_version()}，{platform.system()} {platform.machine()}"
    return f"{database}，{broker}，{machine}"


def _version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    known = (
        project["version"],
        _git("branch", "--show-current"),
        _git("describe", "--always", "--dirty"),
    )
    return " · ".join(part for part in known if part)


def _git(*arguments: str) -> str:
    """Empty without git, or outside a checkout."""
    command = ["git", "-C", str(settings.BASE_DIR), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _short(path: Path) -> str:
    """As one would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
