"""`manage.py serve`: all of CineFlow in the foreground, on one machine, until Ctrl-C."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from cineflow.stack import Stack, StartFailed

# fmt: off
_BANNER = """
  CineFlow is running. Stop it with Ctrl-C.

    API and its documentation   {url}/api/docs
    Admin                       {url}/admin/
    Data folder                 {data}
    Access                      {access}
"""
# fmt: on
_ADMIN_HINT = "    There is no admin yet; create one with: {python} manage.py createsuperuser\n"


class Command(BaseCommand):
    help = "Run broker, worker and web server in the foreground until Ctrl-C."
    # The stack migrates first; a check that looks at the database would come too early.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=_port, default=os.environ.get("PORT") or "8000")
        parser.add_argument("--host", default="127.0.0.1")

    def handle(self, *, port: int, host: str, **options: Any) -> None:
        stack = Stack(port, host=host)
        _end_on_signals(stack)
        try:
            self._run(stack)
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        except StartFailed as error:
            raise CommandError(str(error)) from None

    def _run(self, stack: Stack) -> None:
        self.stdout.write("Starting…")
        with stack.running():
            self.stdout.write(self._banner(stack))
            try:
                child = stack.wait()
            except KeyboardInterrupt:
                self.stdout.write(
                    "\nStopping: what is on the wire may come back first. Ctrl-C again kills."
                )
                raise
            self.stderr.write(
                f"{child.name} ended by itself ({child.how_it_ended}); stopping the others."
            )
        raise CommandError(f"{child.name} ended; its last lines above say why.")

    def _banner(self, stack: Stack) -> str:
        access = "AUTH_TOKEN is set" if settings.AUTH_TOKEN else "open: AUTH_TOKEN is not set"
        text = _BANNER.format(url=stack.url, data=stack.data_dir, access=access)
        has_admin = get_user_model().objects.filter(is_superuser=True).exists()
        return text if has_admin else text + _ADMIN_HINT.format(python=_python())


def _python() -> str:
    """As one would type it here."""
    python = Path(sys.executable)
    return str(python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1–65535)")
    return int(text)


def _end_on_signals(stack: Stack) -> None:
    def first(signum: int, frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, again)
        raise KeyboardInterrupt

    def again(signum: int, frame: FrameType | None) -> None:
        stack.kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, first)
