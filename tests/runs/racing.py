"""Threads that act as one, and what must be true of a run however their order was."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from django.db import connections

from cineflow.core.errors import DomainError
from runs import lifecycle
from runs.models import Phase, Run, Status, Task

_PATIENCE_SECONDS = 120


class Racers:
    """So many threads, each with a database connection of its own. Closed by `racers`."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._dice = random.Random(width)
        self._line = threading.Barrier(width)
        self._threads = ThreadPoolExecutor(width, thread_name_prefix="racer")

    def race(self, *works: Callable[[], Any]) -> list[Any]:
        """All at once, each piece of work as often as there are threads for it; in no order.

        Returns what each came to: its value, or the refusal it met. Whatever else is raised, a deadlock
        above all, fails the test.
        """
        lanes = [works[number % len(works)] for number in range(self.width)]
        self._dice.shuffle(lanes)
        begun = [self._threads.submit(self._run, work) for work in lanes]
        return [future.result(_PATIENCE_SECONDS) for future in begun]

    def _run(self, work: Callable[[], Any]) -> Any:
        self._line.wait(_PATIENCE_SECONDS)
        try:
            return work()
        except DomainError as refusal:
            return refusal

    def close(self) -> None:
        self.race(connections.close_all)
        self._threads.shutdown()


@contextmanager
def racers(width: int) -> Iterator[Racers]:
    made = Racers(width)
    try:
        yield made
    finally:
        made.close()


def outcomes(results: Sequence[Any]) -> Counter[str]:
    """How many got what: `{"done": 1, "conflict": 11}`."""
    return Counter(found.code if isinstance(found, DomainError) else "done" for found in results)


def assert_sound(run: Run) -> None:
    """Counts, events and attempts of a run agree with its tasks."""
    run.refresh_from_db()
    tasks = list(run.tasks.all())
    statuses = Counter(task.status for task in tasks)
    assert {name: getattr(run, name) for name in lifecycle.COUNTED} == {
        name: statuses[name] for name in lifecycle.COUNTED
    }
    assert run.status == lifecycle.status_of(run)
    assert (run.finished_at is None) == (run.status in (Status.QUEUED, Status.RUNNING))
    numbers = list(run.events.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, run.event_count + 1))
    _assert_pauses_alternate(run)
    for task in tasks:
        _assert_one_story(task)
        _assert_attempts(task)


def _assert_one_story(task: Task) -> None:
    """Each event begins where the one before it ended, and the last ends where the task is now."""
    moves = list(task.events.order_by("number").values_list("before", "after"))
    assert [after for _, after in moves[-1:]] in ([], [task.status])
    assert all(earlier[1] == later[0] for earlier, later in pairwise(moves))


def _assert_attempts(task: Task) -> None:
    attempts = list(task.attempts.order_by("number"))
    assert [attempt.number for attempt in attempts] == list(range(1, task.attempt_count + 1))
    unsettled = [found for found in attempts if found.phase == Phase.AMBIGUOUS]
    assert unsettled in ([], attempts[-1:])


def _assert_pauses_alternate(run: Run) -> None:
    kinds = run.events.filter(kind__in=("paused", "resumed")).order_by("number")
    words = list(kinds.values_list("kind", flat=True))
    assert words == ["paused", "resumed"] * (len(words) // 2) + ["paused"] * (len(words) % 2)
    assert (run.paused_at is not None) == (words[-1:] == ["paused"])
