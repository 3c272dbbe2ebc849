"""Paid jobs from their submit to their files: the engine beside others that drive the same far end."""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import plots
from benchmarks.far_end import FarEnd, far_end
from benchmarks.paid_runs import OutOfPatience, Plan, run_all
from benchmarks.peers import run
from benchmarks.peers.load import Outcome
from benchmarks.report import circumstances, percentile, publish, say, spread, table
from tests.servers import interrupt_on_signals

_FLOOR = "floor"
_PEERS: Mapping[str, Callable[[Plan, FarEnd, Path], Outcome]] = {
    _FLOOR: run.floor,
    "CineFlow, PostgreSQL": partial(run_all, database="postgres"),
    "CineFlow, PostgreSQL, two workers": partial(run_all, database="postgres", workers=2),
    "CineFlow, SQLite": partial(run_all, database="sqlite"),
    "Procrastinate": run.procrastinate,
    "Celery, threads": run.celery,
}


@dataclass(frozen=True, slots=True)
class Measured:
    outcome: Outcome
    polls: int


def measure(peer: str, plan: Plan, there: FarEnd) -> Measured:
    there.prepare(seconds=plan.seconds)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        outcome = _PEERS[peer](plan, there, Path(folder))
    found = Measured(outcome, there.summary()["polls"])
    cpu = 1000 * outcome.cpu_seconds / plan.jobs
    say(f"{plan.jobs} jobs, {peer}: {outcome.seconds:.1f} s, {cpu:.2f} ms CPU a job")
    return found


def rows_of(plan: Plan, peers: Sequence[str], rounds: int, there: FarEnd) -> list[list[str]]:
    """Round by round through all peers, so that a bad minute of the machine meets each of them alike."""
    found: dict[str, list[Measured]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            with suppress(OutOfPatience):
                found[peer].append(measure(peer, plan, there))
    floors = [each.outcome.seconds for each in found.get(_FLOOR, [])]
    return [_row(plan, peer, found[peer], floors) for peer in peers]


def _row(plan: Plan, peer: str, found: Sequence[Measured], floors: Sequence[float]) -> list[str]:
    if not found:
        return [str(plan.jobs), peer, f"over {plan.patience:.0f}", *[""] * 6]
    seconds = [each.outcome.seconds for each in found]
    late = [value for each in found for value in each.outcome.late]
    return [
        str(plan.jobs),
        peer,
        spread(seconds, 1),
        f"{median(seconds) / median(floors):.2f}" if floors else "",
        f"{1000 * median(each.outcome.cpu_seconds for each in found) / plan.jobs:.2f}",
        f"{median(each.outcome.peak_megabytes for each in found):.0f}",
        f"{median(each.polls for each in found) / plan.jobs:.1f}",
        f"{percentile(late, 0.5):.2f}",
        f"{percentile(late, 0.99):.2f}",
    ]


_HEAD = (
    *("jobs", "peer", "seconds", "× floor", "CPU ms a job", "peak MB"),
    *("polls a job", "late p50", "late p99"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[500, 2_000, 10_000])
    parser.add_argument("--seconds", type=float, default=10, help="that a job takes")
    parser.add_argument("--interval", type=float, default=2, help="between polls")
    parser.add_argument("--threads", type=int, default=250, help="of Celery")
    parser.add_argument("--patience", type=float, default=600, help="seconds for one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="+", choices=_PEERS, default=list(_PEERS))
    given = parser.parse_args()
    interrupt_on_signals()
    rows = []
    with tempfile.TemporaryDirectory() as folder, far_end(Path(folder)) as there:
        for jobs in given.jobs:
            plan = Plan(jobs, given.seconds, given.interval, given.threads, given.patience)
            rows += rows_of(plan, given.peers, given.rounds, there)
    title = f"Jobs of {given.seconds:g} s, polled every {given.interval:g} s"
    note = circumstances(f"{given.rounds} rounds, all peers in each of them")
    publish("engine", title, table(_HEAD, rows), note)
    plots.draw("engine", [row[:5] for row in rows if row[4]])


if __name__ == "__main__":
    main()
