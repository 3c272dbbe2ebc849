"""Asking how jobs go: hundreds at once, outside any transaction. A poll is never an attempt and writes no event."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from cineflow.core.faults import fault
from providers import registry
from providers.base import (
    AskNext,
    Failed,
    Finished,
    HttpAnswer,
    HttpCall,
    NoAnswer,
    PollAnswer,
    PollOutcome,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from providers.http import PollClient
from providers.messages import clean, hide
from providers.models import ProviderModel
from runs import lifecycle
from runs.freezing import thawed
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import cancels, errors
from runs.steps.download import Downloader
from runs.steps.failures import after_failure, requeue
from runs.steps.fetching import Fetching
from runs.steps.schedule import Habits, Pace, pace_of

logger = logging.getLogger(__name__)

BATCH = 500
# A job that its provider says it does not know, this often in a row, is lost.
GONE_AFTER = 3
# How often a provider that does not answer is asked for a timed-out job.
ASK_ONCE_TRIES = 5
_LONGEST_BACKOFF_SECONDS = 60.0


# Of an attempt, by all that may come of a poll; any other field costs a query when it is looked at.
_NEEDED = (
    *("task", "number", "phase", "provider_id", "provider_model_id", "provider_job_id", "links"),
    *("prompt", "seconds", "accepted_at", "deadline_at", "cancel_asked_at"),
)


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds to the next question about one job: after an answer, and after its first error."""

    after_answer: float
    after_error: float


def turn(
    client: PollClient,
    now: datetime,
    habits: Habits | None = None,
    downloader: Downloader | None = None,
) -> int:
    """Ask for one batch of due jobs; returns how many there were.

    A `downloader` with room gets the finished ones at once, under the claim that they have.
    """
    began = time.monotonic()
    tasks = _claim(now, suspects=False)
    _ask_for(client, tasks, now, habits or Habits(), downloader)
    # A job at whose polls workers died is asked for with nothing beside it.
    now += timedelta(seconds=time.monotonic() - began)
    alone = _claim(now, suspects=True)
    poison = [task for task in alone if lifecycle.is_poison(task)]
    _set_aside(poison, now)
    _ask_for(client, [task for task in alone if task not in poison], now, habits or Habits())
    return len(tasks) + len(alone)


def _claim(now: datetime, *, suspects: bool) -> list[Task]:
    return lifecycle.claim(
        [Step.POLL, Step.ASK_ONCE],
        limit=BATCH,
        lease=settings.POLL_LEASE_SECONDS,
        now=now,
        suspects=suspects,
    )


def _set_aside(tasks: Sequence[Task], now: datetime) -> None:
    # With an error: else it would be taken for a job that had finished, and be learned from.
    failure = Failure(Code.TIMEOUT, "Worker after worker died while asking for the job.")
    ended = {"phase": Phase.FAILED, "finished_at": now, **errors.of_attempt(failure)}
    attempts = _latest_attempts(tasks)
    moves = [lifecycle.poisoned(task, attempts[task.pk], ended) for task in tasks]
    lifecycle.apply_apart(moves, now=now)


