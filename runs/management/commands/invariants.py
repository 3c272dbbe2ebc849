"""`manage.py invariants`: is everything as it must be, whatever has happened?"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from cineflow.core import clock
from runs import invariants

SHOWN = 20


def _numbers(text: str) -> list[str]:
    wanted = [number.strip().upper() for number in text.split(",") if number.strip()]
    unknown = sorted(set(wanted) - set(invariants.NUMBERS))
    if unknown or not wanted:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown) or 'nothing'} is not among {', '.join(invariants.NUMBERS)}"
        )
    return wanted


class Command(BaseCommand):
    help = "Check what must hold at every moment; name the rows for which it does not, and exit with 1."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only", type=_numbers, default=[], metavar="I1,I8", help="check these and no others"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--hash", action="store_true", help="I10: read every file whole")
        parser.add_argument(
            "--orphans", action="store_true", help="also list files that no row names"
        )
        parser.add_argument(
            "--healthy", action="store_true", help="also I11: workers run, so nothing due is late"
        )
        parser.add_argument("--ended", action="store_true", help="also I12: every run has ended")

    def handle(self, *args: Any, **options: Any) -> None:
        also = [number for number, word in (("I11", "healthy"), ("I12", "ended")) if options[word]]
        how = invariants.Options(now=clock.now(), hashes=options["hash"])
        found = invariants.check(how, only=options["only"], also=also)
        strays = [str(file) for file in invariants.orphans()] if options["orphans"] else None
        if options["json"]:
            said: dict[str, Any] = {"broken": found}
            self._print(json.dumps(said if strays is None else {**said, "orphans": strays}))
        else:
            for number, rows in found.items():
                self._print(_line(number, rows))
            for stray in strays or ():
                self._print(f"orphan {stray}")
        if any(found.values()):
            sys.exit(1)

    def _print(self, line: str) -> None:
        self.stdout.write(line)


def _line(number: str, rows: Sequence[str]) -> str:
    if not rows:
        return f"{number} ok"
    more = f", and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"{number} BROKEN {len(rows)}: {', '.join(rows[:SHOWN])}{more}"
