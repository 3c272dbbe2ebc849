"""Thousands of jobs that are waited for: what asking costs, and how late it is."""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks import stack
from benchmarks.far_end import FarEnd, far_end
from benchmarks.paid_runs import (
    WORKER,
    Plan,
    create,
    lateness,
    measured,
    prepared,
    upload,
    wait_until,
)
from benchmarks.peers.load import Outcome
from benchmarks.report import circumstances, percentile, publish, say, table
from tests.servers import interrupt_on_signals

# No job ends while it is measured.
_FOREVER = 3600.0


def measure(plan: Plan, there: FarEnd, *, window: float, workers: int) -> tuple[Outcome, int]:
    """What the workers spend in `window` seconds after all jobs are submitted, and its polls meanwhile."""
    there.prepare(seconds=_FOREVER)
    with prepared(plan, there, database="postgres") as made:
        with stack.at_work(made, app=WORKER, workers=workers):
            for body in upload(made, plan.jobs):
                create(made, body)
            wait_until(lambda: there.summary()["created"] >= plan.jobs, plan.patience)
            say(f"{plan.jobs} jobs are in flight")
            time.sleep(2 * plan.interval)  # the burst of the submits has passed by then
            began, before = time.time(), there.summary()["polls"]
            with measured(lambda: made.pids("worker")) as outcome:
                time.sleep(window)
            polls = there.summary()["polls"] - before
        counted = lateness(made, since=began, until=began + window)
    outcome.late = [late.seconds for late in counted]
    return outcome, polls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=10)
    parser.add_argument("--window", type=float, default=40, help="seconds that are measured")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    interrupt_on_signals()
    plan = Plan(given.jobs, _FOREVER, given.interval)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, far_end(Path(folder)) as there:
        outcome, polls = measure(plan, there, window=given.window, workers=given.workers)
    head = ["jobs", "polls a second", "late p50", "late p99", "cores", "peak MB"]
    row = [
        str(given.jobs),
        f"{polls / outcome.seconds:.0f}",
        f"{percentile(outcome.late, 0.5):.2f}",
        f"{percentile(outcome.late, 0.99):.2f}",
        f"{outcome.cpu_seconds / outcome.seconds:.2f}",
        f"{outcome.peak_megabytes:.0f}",
    ]
    title = f"{given.workers} workers together, on PostgreSQL, each job polled every {given.interval:g} s"
    note = circumstances(f"{given.window:g} seconds, all jobs in flight")
    publish("in flight", title, table(head, [row]), note)


if __name__ == "__main__":
    main()