def _ask_for(
    client: PollClient,
    tasks: Sequence[Task],
    now: datetime,
    habits: Habits,
    downloader: Downloader | None = None,
) -> None:
    if not tasks:
        return
    attempts = _latest_attempts(tasks)
    started = time.monotonic()
    outcomes = dict(zip(tasks, _ask(client, [attempts[task.pk] for task in tasks]), strict=True))
    _note_lateness(tasks, now + timedelta(seconds=time.monotonic() - started))
    # Only after the poll: some providers delete a finished job, paid as it is, by the call that cancels a waiting one.
    unfinished = [
        (task, attempts[task.pk])
        for task, outcome in outcomes.items()
        if isinstance(outcome, Working) and outcome.cancelable
    ]
    canceled = cancels.turn(client, unfinished, now)
    fault("polled_before_write", *(attempt.prompt for attempt in attempts.values()))
    needed = Run.objects.only("routing_strategy", "output_folder")
    runs = needed.in_bulk({task.run_id for task in tasks})
    paces = _paces(attempts.values())
    moves, postponed = [], []
    for task, outcome in outcomes.items():
        if task.pk in canceled:
            continue
        attempt = attempts[task.pk]
        pace = paces[attempt.provider_id, attempt.provider_model_id]
        wait = Wait(habits.wait(attempt, pace, now), pace.interval)
        decided = _decide(task, attempt, outcome, runs[task.run_id], wait, now)
        if isinstance(decided, Move):
            moves.append(decided)
        else:
            postponed.append((task, decided))
    lifecycle.postpone(postponed)
    # From here on, not from `now`: one slow answer among them may have taken longer than the lease.
    written = now + timedelta(seconds=time.monotonic() - started)
    kept = _keep_finished(moves, downloader.room(), written) if downloader else []
    won = lifecycle.apply_apart(moves, now=now)
    if downloader:
        downloader.hand_over(
            [
                _fetching(move, attempts[move.task.pk], runs[move.task.run_id])
                for move in kept
                if move.task.pk in won
            ]
        )


def _keep_finished(moves: list[Move], room: int, now: datetime) -> list[Move]:
    """Of so many finished jobs the move keeps the claim, for their download; these are returned."""
    lease = {"lease_until": now + timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS)}
    finished = [place for place, move in enumerate(moves) if _may_be_kept(move)][:room]
    for place in finished:
        moves[place] = replace(moves[place], values={**moves[place].values, **lease})
    return [moves[place] for place in finished]


def _may_be_kept(move: Move) -> bool:
    """A suspect is claimed by its download, when there is nothing beside it."""
    crashes = move.values.get("crashes", move.task.crashes)
    return move.kind == "finished" and crashes < lifecycle.suspected(Step.DOWNLOAD)


def _fetching(move: Move, attempt: Attempt, run: Run) -> Fetching:
    """The download of a finished job, its rows as they were just written."""
    for row, values in ((move.task, move.values), (attempt, move.attempt_values)):
        for name, value in values.items():
            setattr(row, name, value)
    return Fetching(move.task, attempt, run.output_folder)


def _note_lateness(tasks: Sequence[Task], answered: datetime) -> None:
    """For who listens: the seconds from the moment at which each job was due until the batch was answered."""
    if logger.isEnabledFor(logging.DEBUG):
        late = [(answered - task.due_at).total_seconds() for task in tasks if task.due_at]
        logger.debug("asked for %d jobs", len(late), extra={"late": late})


def _latest_attempts(tasks: Sequence[Task]) -> dict[UUID, Attempt]:
    """The attempt with the job that is asked for: always a task's newest."""
    if not tasks:
        return {}
    keys = [task.pk for task in tasks]
    known = Attempt.objects.filter(task__in=keys, provider_job_id__isnull=False)
    found = known.order_by("number").only(*_NEEDED)
    return {attempt.task_id: attempt for attempt in found}


def _ask(client: PollClient, attempts: Sequence[Attempt]) -> list[PollOutcome]:
    """Ask all of them at once; and where a job's end is told at another address, there as well."""
    asked = list(attempts)
    outcomes = _round(client, asked, [_call(attempt) for attempt in asked], read=_read_poll)
    ended = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, AskNext)]
    results = _round(
        client,
        [asked[place] for place in ended],
        [outcomes[place].call for place in ended],
        read=_read_result,
    )
    for place, result in zip(ended, results, strict=True):
        outcomes[place] = result
    return outcomes


