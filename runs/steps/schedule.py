"""When to ask for a job again: rarely before the time that jobs like it have taken, closely around that time.

What they have taken is read from our own finished attempts.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from providers.models import ProviderModel
from runs.models import Attempt

LATEST = 50
# With fewer jobs than this nothing is known.
FEWEST = 5
_KEEP_SECONDS = 15.0
_KEEP_NOTHING_SECONDS = 5.0
# Before the expected time a job is asked for this much more rarely than its interval says.
_RAREST = 3.0
_CLOSEST_SECONDS = 0.5
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Learned:
    """Seconds from acceptance to the finished job: a tenth of the jobs took less than `early`, half of them less
    than `median`, and half were nearer to that than `spread`."""

    early: float
    median: float
    spread: float


def learn(seconds: Sequence[float]) -> Learned | None:
    if len(seconds) < FEWEST:
        return None
    median = statistics.median(seconds)
    spread = statistics.median(abs(each - median) for each in seconds)
    return Learned(sorted(seconds)[len(seconds) // 10], median, spread)


def next_poll(
    elapsed: float, learned: Learned | None, interval: float, minimum: float, lot: float = 0.0
) -> float:
    """Seconds to wait, for a job that was accepted `elapsed` seconds ago.

    Never less than `minimum`, never more than three intervals. Without knowledge it is the interval. `lot`, from
    0 to 1, is a job's own: what was accepted together is not due together for ever, and some meet the end of
    their jobs with the first question of those that are asked closely.
    """
    if learned is None:
        return _earlier(interval, lot, minimum)
    step = min(max(minimum, learned.spread), interval)
    # What we know was itself found by asking, so it is a little late: begin early enough to notice.
    first = learned.early - step + lot * step
    end = learned.median + max(3 * learned.spread, minimum)
    if elapsed < first:
        return max(minimum, _in_even_steps(first - elapsed, _RAREST * interval))
    return _earlier(step if elapsed <= end else interval, lot, minimum)


def _in_even_steps(distance: float, longest: float) -> float:
    return distance / math.ceil(distance / longest) if longest > 0 else distance


def least(interval: float) -> float:
    """How closely a job may be asked for at most: a quarter of its interval, but not more often than twice a second."""
    return min(interval, max(interval / 4, _CLOSEST_SECONDS))


def lot_of(key: UUID) -> float:
    """The same for a key whenever it is asked, and evenly spread over keys."""
    return (key.int & 0xFFFF) / 0x10000


def _earlier(seconds: float, lot: float, minimum: float) -> float:
    """By up to a tenth."""
    return max(min(seconds, minimum), seconds * (1 - _JITTER * lot))


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between questions, and to the first one where the model's row says it.

    With an interval of its `own` in that row a model is asked for at just that: nothing learned applies.
    """

    initial: float | None
    interval: float
    own: bool


def pace_of(model: ProviderModel | None) -> Pace:
    initial = model.poll_initial_wait_seconds if model else None
    interval = model.poll_interval_seconds if model else None
    if interval is None:
        return Pace(initial, settings.POLL_INTERVAL_SECONDS, own=False)
    return Pace(initial, interval, own=True)


Kind = tuple[str, str, int]  # provider, its model, length of the clip


class Habits:
    """What is known of each kind of job, read again after some seconds. One for all lanes of a process."""

    def __init__(self) -> None:
        self._known: dict[Kind, tuple[datetime, Learned | None]] = {}

    def of(self, attempt: Attempt, now: datetime) -> Learned | None:
        kind = (attempt.provider_id, attempt.provider_model_id, attempt.seconds)
        read_at, learned = self._known.get(kind, (None, None))
        keep = timedelta(seconds=_KEEP_SECONDS if learned else _KEEP_NOTHING_SECONDS)
        if read_at is None or abs(now - read_at) > keep:
            learned = learn(_latest(kind))
            self._known[kind] = now, learned
        return learned

    def first_wait(self, attempt: Attempt, model: ProviderModel | None, now: datetime) -> float:
        """Seconds from acceptance to the first question."""
        pace = pace_of(model)
        if pace.initial is None:
            initial: float = settings.POLL_INITIAL_WAIT_SECONDS
            learned = None if pace.own else self.of(attempt, now)
            return initial if learned is None else _scheduled(attempt, 0.0, learned, pace)
        return pace.initial

    def wait(self, attempt: Attempt, pace: Pace, now: datetime) -> float:
        """Seconds until the attempt's job is asked for again."""
        if pace.own:
            return pace.interval
        elapsed = (now - attempt.accepted_at).total_seconds() if attempt.accepted_at else 0.0
        return _scheduled(attempt, elapsed, self.of(attempt, now), pace)


def _scheduled(attempt: Attempt, elapsed: float, learned: Learned | None, pace: Pace) -> float:
    lot = lot_of(attempt.pk)
    return next_poll(elapsed, learned, pace.interval, least(pace.interval), lot)


def _latest(kind: Kind) -> list[float]:
    provider_id, model, length = kind
    found = Attempt.objects.filter(
        provider_id=provider_id,
        provider_model_id=model,
        seconds=length,
        finished_at__isnull=False,
        accepted_at__isnull=False,
        error_code="",
    )
    newest = found.order_by("-finished_at").values_list("accepted_at", "finished_at")[:LATEST]
    return [(end - start).total_seconds() for start, end in newest if start and end]
