"""The command line that the benchmarks share."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import stack
from benchmarks.report import say
from benchmarks.stack import Stack
from tests.servers import interrupt_on_signals


@dataclass(frozen=True, slots=True)
class Options:
    segments: int
    rounds: int


# Gets a stack with an empty database, measures, and publishes what it found.
Benchmark = Callable[[Stack, Options], None]


def run(*benchmarks: Benchmark) -> None:
    """Each benchmark on each database, every time with an empty one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--segments", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=stack.DATABASES)
    given = parser.parse_args()
    interrupt_on_signals()
    for benchmark in benchmarks:
        for database in [given.only] if given.only else stack.DATABASES:
            say(f"{database}: starting its servers")
            with stack.empty(database) as made:
                benchmark(made, Options(given.segments, given.rounds))
