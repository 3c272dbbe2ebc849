"""Passing a wish to cancel on to the provider, where it takes one. Asked once: a job that goes on is paid and kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from providers import registry
from providers.base import Canceled, HttpAnswer, HttpCall
from providers.http import PollClient
from providers.models import Provider
from runs import lifecycle
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Status, Step, Task


def turn(client: PollClient, polled: Sequence[tuple[Task, Attempt]], now: datetime) -> set[UUID]:
    """Ask for the end of those whose end is wished; returns the tasks that ended by it."""
    wished = [pair for pair in polled if _is_wished(*pair)]
    if not wished:
        return set()
    able = set(Provider.objects.filter(can_cancel=True).values_list("pk", flat=True))
    asked = [
        (task, attempt, call)
        for task, attempt in wished
        if attempt.provider_id in able and (call := _call(attempt))
    ]
    Attempt.objects.filter(pk__in=[attempt.pk for _, attempt, _ in asked]).update(
        cancel_asked_at=now
    )
    answers = client.ask([call for *_, call in asked], timeout=settings.API_REQUEST_TIMEOUT_SECONDS)
    moves = [
        canceled(task, attempt, now)
        for (task, attempt, _), answer in zip(asked, answers, strict=True)
        if _has_ended(attempt, answer)
    ]
    return lifecycle.apply(moves, now=now)


def _is_wished(task: Task, attempt: Attempt) -> bool:
    wished = task.cancel_requested_at is not None and attempt.cancel_asked_at is None
    return wished and task.step == Step.POLL


def _call(attempt: Attempt) -> HttpCall | None:
    account, adapter = registry.account(attempt.provider_id), registry.adapter(attempt.provider_id)
    return adapter.cancel(account, attempt.job)


def _has_ended(attempt: Attempt, answer: Any) -> bool:
    if not isinstance(answer, HttpAnswer):
        return False
    return isinstance(registry.adapter(attempt.provider_id).read_cancel(answer), Canceled)


def canceled(task: Task, attempt: Attempt, now: datetime) -> Move:
    known = {"phase": Phase.CANCELED, "finished_at": now}
    why = f"canceled at {attempt.provider_id}"
    return Move(
        task,
        Status.CANCELED,
        why,
        values=lifecycle.CANCELED,
        attempt=attempt,
        attempt_values=known,
    )
