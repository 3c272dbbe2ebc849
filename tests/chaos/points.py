"""Before the storm: the web server dies, and a lonely worker dies and freezes past its leases, at each of the named
fault points."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from tests.chaos.world import ZOMBIE_SECONDS, Process, World

SLOT = "worker-armed"
POINTS = (
    "claimed_before_commit",
    "committed_before_send",
    "sent_before_answer_written",
    "rolled_up_before_commit",
    "rolled_up",
    "polled_before_write",
    "downloaded_before_rename",
    "renamed_before_commit",
)
# Met by what a client does first: it makes runs, and cancels one of them.
WEB_POINTS = ("launched_before_commit", "committed_before_hint", "cancel_before_commit")
# Nothing is looked up before an answer was lost, so this comes last.
LOOK_UP = "looked_up_before_write"
_PATIENCE_SECONDS = 15.0
_PATIENCE_OVERALL_SECONDS = 120.0


class Points:
    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(f"points {seed}")
        self.hits: Counter[str] = Counter()
        self.missed: list[str] = []
        self._sleepers: list[threading.Thread] = []

    @property
    def kills(self) -> int:
        return sum(number for name, number in self.hits.items() if name.endswith(":kill"))

    @property
    def zombies(self) -> int:
        return sum(number for name, number in self.hits.items() if name.endswith(":stop"))

    def meet_web(self) -> None:
        """The client learns nothing of what it asked for, and has to find out."""
        for name in WEB_POINTS:
            deaths = self.world.web_deaths
            self.world.kill("web")
            self.world.bear("web", fault=f"{name}:1")
            if _comes_true(partial(self._web_died, after=deaths)):
                self.hits[f"{name}:kill"] += 1
            else:
                self.missed.append(f"{name}:kill")
        self.world.kill("web")
        self.world.bear("web")

    def _web_died(self, *, after: int) -> bool:
        return self.world.web_deaths > after

    def run(self) -> None:
        pairs = [(name, action) for name in POINTS for action in ("kill", "stop")]
        self.dice.shuffle(pairs)
        if self.world.recovery == "look_up":
            pairs += [(LOOK_UP, "kill"), (LOOK_UP, "stop")]
        until = time.monotonic() + _PATIENCE_OVERALL_SECONDS
        for name, action in pairs:
            missed = time.monotonic() > until or not self._meet(name, action)
            if missed:
                self.missed.append(f"{name}:{action}")
        del self.world.processes[SLOT]

    def join(self) -> None:
        for sleeper in self._sleepers:
            sleeper.join()

    def _meet(self, name: str, action: str) -> bool:
        process = self.world.bear(SLOT, fault=f"{name}:1:{self.dice.randrange(999)}:{action}")
        reached = (lambda: process.state == "T") if action == "stop" else lambda: not process.alive
        if not _comes_true(reached):
            process.kill()
            return False
        self.hits[f"{name}:{action}"] += 1
        if action == "stop":
            sleeper = threading.Thread(target=_sleep, args=(process,), name="zombie")
            sleeper.start()
            self._sleepers.append(sleeper)
        return True


def _comes_true(met: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if met():
            return True
        time.sleep(0.02)
    return False


def _sleep(process: Process) -> None:
    time.sleep(ZOMBIE_SECONDS)
    process.signal(signal.SIGCONT)
    time.sleep(1)  # to write what it believes to be its own, until it stops at the next point
    process.kill()
