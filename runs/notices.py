"""Webhooks of providers: verified, kept once, and only ever a reason to poll.

A notice may come before the answer to its submit, after it, or instead of it. In the last case the job's id, which
got lost with the answer, is adopted: the address that was called names the attempt, and the signature its provider.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import Q

from cineflow.core.errors import Conflict
from providers import registry
from providers.base import HttpAnswer, Unverified
from providers.base import Notice as Told
from providers.http import Transport
from runs import callbacks, decisions, lifecycle
from runs.models import Attempt, Notice, Phase, Status, Step, Task
from runs.steps import recover

logger = logging.getLogger(__name__)

BATCH = 200
KEPT = timedelta(days=7)
# An answer to a submit comes within minutes or never.
_WAITS_FOR_ITS_ATTEMPT = timedelta(hours=1)
_KEYS_SECONDS = 24 * 3600.0
_NEW_KEYS_SECONDS = 60.0
_FETCH_SECONDS = 5.0


# ---- in the web process ------------------------------------------------------------------------------


def receive(
    provider_id: str, token: str, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> bool:
    """Keep a notice; whether its address was of our making. Raises `Unverified`.

    Header names are lower case.
    """
    named = callbacks.attempt_id(token)
    attempt = Attempt.objects.filter(pk=named, provider_id=provider_id).first() if named else None
    if attempt is None:
        return False
    told = _verified(provider_id, headers, body, now)
    notice = Notice(
        provider_id=provider_id,
        event_id=told.event_id[:255],
        attempt=attempt,
        job_id=told.job_id,
        received_at=now,
    )
    Notice.objects.bulk_create([notice], ignore_conflicts=True)
    return True


def _verified(provider_id: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Told:
    adapter = registry.adapter(provider_id)
    secret = registry.notice_secret(provider_id) or _keys.of(provider_id)
    try:
        return adapter.read_notice(secret, headers, body, now)
    except Unverified:
        # A provider may have begun to sign with a new key.
        renewed = "" if registry.notice_secret(provider_id) else _keys.renewed(provider_id)
        if not renewed or renewed == secret:
            raise
        return adapter.read_notice(renewed, headers, body, now)


class _Keys:
    """The keys that providers publish, kept for a day; asked for anew once a minute at the most."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, str]] = {}

    def of(self, provider_id: str) -> str:
        at, keys = self._kept.get(provider_id, (0.0, ""))
        return keys if keys and time.monotonic() - at < _KEYS_SECONDS else self.renewed(provider_id)

    def renewed(self, provider_id: str) -> str:
        at, keys = self._kept.get(provider_id, (-_NEW_KEYS_SECONDS, ""))
        if time.monotonic() - at >= _NEW_KEYS_SECONDS:
            keys = _published(provider_id) or keys
            self._kept[provider_id] = (time.monotonic(), keys)
        return keys


_keys = _Keys()


def _published(provider_id: str) -> str:
    call = registry.adapter(provider_id).signing_keys(registry.account(provider_id))
    answer = Transport(timeout=_FETCH_SECONDS).submit(call) if call else None
    if isinstance(answer, HttpAnswer) and answer.status == 200:
        return answer.body.decode(errors="replace")
    logger.warning("the keys that %s signs its notices with cannot be had", provider_id)
    return ""


def prune(*, now: datetime) -> None:
    Notice.objects.filter(received_at__lt=now - KEPT).delete()


# ---- in a worker -------------------------------------------------------------------------------------


def turn(now: datetime) -> int:
    """Heed the notices that came in; returns how many were done with."""
    waiting = Notice.objects.filter(handled_at=None).select_related("attempt__task")
    done = [notice.pk for notice in waiting[:BATCH] if _heed(notice, now)]
    Notice.objects.filter(pk__in=done).update(handled_at=now)
    return len(done)


def _heed(notice: Notice, now: datetime) -> bool:
    """Whether there is nothing more to do about it."""
    match notice.attempt.phase:
        case Phase.ACCEPTED if notice.attempt.provider_job_id == notice.job_id:
            _poll_now(notice.attempt.task, now)
            return True
        case Phase.AMBIGUOUS:
            return _adopt(notice, now)
        case Phase.SENDING:
            return now - notice.received_at > _WAITS_FOR_ITS_ATTEMPT
    return True


def _poll_now(task: Task, now: datetime) -> None:
    unclaimed = Q(lease_until=None) | Q(lease_until__lte=now)
    Task.objects.filter(unclaimed, pk=task.pk, step=Step.POLL, due_at__gt=now).update(due_at=now)


def _adopt(notice: Notice, now: datetime) -> bool:
    attempt, task = notice.attempt, notice.attempt.task
    try:
        if task.status == Status.FAILED:
            why = f"by a notice of {notice.provider_id}"
            decisions.decide(task.pk, "adopt", job_id=notice.job_id, why=why, now=now)
            return True
        # Somebody may be looking the job up in this moment: then this is taken up again in the next turn.
        return bool(lifecycle.apply([recover.adoption(task, attempt, notice.job_id, now)], now=now))
    except (Conflict, IntegrityError):
        logger.warning("the job that a notice of %s names is another attempt's", notice.provider_id)
        return True
