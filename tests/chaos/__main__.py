"""`python -m tests.chaos`: real processes, killed at random and at named points, and the books checked after.

Everything is decided by the seed except the timing of the machine. The last line is the verdict.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.chaos import checks
from tests.chaos.checks import Verdict
from tests.chaos.load import Load
from tests.chaos.nemesis import Nemesis, Plan
from tests.chaos.points import Points
from tests.chaos.world import RHYTHM, WORKER_SLOTS, ZOMBIE_SECONDS, World
from tests.servers import interrupt_on_signals


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    interrupt_on_signals()
    # Others may have to walk through it: PostgreSQL does not run as root.
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)
    verdict = None
    try:
        with World(folder, recovery=options.recovery).running() as world:
            verdict = _storm(world, options)
    except KeyboardInterrupt:
        print("Interrupted.")
        return 130
    finally:
        if verdict and verdict.good and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"Logs and files stay in {folder}", file=sys.stderr)
    return 0 if verdict.good else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=50, help="kill -9 of workers, web and beat")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is said")
    parser.add_argument("--recovery", choices=["look_up", "token", "none"], default="look_up")
    for name, help_text in (
        ("postgres-crashes", "immediate shutdowns of PostgreSQL"),
        ("redis-kills", "kill -9 of Redis"),
        ("flushes", "FLUSHALL, and as many freezes of 3 seconds"),
        ("zombies", "workers stopped past their leases"),
    ):
        parser.add_argument(f"--{name}", type=int, default=None, help=f"{help_text}; by the kills")
    parser.add_argument("--keep", action="store_true", help="keep logs and files of a good end too")
    options = parser.parse_args(arguments)
    options.seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    return options


def _plan(options: argparse.Namespace) -> Plan:
    """Of everything as much as kills: 200 come with 5, 10, 3 and 20."""

    def share(given: int | None, of_two_hundred: int) -> int:
        return max(1, options.kills * of_two_hundred // 200) if given is None else given

    return Plan(
        kills=options.kills,
        postgres_crashes=share(options.postgres_crashes, 5),
        redis_kills=share(options.redis_kills, 10),
        flushes=share(options.flushes, 3),
        zombies=share(options.zombies, 20),
    )


def _storm(world: World, options: argparse.Namespace) -> Verdict:
    print(
        f"seed={options.seed} recovery={options.recovery} workers={len(WORKER_SLOTS)} {_plan(options)}"
    )
    print("rhythm: " + " ".join(f"{name}={value}" for name, value in RHYTHM.items()), flush=True)
    began = time.monotonic()
    load = Load(world, jobs=options.jobs, seed=options.seed)
    nemesis, points = Nemesis(world, _plan(options), options.seed), Points(world, options.seed)
    load.progress = lambda: nemesis.progress
    watch = Watch(world, load, nemesis, began)
    watch.start()
    client = load.start()
    points.meet_web()
    _wait_until_some_run(load)
    points.run()
    nemesis.rage()
    points.join()
    load.made_all.wait(60)
    storm = time.monotonic() - began
    open_then = watch.open_tasks
    load.done.set()
    client.join(60)
    _wait_for_ends(world)
    watch.done.set()
    watch.join()
    seconds = time.monotonic() - began
    load.done.clear()
    verdict = checks.examine(world, load)
    _summarize(world, verdict, load, nemesis, points)
    print(f"the storm took {storm:.0f} s; {open_then} tasks were open at its end")
    kills = nemesis.done["kill"] + points.kills
    print(
        f"jobs={verdict.jobs} kills={kills} lost={len(verdict.lost)} "
        f"billed_twice={len(verdict.billed_twice)} decisions={verdict.decisions} "
        f"invariants={verdict.invariants} stale_writes={verdict.stale_writes} "
        f"seconds={seconds:.0f} seed={options.seed}",
        flush=True,
    )
    return verdict


def _wait_until_some_run(load: Load) -> None:
    while len(load.run_ids) < 2:
        time.sleep(0.1)


def _wait_for_ends(world: World, patience: float = 180.0) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with suppress(psycopg.Error):
            if not checks.runs_under_way(world):
                return
        time.sleep(0.5)


class Watch(threading.Thread):
    """One line a second: tasks by state, and what was done to their makers."""

    def __init__(self, world: World, load: Load, nemesis: Nemesis, began: float) -> None:
        super().__init__(name="watch", daemon=True)
        self.world, self.load, self.nemesis, self.began = world, load, nemesis, began
        self.open_tasks = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(1):
            seconds = time.monotonic() - self.began
            print(f"{seconds:4.0f} s  {self._tasks()}  {_words(self.nemesis.done)}", flush=True)

    def _tasks(self) -> str:
        sql = "SELECT status, count(*) FROM runs_task GROUP BY status"
        try:
            states = dict(self.world.query(sql))
        except psycopg.Error:
            return "(the database is away)"
        self.open_tasks = states.get("queued", 0) + states.get("running", 0)
        return _words(Counter(states))


def _words(counts: Counter[str]) -> str:
    return " ".join(f"{name}={number}" for name, number in sorted(counts.items()))


def _summarize(
    world: World, verdict: Verdict, load: Load, nemesis: Nemesis, points: Points
) -> None:
    for line in (*verdict.lost[:20], *verdict.billed_twice[:20], *verdict.notes):
        print(f"  {line}")
    phases = "SELECT phase, count(*) FROM runs_attempt GROUP BY phase"
    errors = "SELECT error_code, count(*) FROM runs_task WHERE status <> 'completed' GROUP BY 1"
    poisoned = "SELECT count(*) FROM runs_event WHERE kind = 'poisoned'"
    deadlocks = world.postgres.log.read_text(errors="replace").count("deadlock detected")
    print(f"attempts: {_words(Counter(dict(world.query(phases))))}; jobs made: {verdict.created}")
    print(f"tasks without a file: {_words(Counter(dict(world.query(errors))))}")
    print(f"set aside: {world.query(poisoned)[0][0]}; deadlocks: {deadlocks}")
    print(f"answers to clients: {_words(load.answers)}; retried: {load.retried}")
    print(f"done: {_words(nemesis.done)}; connections cut: {world.proxy.cut_connections}")
    sleepers = f"{nemesis.done['zombie']} at random and {points.zombies} at named points"
    print(
        f"zombies: {sleepers} slept {ZOMBIE_SECONDS:.0f} s; the former with {nemesis.held} claims, "
        f"of which {nemesis.taken_over} were taken over; writes accepted: {verdict.stale_writes}"
    )
    print(f"points: {_words(points.hits)}; missed: {points.missed or 'none'}")
    print(f"web workers that died at one of theirs: {world.web_deaths}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
