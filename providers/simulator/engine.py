"""The engine under every dialect: jobs, clock, limits, faults, ledger. It knows no wire format."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from providers.simulator.faults import Fault, Script
from providers.simulator.jobs import Job, Jobs, Order
from providers.simulator.ledger import Ledger, Post, count
from providers.simulator.settings import Settings

_MINUTE = 60.0


class Throttled(Exception):
    """A limit is reached and nothing was created; `retry_after` is whole seconds, if known."""

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__("limit reached")
        self.retry_after = retry_after


class Engine:
    def __init__(
        self,
        settings: Settings,
        *,
        api_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._initial = settings
        self._epoch = time.time() - clock()
        self.now = clock
        self.api_key = api_key
        self.reset()

    def reset(self) -> None:
        self.settings = self._initial
        self.jobs = Jobs()
        self.ledger = Ledger()
        self._submits: Counter[str] = Counter()
        self._admitted: deque[float] = deque()
        self._by_key: dict[str, Job] = {}

    def configure(self, values: dict[str, Any]) -> None:
        """Change the settings named; pydantic's ValidationError if one is wrong or unknown."""
        self.settings = Settings.model_validate({**self.settings.model_dump(), **values})

    def wall(self, moment: float) -> float:
        """Unix time of a moment of the engine's clock."""
        return self._epoch + moment

    def receive(self, path: str, key: str | None) -> Post:
        return self.ledger.receive(Post(time=self.wall(self.now()), path=path, key=key))

    def admit(self) -> None:
        """Let one more submit in, or raise Throttled."""
        now, settings = self.now(), self.settings
        while self._admitted and self._admitted[0] <= now - _MINUTE:
            self._admitted.popleft()
        if settings.per_minute is not None and len(self._admitted) >= settings.per_minute:
            freed_at = self._admitted[0] + _MINUTE if self._admitted else now + _MINUTE
            raise Throttled(math.ceil(freed_at - now))
        most = settings.max_in_flight
        if most is not None and self.jobs.in_flight(now) >= most:
            raise Throttled
        self._admitted.append(now)

    def known(self, key: str | None) -> Job | None:
        """The job that an Idempotency-Key made before, where such keys are honoured."""
        return self._by_key.get(key or "") if self.settings.idempotency else None

    def remember(self, key: str | None, job: Job) -> None:
        if key:
            self._by_key[key] = job

    def cancel(self, job: Job) -> bool:
        """Whether the job ends by it; a finished one does not."""
        if job.finished(self.now()):
            return False
        job.canceled = True
        return True

    def submit_fault(self, prompt: str, script: Script) -> Fault | None:
        """Counted by prompt: a client that sends again after a fault has no job id yet."""
        return script.fault("submit", count(self._submits, prompt))

    def create(self, job_id: str, order: Order, script: Script) -> Job:
        now = self.now()
        duration = script.duration(self.settings.seconds)
        job = Job(job_id, order, script, created_at=now, finishes_at=now + duration)
        self.jobs.add(job)
        return job

    def polled(self, job_id: str) -> tuple[Job | None, Fault | None]:
        return self._asked("poll", self.ledger.polls, job_id)

    def fetched(self, job_id: str) -> tuple[Job | None, Fault | None]:
        return self._asked("fetch", self.ledger.fetches, job_id)

    def cancel_fault(self, job: Job) -> Fault | None:
        return job.script.fault("cancel", count(self.ledger.cancels, job.id))

    def shown_in_list(self, job: Job) -> bool:
        return job.script.fault("list", count(self.ledger.listings, job.id)) is None

    def delete(self, job: Job) -> None:
        job.deleted = True
        self.ledger.deletes.append(job.id)

    def summary(self) -> dict[str, int]:
        return {
            "posts": len(self.ledger.posts),
            "created": len(self.jobs),
            "max_in_flight": self.jobs.max_in_flight,
            "polls": self.ledger.polls.total(),
            "fetches": self.ledger.fetches.total(),
        }

    def _asked(
        self, stage: str, counter: Counter[str], job_id: str
    ) -> tuple[Job | None, Fault | None]:
        earlier = count(counter, job_id)
        job = self.jobs.find(job_id)
        return job, job.script.fault(stage, earlier) if job else None


ENGINE = web.AppKey("engine", Engine)
