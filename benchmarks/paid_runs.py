"""The engine with paid jobs: a whole CineFlow, a storyboard of so many shots, and runs over all of them."""

import json
import math
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import api, processes, stack
from benchmarks.far_end import FarEnd
from benchmarks.peers.load import Outcome, order
from benchmarks.stack import Stack

# The worker as it is, but for a note of each poll.
WORKER = "benchmarks.worker"
# As many tasks as one run may have in flight; a larger load is several runs.
A_RUN = 1000
# It learns how long jobs take from those it has made, so let it have made some: the first without knowing
# anything, so asked for at the plain interval, and more when what it has learned from those is in use.
_MADE_BEFORE = (10, 50)
# What a worker knows it keeps so long before it looks again (`_KEEP_SECONDS` in runs/steps/schedule.py).
_KNOWN_FOR_SECONDS = 15
_LOOK_EVERY_SECONDS = 0.1


class OutOfPatience(Exception):
    """It took longer than one is willing to wait."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of every peer: so many jobs that take so many seconds, asked for at an interval."""

    jobs: int
    seconds: float
    interval: float
    threads: int = 250
    patience: float = 900.0


def run_all(plan: Plan, there: FarEnd, folder: Path, *, database: str, workers: int = 1) -> Outcome:
    """From before the first POST /runs until GET says of the last run that it has ended."""
    with prepared(plan, there, database=database) as made:
        with stack.at_work(made, app=WORKER, workers=workers):
            runs = upload(made, plan.jobs)
            warm_up(made, runs, plan)
            there.prepare(seconds=plan.seconds)
            began = time.time()
            with measured(lambda: made.pids("worker")) as outcome:
                ids = [create(made, body) for body in runs]
                wait_until(lambda: all_ended(made, ids), plan.patience)
        outcome.late = [late.seconds for late in lateness(made, since=began)]
    return outcome


@contextmanager
def prepared(plan: Plan, there: FarEnd, *, database: str) -> Iterator[Stack]:
    settings = {
        "OPENAI_BASE_URL": there.base_url,
        "OPENAI_API_KEY": "sk-benchmark",
        "POLL_INITIAL_WAIT_SECONDS": str(plan.interval),
        "POLL_INTERVAL_SECONDS": str(plan.interval),
        "MAX_CONCURRENT_TASKS": str(plan.jobs),
    }
    with stack.empty(database, **settings) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Late:
    """One poll: when its answer was there (Unix time), and how long after the moment at which it was due."""

    at: float
    seconds: float


def lateness(made: Stack, *, since: float = 0.0, until: float = math.inf) -> list[Late]:
    """Of the polls of all workers, which write it down when they end."""
    found = [
        Late(*poll)
        for file in made.folder.glob("late-*")
        for poll in struct.iter_unpack("dd", file.read_bytes())
    ]
    return [late for late in found if since <= late.at <= until]


def upload(made: Stack, jobs: int) -> list[dict[str, Any]]:
    """A storyboard of so many shots; returns the bodies of the runs that make them all."""
    shot: dict[str, Any] = {"director_intent": "", "is_pro": False, "duration_seconds": 4}
    shot |= {"resolution": "horizontal", "asset": {"characters": [], "scene": "", "props": []}}
    segments = [
        {**shot, "segment_index": n, "prompt_text": order(n)["prompt"]} for n in range(1, jobs + 1)
    ]
    file = json.dumps({"character_bible": [], "segments": segments}).encode()
    answer = made.http.post(made.address + api.STORYBOARDS, files={"file": ("film.json", file)})
    answer.raise_for_status()
    common = {
        "storyboard_id": answer.json()["id"],
        "model_id": "sora2",
        "concurrency": min(jobs, A_RUN),
        "force": True,
    }
    firsts = range(1, jobs + 1, A_RUN)
    return [{**common, "range": f"{n}-{min(n + A_RUN - 1, jobs)}"} for n in firsts]


def warm_up(made: Stack, runs: Sequence[dict[str, Any]], plan: Plan) -> None:
    for number in _MADE_BEFORE:
        ids = [create(made, runs[0] | {"range": f"1-{number}"})]
        wait_until(partial(all_ended, made, ids), plan.patience)
    time.sleep(_KNOWN_FOR_SECONDS)


def create(made: Stack, body: dict[str, Any]) -> str:
    answer = made.http.post(made.address + api.RUNS, json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


def all_ended(made: Stack, ids: list[str]) -> bool:
    """Takes the runs that have ended off the list."""
    while ids:
        answer = made.http.get(f"{made.address}{api.RUNS}/{ids[-1]}").json()
        if answer["status"] in ("queued", "running"):
            return False
        if answer["status"] != "completed":
            raise SystemExit(f"A run did not get to its end: {answer}")
        ids.pop()
    return True


@contextmanager
def measured(pids: Callable[[], Sequence[int]]) -> Iterator[Outcome]:
    outcome = Outcome()
    processes.reset_peaks(pids())
    cpu, started = processes.cpu_seconds(pids()), time.perf_counter()
    yield outcome
    outcome.seconds = time.perf_counter() - started
    outcome.cpu_seconds = processes.cpu_seconds(pids()) - cpu
    outcome.peak_megabytes = processes.peak_megabytes_together(pids())


def wait_until(ready: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        if time.monotonic() > deadline:
            raise OutOfPatience
        time.sleep(_LOOK_EVERY_SECONDS)
