"""Small runs, one after the other for an hour, paid at the simulated provider: what must not grow, does it?"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import redis

from benchmarks import api, paid_runs, plots, processes, stack
from benchmarks.far_end import FarEnd, far_end
from benchmarks.paid_runs import Late, Plan
from benchmarks.report import circumstances, percentile, publish, say, table
from benchmarks.stack import Stack
from tests.servers import interrupt_on_signals

SHOTS = 6
WORKERS = 2
_JOB_SECONDS = 10.0
_POLL_SECONDS = 2.0
_SAMPLE_SECONDS = 10.0
_SAMPLES_A_MINUTE = 6
_TICK_SECONDS = 0.5
_PATIENCE_SECONDS = 300.0

_TABLES = """
SELECT (SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables)::float8 / 1e6,
    (SELECT 100.0 * sum(n_dead_tup) / greatest(sum(n_live_tup), 1) FROM pg_stat_user_tables)::float8,
    (SELECT sum(completed) FROM runs_run)::int,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid())::int
"""


@dataclass(slots=True)
class Sample:
    """What was seen at one moment. Megabytes by process; `takes` are those that are stored so far."""

    at: float
    memory: dict[str, float]
    open_files: int
    broker_connections: int
    table_megabytes: float
    dead_rows_percent: float
    takes: int
    database_connections: int


@dataclass
class Soak:
    """A load of `shots_per_second`, and what is seen meanwhile."""

    made: Stack
    body: dict[str, Any]
    shots_per_second: float
    samples: list[Sample] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    not_completed: int = 0

    def run(self, minutes: float) -> None:
        began = time.monotonic()
        until = began + 60 * minutes
        next_run = next_sample = began
        while time.monotonic() < until:
            if time.monotonic() >= next_run:
                self.under_way.append(self._create())
                next_run += SHOTS / self.shots_per_second
            if time.monotonic() >= next_sample:
                self.samples.append(_sample(self.made))
                next_sample += _SAMPLE_SECONDS
            self._look()
            time.sleep(_TICK_SECONDS)
        paid_runs.wait_until(self._all_ended, _PATIENCE_SECONDS)
        self.samples.append(_sample(self.made))

    def _create(self) -> str:
        url, key = self.made.address + api.RUNS, {"Idempotency-Key": str(uuid4())}
        answer = self.made.http.post(url, json=self.body, headers=key)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def _look(self) -> None:
        """At the oldest run, as somebody who waits for it."""
        if not self.under_way:
            return
        url = f"{self.made.address}{api.RUNS}/{self.under_way[0]}"
        answer = self.made.http.get(url).json()
        if answer["status"] not in ("queued", "running"):
            self.under_way.pop(0)
            self.not_completed += answer["status"] != "completed"

    def _all_ended(self) -> bool:
        self._look()
        return not self.under_way


def _sample(made: Stack) -> Sample:
    memory = {
        f"{part} {number}": processes.resident_megabytes(pid)
        for part in ("web", "worker")
        for number, pid in enumerate(made.pids(part), 1)
    }
    with psycopg.connect(made.env["DATABASE_URL"]) as connection:
        row = connection.execute(_TABLES).fetchone()
    assert row is not None
    megabytes, dead, takes, connections = row
    files = sum(map(processes.open_files, made.pids("worker")))
    with redis.Redis.from_url(made.env["REDIS_URL"]) as client:
        clients = int(client.info("clients")["connected_clients"]) - 1
    return Sample(
        time.time(), memory, files, clients, megabytes, dead or 0, takes or 0, connections
    )


def measure(there: FarEnd, minutes: float, shots_per_second: float) -> tuple[Soak, list[Late]]:
    plan = Plan(1000, _JOB_SECONDS, _POLL_SECONDS)
    there.prepare(seconds=_JOB_SECONDS)
    with paid_runs.prepared(plan, there, database="postgres") as made:
        with stack.at_work(made, app=paid_runs.WORKER, workers=WORKERS):
            (body,) = paid_runs.upload(made, SHOTS)
            soak = Soak(made, body, shots_per_second)
            soak.run(minutes)
        say(made.python("manage.py", "invariants", "--ended", "--hash"))
        return soak, paid_runs.lateness(made)


# ---- what is told of it ------------------------------------------------------------------------


def figures(samples: Sequence[Sample], late: Sequence[Late]) -> dict[str, list[float]]:
    """Each line of the table: its values over all samples that have a minute before them."""
    first, after = samples[0], samples[_SAMPLES_A_MINUTE:]
    minutes = list(zip(samples, after, strict=False))
    return {
        "web, MB": [_memory(sample, "web") for sample in after],
        "workers together, MB": [_memory(sample, "worker") for sample in after],
        "connections of the database": [sample.database_connections for sample in after],
        "connections of the broker": [sample.broker_connections for sample in after],
        "open files of the workers": [sample.open_files for sample in after],
        "dead rows, %": [sample.dead_rows_percent for sample in after],
        "tables, MB": [sample.table_megabytes for sample in after],
        "tables, KB a take": [_kilobytes_a_take(first, sample) for sample in after],
        "takes a minute": [60 * (b.takes - a.takes) / (b.at - a.at) for a, b in minutes],
        "polls late, s p50": [_late(late, a.at, b.at, 0.5) for a, b in minutes],
        "polls late, s p99": [_late(late, a.at, b.at, 0.99) for a, b in minutes],
    }


def _memory(sample: Sample, part: str) -> float:
    return sum(value for name, value in sample.memory.items() if name.startswith(part))


def _kilobytes_a_take(first: Sample, sample: Sample) -> float:
    return 1000 * (sample.table_megabytes - first.table_megabytes) / max(sample.takes, 1)


def _late(late: Iterable[Late], since: float, until: float, share: float) -> float:
    return percentile([each.seconds for each in late if since < each.at <= until], share)


def rows(shown: dict[str, list[float]]) -> list[list[str]]:
    """The mean of each sixth of the time: what grows, grows along the line."""
    return [[name, *(f"{part:.4g}" for part in _sixths(values))] for name, values in shown.items()]


def _sixths(values: Sequence[float]) -> list[float]:
    cuts = [round(number * len(values) / 6) for number in range(7)]
    parts = [values[start:end] for start, end in itertools.pairwise(cuts)]
    return [sum(part) / len(part) for part in parts if part]


def draw(samples: Sequence[Sample], shown: dict[str, list[float]]) -> None:
    after = samples[_SAMPLES_A_MINUTE:]
    plots.draw(
        "soak",
        {
            "minutes": [(sample.at - samples[0].at) / 60 for sample in after],
            "memory": {
                name: [sample.memory.get(name) for sample in after] for name in after[-1].memory
            },
            "connections": {
                name: shown[name]
                for name in (
                    *("connections of the database", "connections of the broker"),
                    "open files of the workers",
                )
            },
            "tables": {
                "MB": shown["tables, MB"],
                "KB a take": shown["tables, KB a take"],
                "dead rows, %": shown["dead rows, %"],
            },
            "pace": {
                "takes stored": shown["takes a minute"],
                "polls late, s p99, hundredfold": [100 * v for v in shown["polls late, s p99"]],
            },
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="2 at least")
    parser.add_argument("--shots", type=float, default=2, help="a second")
    given = parser.parse_args()
    interrupt_on_signals()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, far_end(Path(folder)) as there:
        soak, late = measure(there, given.minutes, given.shots)
    shown = figures(soak.samples, late)
    head = ["mean of each sixth of the time", *("1st", "2nd", "3rd", "4th", "5th", "6th")]
    takes, polls = soak.samples[-1].takes, len(late)
    facts = (
        f"{takes} takes, {polls} polls, {soak.not_completed} runs that did not complete",
        "no invariant broken at the end",
    )
    title = f"{given.minutes:g} minutes of runs of {SHOTS} shots, {given.shots:g} shots a second, on PostgreSQL"
    publish("soak", title, table(head, rows(shown)), circumstances(*facts))
    draw(soak.samples, shown)


if __name__ == "__main__":
    main()
