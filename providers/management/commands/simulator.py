from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from providers.simulator.engine import Engine
from providers.simulator.server import run
from providers.simulator.settings import Settings


class Command(BaseCommand):
    help = "Serve a make-believe video provider for development: real MP4s, scripted faults."
    # It needs no database and no finished configuration: it stands in for somebody else's server.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
        parser.add_argument("--seconds", type=float, default=5.0, help="how long a job takes")
        parser.add_argument("--api-key", help="the only key accepted (default: any)")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = Engine(Settings(seconds=options["seconds"]), api_key=options["api_key"])
        run(engine, host=options["host"], port=options["port"], announce=self._announce)

    def _announce(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # a parent that reads a pipe waits for this line
