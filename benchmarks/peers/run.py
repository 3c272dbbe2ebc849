"""Starts each peer and takes down what it spent. The broker, the database and the far end are not counted."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import processes
from benchmarks.far_end import FarEnd
from benchmarks.paid_runs import OutOfPatience, Plan, measured, wait_until
from benchmarks.peers.load import Load, Outcome
from benchmarks.plots import BENCH_PYTHON
from benchmarks.stack import ROOT
from cineflow.core.child_process import start, stop
from tests.servers import postgres_server, redis_server

_CELERY = "benchmarks.peers.celery_sleeping"
_STARTED_AFTER_SECONDS = 8.0


def floor(plan: Plan, there: FarEnd, folder: Path) -> Outcome:
    return _one_process("benchmarks.peers.floor", sys.executable, plan, there, folder, os.environ)


def procrastinate(plan: Plan, there: FarEnd, folder: Path) -> Outcome:
    module = "benchmarks.peers.procrastinate_app"
    with postgres_server(durable=True) as url:
        env = os.environ | {"DATABASE_URL": url}
        return _one_process(module, BENCH_PYTHON, plan, there, folder, env)


def _load(plan: Plan, there: FarEnd, folder: Path) -> Load:
    return Load(there.base_url, plan.jobs, plan.interval, str(folder))


def _one_process(
    module: str, python: str, plan: Plan, there: FarEnd, folder: Path, env: Mapping[str, str]
) -> Outcome:
    """A peer that ends by itself and prints what it spent."""
    command = [python, "-m", module, _load(plan, there, folder).as_argument()]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, timeout=plan.patience
        )
    except subprocess.TimeoutExpired:
        raise OutOfPatience from None
    done.check_returncode()
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def celery(plan: Plan, there: FarEnd, folder: Path) -> Outcome:
    late = folder / "late.json"
    with redis_server() as broker:
        env = os.environ | {"REDIS_URL": broker, "LATE": str(late)}
        enqueue = [sys.executable, "-m", "benchmarks.peers.enqueue"]
        with (
            _celery_worker(plan.threads, folder, env) as pid,
            measured(lambda: list(processes.family(pid))) as outcome,
        ):
            load = _load(plan, there, folder).as_argument()
            subprocess.run([*enqueue, load], cwd=ROOT, env=env, check=True)
            wait_until(lambda: there.summary()["fetches"] >= plan.jobs, plan.patience)
    outcome.late = json.loads(late.read_text())
    return outcome


@contextmanager
def _celery_worker(threads: int, folder: Path, env: Mapping[str, str]) -> Iterator[int]:
    pool = ["--pool", "threads", "--concurrency", str(threads), "--loglevel", "error"]
    command = [sys.executable, "-m", "celery", "-A", _CELERY, "worker", *pool]
    with (folder / "celery.log").open("wb") as out:
        worker = start(command, cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        time.sleep(_STARTED_AFTER_SECONDS)  # its start is not what is measured
        yield worker.pid
    finally:
        stop(worker, patience=60)
