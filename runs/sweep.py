"""The engine's heart: lanes that claim what is due and work until nothing is.

Every worker process runs one sweep. It needs no message: a hint only ends its sleep early. Each lane has a
thread of its own, so a slow submit holds up no poll; many sweeps at once share the work by their claims.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime

from django.conf import settings
from django.db import close_old_connections, connections

from cineflow.core import clock
from providers import liveness
from providers.http import PollClient, Proxies, Transport
from runs import lifecycle, notices
from runs.models import Heartbeat, Step
from runs.steps import check, download, poll, recover, reuse, schedule, submit

logger = logging.getLogger(__name__)

Turn = Callable[[datetime], int]
HEARTBEAT_SECONDS = 10.0
_AFTER_AN_ERROR_SECONDS = 2.0
_BREATH_SECONDS = 0.1


class Lane(threading.Thread):
    """Repeats one kind of turn: at once while there is work, else after a hint or a second.

    A turn costs the same statements for one row as for hundreds. So after one that did less than `full`
    the lane takes a breath, in which more becomes due. `then` are lanes for which its turns make work.
    With a `next_due` it sleeps no longer than until something is due.
    """

    def __init__(
        self,
        name: str,
        turn: Turn,
        close: Callable[[], None] | None = None,
        *,
        full: int = 1,
        then: Sequence["Lane"] = (),
        next_due: Callable[[datetime], datetime | None] | None = None,
    ) -> None:
        super().__init__(name=f"sweep-{name}", daemon=True)
        self.turn = turn
        self.close = close
        self.full = full
        self.then = then
        self.next_due = next_due
        self.woken = threading.Event()
        self.stopping = threading.Event()
        self.looked_after = 0.0

    def run(self) -> None:
        while not self.stopping.is_set():
            pause = self._one_turn()
            if pause:
                self.woken.wait(pause)
                self.woken.clear()
        if self.close:
            self._guarded(self.close)
        connections.close_all()

    def _one_turn(self) -> float:
        """Seconds to pause after it."""
        pauses: list[float] = []
        if not self._guarded(lambda: pauses.append(self._work(clock.now()))):
            return _AFTER_AN_ERROR_SECONDS
        return pauses[0]

    def _work(self, now: datetime) -> float:
        done = self.turn(now)
        if not done:
            return self._idle(now)
        for lane in self.then:
            lane.wake()
        return 0.0 if done >= self.full else _BREATH_SECONDS

    def _idle(self, now: datetime) -> float:
        idle: float = settings.SWEEP_INTERVAL_SECONDS
        due_at = self.next_due(now) if self.next_due else None
        if due_at is None:
            return idle
        return min(idle, max((due_at - now).total_seconds(), _BREATH_SECONDS))

    def _look_after_connections(self) -> None:
        """Once a second: it makes the next statement ask first whether the server is still there."""
        if time.monotonic() - self.looked_after >= 1:
            self.looked_after = time.monotonic()
            close_old_connections()

    def _guarded(self, work: Callable[[], None]) -> bool:
        self._look_after_connections()
        try:
            work()
        except Exception:
            # A database that is away comes back; a row that cannot be worked must not stop the others for ever.
            logger.exception("%s failed; it goes on in a moment", self.name)
            connections.close_all()
            return False
        return True

    def wake(self) -> None:
        self.woken.set()

    def stop(self) -> None:
        self.stopping.set()
        self.woken.set()


class Sweep:
    """All lanes of one process."""

    def __init__(self) -> None:
        proxies = Proxies.from_environment(os.environ)
        self.polls = PollClient(proxies=proxies, limit=poll.BATCH)
        habits = schedule.Habits()
        self.transport = Transport(
            timeout=settings.API_REQUEST_TIMEOUT_SECONDS,
            proxies=proxies,
            downloads=settings.DOWNLOADERS,
        )
        submitter = submit.Submitter(self.transport, habits)
        downloader = download.Downloader(self.transport)
        submits = Lane("submit", submitter.turn, submitter.close)
        downloads = Lane("download", downloader.turn, downloader.close)
        polls = Lane(
            "poll",
            lambda now: poll.turn(self.polls, now, habits, downloader),
            full=poll.BATCH,
            then=(submits, downloads),
            next_due=lambda now: lifecycle.next_due(Step.POLL, now=now),
        )
        self.lanes = [
            *(submits, polls, downloads),
            Lane("check", check.turn),
            Lane("reuse", reuse.turn, then=[submits]),
            Lane("settle", submit.settle),
            Lane("look_up", lambda now: recover.turn(self.polls, now)),
            Lane("notices", notices.turn, then=[polls]),
            Lane("heartbeat", Pulse().turn),
        ]

    def start(self) -> None:
        for lane in self.lanes:
            lane.start()

    def wake(self) -> None:
        for lane in self.lanes:
            lane.wake()

    def stop(self, *, timeout: float = 60.0) -> None:
        """In order: claims end, answers on the wire are waited for and written."""
        for lane in self.lanes:
            lane.stop()
        for lane in self.lanes:
            lane.join(timeout)
        self.polls.close()
        self.transport.close()


class Pulse:
    """Tells the readiness check that this process is sweeping, and the log each day which models end soon.

    Housekeeping does the latter too, but a set-up of one machine has none.
    """

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"[:128]
        self.last: datetime | None = None
        self.told_on: date | None = None

    def turn(self, now: datetime) -> int:
        if self.last is None or (now - self.last).total_seconds() >= HEARTBEAT_SECONDS:
            Heartbeat.objects.update_or_create(worker=self.name, defaults={"at": now})
            self.last = now
        if self.told_on != now.date():
            liveness.log_sunsets(now.date())
            self.told_on = now.date()
        return 0