def _round(
    client: PollClient,
    attempts: Sequence[Attempt],
    calls: Sequence[HttpCall | NoAnswer],
    *,
    read: Callable[[Attempt, HttpAnswer], PollAnswer],
) -> list[Any]:
    sent = [call for call in calls if isinstance(call, HttpCall)]
    answers = iter(client.ask(sent, timeout=settings.API_REQUEST_TIMEOUT_SECONDS))
    return [
        _read(attempt, next(answers) if isinstance(call, HttpCall) else call, read)
        for attempt, call in zip(attempts, calls, strict=True)
    ]


def _call(attempt: Attempt) -> HttpCall | NoAnswer:
    try:
        account, adapter = (
            registry.account(attempt.provider_id),
            registry.adapter(attempt.provider_id),
        )
        return adapter.poll(account, attempt.job)
    except Exception as error:  # noqa: BLE001 - a bug in one must not stop the others
        return _our_fault(attempt, error)


def _read_poll(attempt: Attempt, answer: HttpAnswer) -> PollAnswer:
    account = registry.account(attempt.provider_id)
    return registry.adapter(attempt.provider_id).read_poll(account, attempt.job, answer)


def _read_result(attempt: Attempt, answer: HttpAnswer) -> PollAnswer:
    account = registry.account(attempt.provider_id)
    return registry.adapter(attempt.provider_id).read_result(account, attempt.job, answer)


def _read(
    attempt: Attempt,
    answer: HttpAnswer | NoAnswer,
    read: Callable[[Attempt, HttpAnswer], PollAnswer],
) -> PollAnswer:
    if isinstance(answer, NoAnswer):
        return answer
    # A provider may quote what we sent, even in its word for a state.
    hidden = attempt.prompt, registry.account(attempt.provider_id).key
    try:
        outcome = read(attempt, answer)
        if isinstance(outcome, Failed | NoAnswer):
            return replace(outcome, failure=hide(outcome.failure, *hidden))
        return outcome
    except UnexpectedReply as error:
        words = clean(f"{attempt.provider_id} sent an answer we cannot read: {error}", *hidden)
        logger.warning("attempt %s: %s", attempt.pk, words)
        return NoAnswer(Failure(Code.UNKNOWN_ERROR, words))
    except Exception as error:  # noqa: BLE001 - as above
        return _our_fault(attempt, error)


def _our_fault(attempt: Attempt, error: Exception) -> NoAnswer:
    """One job that trips over a bug must not keep the five hundred beside it from being asked for."""
    logger.error("attempt %s could not be polled", attempt.pk, exc_info=error)
    return NoAnswer(Failure(Code.UNKNOWN_ERROR, f"The poll failed here: {type(error).__name__}."))


def _paces(attempts: Collection[Attempt]) -> dict[tuple[str, str], Pace]:
    kinds = {(attempt.provider_id, attempt.provider_model_id) for attempt in attempts}
    named = ProviderModel.objects.filter(name__in={name for _, name in kinds})
    models = named.only("provider", "name", "poll_initial_wait_seconds", "poll_interval_seconds")
    known = {(model.provider_id, model.name): model for model in models}
    return {kind: pace_of(known.get(kind)) for kind in kinds}


def _decide(
    task: Task,
    attempt: Attempt,
    outcome: PollOutcome,
    run: Run,
    wait: Wait,
    now: datetime,
) -> Move | dict[str, Any]:
    """A move, or the columns of a task that goes on being polled."""
    if isinstance(outcome, Finished):
        return _finished(task, attempt, outcome, now)
    if task.step == Step.ASK_ONCE:
        return _asked_once(task, attempt, outcome, run, now)
    if isinstance(outcome, Failed) and outcome.failure.code == Code.CANCELED:
        return cancels.canceled(task, attempt, now)
    if isinstance(outcome, Failed):
        ended = {"phase": Phase.FAILED, "finished_at": now, **errors.of_attempt(outcome.failure)}
        return after_failure(task, attempt, outcome.failure, run, ended, now)
    if isinstance(outcome, NoAnswer) and outcome.gone and task.errors_in_a_row + 1 >= GONE_AFTER:
        return _lost(task, attempt, run, now)
    if attempt.deadline_at and now >= attempt.deadline_at:
        return _timed_out(task, attempt, now)
    return _again(task, attempt, outcome, wait, now)


