"""What goes wrong, in an order that a seed decides."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import redis

from tests.chaos.points import POINTS, WEB_POINTS
from tests.chaos.world import WORKER_SLOTS, ZOMBIE_SECONDS, World

_GROWN_UP_SECONDS = 1.0  # a younger worker is left alone: it has not begun yet


@dataclass(frozen=True, kw_only=True)
class Plan:
    kills: int
    postgres_crashes: int
    redis_kills: int
    flushes: int
    zombies: int

    def acts(self, dice: random.Random) -> list[str]:
        acts = ["kill"] * self.kills
        rest = ["postgres"] * self.postgres_crashes + ["redis"] * self.redis_kills
        rest += ["flush"] * self.flushes + ["freeze"] * self.flushes + ["zombie"] * self.zombies
        rest += ["cut"] * (self.kills // 20) + ["slow"] * (self.kills // 20)
        dice.shuffle(rest)
        for number, act in enumerate(rest):
            # Spread evenly over the kills: two crashes of the database in a row would be one.
            place = (number + dice.random()) * len(acts) / len(rest)
            acts.insert(int(place), act)
        return acts


class Nemesis:
    def __init__(self, world: World, plan: Plan, seed: int) -> None:
        self.world = world
        self.dice = random.Random(f"nemesis {seed}")
        self.acts = plan.acts(self.dice)
        self.done: Counter[str] = Counter()
        self.held = 0  # claims that zombies held when they fell asleep
        self.taken_over = 0  # and how many of those others had when they woke
        self._asleep: set[str] = set()
        self._sleepers: list[threading.Thread] = []
        self._mending: list[threading.Timer] = []

    @property
    def progress(self) -> float:
        return self.done.total() / len(self.acts)

    def rage(self) -> None:
        doing: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "postgres": self._crash_postgres,
            "redis": self._kill_redis,
            "flush": self._flush,
            "freeze": self._freeze_redis,
            "zombie": self._make_zombie,
            "cut": self._cut,
            "slow": self._slow,
        }
        for slot in ("beat", *WORKER_SLOTS):
            self.world.bear(slot)
        for act in self.acts:
            time.sleep(self.dice.uniform(0.1, 1.2))
            doing[act]()
            self.done[act] += 1
        for waiting in (*self._sleepers, *self._mending):
            waiting.join()
        self.world.proxy.heal()

    def _kill(self) -> None:
        drawn = self.dice.random()
        slot = "web" if drawn < 0.12 else "beat" if drawn < 0.2 else self._some_worker()
        self.world.kill(slot)
        self.world.bear(slot, fault=self._fault(slot))

    def _fault(self, slot: str) -> str:
        """Some are born with one: the web server dies of it now and then, a worker meets an exception."""
        seed = self.dice.randrange(999)
        if slot == "web":
            fault, share = f"{self.dice.choice(WEB_POINTS)}:0.3:{seed}:kill", 0.5
        else:
            fault, share = f"{self.dice.choice(POINTS)}:0.05:{seed}:raise", 0.15
        return fault if self.dice.random() < share else ""

    def _some_worker(self) -> str:
        """One that has been at work for a while; the order of asking is random."""
        slots = list(WORKER_SLOTS)
        self.dice.shuffle(slots)
        while True:
            for slot in slots:
                grown = time.monotonic() - self.world.processes[slot].born > _GROWN_UP_SECONDS
                if slot not in self._asleep and grown:
                    return slot
            time.sleep(0.05)

    def _crash_postgres(self) -> None:
        self.world.postgres.crash()
        time.sleep(self.dice.uniform(0, 1))
        self.world.postgres.start()

    def _kill_redis(self) -> None:
        self.world.redis.crash()
        time.sleep(self.dice.uniform(0, 0.5))
        self.world.redis.start()

    def _flush(self) -> None:
        with redis.Redis.from_url(self.world.redis.url, socket_timeout=5) as client:
            client.flushall()

    def _freeze_redis(self) -> None:
        process = self.world.redis.process
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        process.send_signal(signal.SIGCONT)

    def _cut(self) -> None:
        self.world.proxy.cut()
        self._mend_in(self.dice.uniform(0.05, 0.6))

    def _slow(self) -> None:
        self.world.proxy.slow(self.dice.uniform(0.1, 1.2))
        self._mend_in(self.dice.uniform(0.5, 3))

    def _mend_in(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.world.proxy.heal)
        timer.start()
        self._mending.append(timer)

    # ---- zombies -----------------------------------------------------------------------------

    def _make_zombie(self) -> None:
        while len(self._asleep) >= 2:  # somebody has to do the work meanwhile
            time.sleep(0.1)
        slot = self._some_worker()
        self._asleep.add(slot)
        sleeper = threading.Thread(target=self._sleep, args=(slot,))
        sleeper.start()
        self._sleepers.append(sleeper)

    def _sleep(self, slot: str) -> None:
        process = self.world.processes[slot]
        process.signal(signal.SIGSTOP)
        held = claims(self.world, process.name)
        time.sleep(ZOMBIE_SECONDS)
        lost = sum(now != held.get(task) for task, now in fences(self.world, list(held)).items())
        process.signal(signal.SIGCONT)
        self.held += len(held)
        self.taken_over += lost
        time.sleep(2)  # to write what it believes to be its own
        self._asleep.discard(slot)


def claims(world: World, name: str) -> dict[str, int]:
    """The tasks that a worker holds, with the fence it knows."""
    sql = """SELECT t.id::text, t.fence FROM runs_task t JOIN chaos_owner o ON o.task_id = t.id AND o.fence = t.fence
        WHERE o.who = %(name)s AND t.lease_until IS NOT NULL"""
    with suppress(Exception):
        return dict(world.query(sql, {"name": name}))
    return {}


def fences(world: World, tasks: list[str]) -> dict[str, int]:
    sql = "SELECT id::text, fence FROM runs_task WHERE id::text = ANY(%(tasks)s)"
    with suppress(Exception):
        return dict(world.query(sql, {"tasks": tasks}))
    return {}
