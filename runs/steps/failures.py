"""What follows an attempt that surely ended: the next provider, a wait, or the end of the task.

The only place that decides on another try. Holds and breakers live on the account's row, so one worker's
429 or refused key is known to all of them before their next dispatch.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet

from providers.errors import Code, Failure
from providers.models import Provider, ProviderModel
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import errors

_LONGEST_HOLD_SECONDS = 600.0
# What is wrong with the account and not with the shot: everybody waits, and nobody fails for it.
ACCOUNT_CODES = (Code.UNAUTHORIZED, Code.QUOTA_EXCEEDED)
# The event of a task whose video was refused and is made once more.
OUTPUT_REFUSED = "output_refused"


def after_failure(
    task: Task,
    attempt: Attempt,
    failure: Failure,
    run: Run,
    ended: Mapping[str, Any],
    now: datetime,
) -> Move:
    """What follows an attempt that surely ended: the next provider, a wait, or the end of the task."""
    if _may_be_made_again(task, failure, ended):
        why = f"{attempt.provider_id} refused what it had made ({failure.message}); it is made once more"
        return requeue(task, attempt, now, why, ended, reason="", kind=OUTPUT_REFUSED)
    if failure.retryable and run.routing_strategy == "failover":
        # For good, whatever its breaker says later: who failed this task is not asked for it again.
        tried = [*task.failed_providers, attempt.provider_id]
        why = f"{attempt.provider_id} failed ({failure.code}); the next provider is asked"
        return requeue(
            task, attempt, now, why, ended, reason="", values={"failed_providers": tried}
        )
    if ended["phase"] == Phase.REJECTED and failure.code in ACCOUNT_CODES:
        # The breaker is open now: another provider takes the task, or it waits with the others.
        why = f"{attempt.provider_id}: {failure.message}"
        return requeue(task, attempt, now, why, ended, reason=failure.message)
    if _may_wait(failure, ended) and task.tries < settings.MAX_ATTEMPTS:
        return _once_more(task, attempt, failure, f"{attempt.provider_id}: ", ended, now)
    return _end(task, attempt, failure, ended)


def after_our_failure(
    task: Task, attempt: Attempt, failure: Failure, ended: Mapping[str, Any], now: datetime
) -> Move:
    """Nothing was sent, and no other provider would help: the same again, a few times."""
    if task.tries < settings.MAX_ATTEMPTS:
        return _once_more(task, attempt, failure, "", ended, now)
    return _end(task, attempt, failure, ended)


def _once_more(
    task: Task,
    attempt: Attempt,
    failure: Failure,
    who: str,
    ended: Mapping[str, Any],
    now: datetime,
) -> Move:
    seconds = wait_seconds(task.tries, failure)
    due_at = now + timedelta(seconds=seconds)
    reason = f"{failure.message} Next try in {seconds:.0f} s."
    return requeue(task, attempt, due_at, f"{who}{failure.message}", ended, reason=reason)


def _end(task: Task, attempt: Attempt, failure: Failure, ended: Mapping[str, Any]) -> Move:
    return Move(
        task,
        Status.FAILED,
        failure.message,
        values=errors.of_task(failure),
        attempt=attempt,
        attempt_values=ended,
    )


def _may_wait(failure: Failure, ended: Mapping[str, Any]) -> bool:
    """Only what surely made no job is tried again by itself, and only where time alone may help."""
    return ended["phase"] == Phase.REJECTED and failure.code in (
        Code.RATE_LIMITED,
        Code.DEPENDENCY_ERROR,
        Code.SERVER_ERROR,
    )


def _may_be_made_again(task: Task, failure: Failure, ended: Mapping[str, Any]) -> bool:
    """Chance may have made what moderation refused, and not the shot; a second attempt is paid like the first."""
    if not failure.output_refused or ended["phase"] != Phase.FAILED:
        return False
    allowed = min(settings.OUTPUT_REFUSAL_RETRIES, 1)
    return bool(allowed > task.events.filter(kind=OUTPUT_REFUSED).count())


def wait_seconds(tries: int, failure: Failure) -> float:
    """What the provider asks for, else twice as long each time."""
    if failure.retry_after is not None:
        return min(failure.retry_after, _LONGEST_HOLD_SECONDS)
    doubled: float = settings.RETRY_BACKOFF_SECONDS * 2 ** min(max(tries - 1, 0), 10)
    return min(doubled, _LONGEST_HOLD_SECONDS)


def requeue(
    task: Task,
    attempt: Attempt,
    due_at: datetime,
    why: str,
    ended: Mapping[str, Any],
    *,
    reason: str,
    values: Mapping[str, Any] | None = None,
    kind: str = "requeued",
) -> Move:
    back = {
        "step": Step.SUBMIT,
        "due_at": due_at,
        "waiting_reason": reason[:255],
        "progress": None,
        "crashes": 0,
        **(values or {}),
    }
    return Move(
        task,
        Status.QUEUED,
        why,
        kind=kind,
        values=back,
        attempt=attempt,
        attempt_values=ended,
    )


# ---- holds and breakers ------------------------------------------------------------------------------


def note_refusals(refused: Sequence[tuple[Task, Attempt, Failure]], now: datetime) -> None:
    """Hold the accounts and models that refused, before the tasks go back to the queue."""
    for task, attempt, failure in refused:
        account = Provider.objects.filter(pk=attempt.provider_id)
        model = ProviderModel.objects.filter(
            provider_id=attempt.provider_id, name=attempt.provider_model_id
        )
        if failure.code == Code.RATE_LIMITED:
            _hold(account, now + timedelta(seconds=wait_seconds(task.tries, failure)), failure)
        elif failure.code in ACCOUNT_CODES:
            _trip(account, failure, now)
        elif failure.gone:
            _trip(model, failure, now)
        elif failure.code in (Code.DEPENDENCY_ERROR, Code.SERVER_ERROR):
            _trip(account, failure, now)


def note_acceptances(attempts: Sequence[Attempt]) -> None:
    """An accepted submit closes the breakers of its account and model."""
    for provider_id, model in {(found.provider_id, found.provider_model_id) for found in attempts}:
        closed = {"trips": 0, "not_before": None, "hold_reason": ""}
        Provider.objects.filter(pk=provider_id, trips__gt=0).update(**closed)
        ProviderModel.objects.filter(provider_id=provider_id, name=model, trips__gt=0).update(
            **closed
        )


def _hold(rows: "QuerySet[Any]", until: datetime, failure: Failure) -> None:
    """A 429 speaks to the whole account: nobody submits there before its time."""
    shorter = Q(not_before=None) | Q(not_before__lt=until)
    rows.filter(shorter).update(not_before=until, hold_reason=_words(failure))


def _trip(rows: "QuerySet[Any]", failure: Failure, now: datetime) -> None:
    """Open the breaker, twice as long as the last time. Thirty refusals of one moment are one."""
    for row in rows.filter(Q(not_before=None) | Q(not_before__lte=now)):
        seconds = min(settings.BREAKER_SECONDS * 2 ** min(row.trips, 10), _LONGEST_HOLD_SECONDS)
        until = now + timedelta(seconds=seconds)
        unchanged = rows.filter(pk=row.pk, trips=row.trips)
        unchanged.update(trips=F("trips") + 1, not_before=until, hold_reason=_words(failure))


def _words(failure: Failure) -> str:
    status = f" (HTTP {failure.http_status})" if failure.http_status else ""
    return f"{failure.message}{status}"[:255]
