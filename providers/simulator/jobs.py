"""The jobs of the simulator: a job's state is computed from the clock, never stepped."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from providers.simulator.faults import Script

Status = Literal["queued", "running", "succeeded", "failed", "canceled"]

_QUEUED_SHARE = 0.1


@dataclass(frozen=True)
class Order:
    """What a client asked for, in no dialect's words."""

    prompt: str
    model: str
    seconds: int
    width: int
    height: int
    image_sha256: str | None = None
    image_url: str | None = None

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(slots=True)
class Job:
    """Times are the engine's; `finishes_at` is infinite for a job that is stuck."""

    id: str
    order: Order
    script: Script
    created_at: float
    finishes_at: float
    number: int = -1
    deleted: bool = False
    canceled: bool = False
    notes: dict[str, Any] = field(default_factory=dict)  # what its dialect alone keeps of the order

    def finished(self, now: float) -> bool:
        return now >= self.finishes_at

    def status(self, now: float) -> Status:
        if self.canceled:
            return "canceled"
        if self.finished(now):
            return "failed" if self.script.fail else "succeeded"
        return "queued" if self._share(now) < _QUEUED_SHARE else "running"

    def progress(self, now: float) -> int:
        """0 to 100; a failed job stops at 99."""
        if self.finished(now):
            return 99 if self.script.fail else 100
        share = self._share(now)
        return 0 if share < _QUEUED_SHARE else min(99, int(share * 100))

    def _share(self, now: float) -> float:
        return (now - self.created_at) / (self.finishes_at - self.created_at)


class Jobs:
    """All jobs in order of creation, and how many were unfinished at once.

    Finish times are known at creation, so one heap answers what is in flight without a scan:
    each job enters and leaves it once.
    """

    def __init__(self) -> None:
        self._listed: list[Job] = []
        self._by_id: dict[str, Job] = {}
        self._unfinished: list[tuple[float, int]] = []
        self._charged_seconds = 0
        self.max_in_flight = 0

    def __iter__(self) -> Iterator[Job]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def add(self, job: Job) -> None:
        job.number = len(self._listed)
        self._listed.append(job)
        self._by_id[job.id] = job
        self._settle(job.created_at)
        heapq.heappush(self._unfinished, (job.finishes_at, job.number))
        # Only a creation can raise the number in flight, so only here can the highest be.
        self.max_in_flight = max(self.max_in_flight, self.in_flight(job.created_at))

    def find(self, job_id: str) -> Job | None:
        job = self._by_id.get(job_id)
        return None if job is None or job.deleted else job

    def in_flight(self, now: float) -> int:
        self._settle(now)
        return len(self._unfinished)

    def charged_seconds(self, now: float) -> int:
        """Seconds of video in jobs that succeeded; a failed job costs nothing."""
        self._settle(now)
        return self._charged_seconds

    def after(self, job: Job | None, *, newest_first: bool) -> Iterator[Job]:
        """Jobs that are not deleted, from the one after `job` on."""
        numbers = range(len(self._listed))
        if newest_first:
            numbers = numbers[: job.number] if job else numbers
            numbers = numbers[::-1]
        elif job:
            numbers = numbers[job.number + 1 :]
        return (self._listed[n] for n in numbers if not self._listed[n].deleted)

    def _settle(self, now: float) -> None:
        while self._unfinished and self._unfinished[0][0] <= now:
            job = self._listed[heapq.heappop(self._unfinished)[1]]
            if not job.script.fail and not job.canceled:
                self._charged_seconds += job.order.seconds
