import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from cineflow.core.errors import NotFound
from providers import checkup, registry
from providers.checkup import Line, Mark
from providers.http import Proxies, Transport


class Command(BaseCommand):
    help = "Check that providers can be used: key, connection, clock, login, balance, models. It costs nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("check", help="ask a provider by free requests only")
        which = check.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?", help="of a provider, such as openrouter")
        which.add_argument("--all", action="store_true", help="every provider that has a key")
        check.add_argument(
            "--timeout", type=float, default=20.0, help="seconds for an answer (default: 20)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        transport = Transport(
            timeout=options["timeout"], proxies=Proxies.from_environment(os.environ)
        )
        good = [self._check(each, transport) for each in self._chosen(options)]
        if not all(good):
            sys.exit(1)

    def _chosen(self, options: dict[str, Any]) -> list[str]:
        if not options["all"]:
            return [options["id"]]
        ids = checkup.all_ids()
        for provider_id in ids:
            if missing := registry.missing(provider_id):
                self.stdout.write(f"{provider_id}\n  {_row(Line(Mark.UNKNOWN, 'key', missing))}")
        return [provider_id for provider_id in ids if registry.is_configured(provider_id)]

    def _check(self, provider_id: str, transport: Transport) -> bool:
        try:
            lines = checkup.check(provider_id, transport=transport, now=timezone.now())
        except NotFound as error:
            known = ", ".join(checkup.all_ids())
            raise CommandError(f"{error.message} There are: {known}.") from error
        self.stdout.write(provider_id)
        for line in lines:
            self.stdout.write(f"  {_row(line)}")
        return checkup.has_passed(lines)


def _row(line: Line) -> str:
    return f"{line.mark} {line.what:<10}  {line.words}"