def _again(
    task: Task, attempt: Attempt, outcome: Working | NoAnswer, wait: Wait, now: datetime
) -> dict[str, Any]:
    if isinstance(outcome, Working):
        seconds = max(wait.after_answer, outcome.retry_after or 0)
        values = {"errors_in_a_row": 0, "progress": outcome.progress}
    else:
        errors = task.errors_in_a_row + 1
        seconds = outcome.failure.retry_after or min(
            wait.after_error * 2 ** min(errors - 1, 6), _LONGEST_BACKOFF_SECONDS
        )
        values = {"errors_in_a_row": errors, "progress": task.progress}
    due_at = now + timedelta(seconds=seconds)
    # The last question is asked at the deadline, not after it.
    return {**values, "due_at": min(due_at, attempt.deadline_at) if attempt.deadline_at else due_at}


def _finished(task: Task, attempt: Attempt, outcome: Finished, now: datetime) -> Move:
    values: dict[str, Any] = {"step": Step.DOWNLOAD, "due_at": now}
    # A download that only wanted a fresh address goes on counting its own errors and crashes.
    if attempt.phase != Phase.DOWNLOADING:
        values |= {"errors_in_a_row": 0, "crashes": 0}
    known = {"phase": Phase.DOWNLOADING, "output": dict(outcome.output), "finished_at": now}
    known |= errors.NONE
    if outcome.cost is not None:
        known |= {"cost": outcome.cost}
    why = f"finished at {attempt.provider_id}"
    return Move(
        task,
        Status.RUNNING,
        why,
        kind="finished",
        values=values,
        attempt=attempt,
        attempt_values=known,
    )


def _asked_once(
    task: Task, attempt: Attempt, outcome: PollOutcome, run: Run, now: datetime
) -> Move | dict[str, Any]:
    """The timed-out job is not done. Only its provider's word leads to a new one: silence pays for nothing."""
    if not isinstance(outcome, NoAnswer) or outcome.gone:
        why = "the old job is still not done; a new one is submitted"
        values = thawed(run, task)
        return requeue(task, attempt, now, why, {}, reason="", values=values)
    errors_now = task.errors_in_a_row + 1
    if errors_now < ASK_ONCE_TRIES:
        wait = settings.POLL_INTERVAL_SECONDS * 2 ** min(errors_now - 1, 3)
        return {"errors_in_a_row": errors_now, "due_at": now + timedelta(seconds=wait)}
    message = (
        f"{attempt.provider_id} does not say whether the old job is done: {outcome.failure.message}"
    )
    failure = Failure(Code.TIMEOUT, message)
    return Move(task, Status.FAILED, message, values=errors.of_task(failure), attempt=attempt)


def _lost(task: Task, attempt: Attempt, run: Run, now: datetime) -> Move:
    if attempt.cancel_asked_at:
        # Some take a job that waits out of their books when they are asked to end it.
        return cancels.canceled(task, attempt, now)
    failure = Failure(
        Code.DEPENDENCY_ERROR, f"{attempt.provider_id} does not know the job any more."
    )
    ended = {"phase": Phase.FAILED, "finished_at": now, **errors.of_attempt(failure)}
    return after_failure(task, attempt, failure, run, ended, now)


def _timed_out(task: Task, attempt: Attempt, now: datetime) -> Move:
    message = (
        f"{attempt.provider_id} did not finish the job in time; "
        "a retry asks for it once more before paying again."
    )
    failure = Failure(Code.TIMEOUT, message)
    ended = {"phase": Phase.FAILED, "finished_at": now, **errors.of_attempt(failure)}
    return Move(
        task,
        Status.FAILED,
        message,
        values=errors.of_task(failure),
        attempt=attempt,
        attempt_values=ended,
    )
