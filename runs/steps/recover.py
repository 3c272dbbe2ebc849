"""After a submit without a usable answer: look for its job, send it again under its token, or leave it to a person.

Which of the three is the provider's class, a fact of the catalogue. It is never paid again on a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from cineflow.core.faults import fault
from providers import registry
from providers.base import (
    CannotLookUp,
    GenerationRequest,
    HttpCall,
    Listing,
    LookUpOutcome,
    NoAnswer,
    Search,
    SeenJob,
)
from providers.errors import RETRYABLE, Code, Failure, UnexpectedReply
from providers.http import PollClient
from providers.models import Provider, Recovery
from runs import callbacks, lifecycle
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import errors, terms

BATCH = 200
MAX_PAGES = 50
# A look-up that gets no answer is asked again this often before a person is asked instead.
MAX_ERRORS = 20
_AGAIN_SECONDS = 5.0
# The provider's clock may be behind ours by so much.
_SKEW_SECONDS = 120.0


def recoveries() -> dict[str, str]:
    """Each provider's class."""
    return dict(Provider.objects.values_list("pk", "recovery"))


def ambiguous(task: Task, attempt: Attempt, failure: Failure, recovery: str, now: datetime) -> Move:
    """An attempt whose answer was lost just now."""
    known = {
        "phase": Phase.AMBIGUOUS,
        "possibly_billed": True,
        **errors.of_attempt(failure),
    }
    plan = {
        Recovery.LOOK_UP: (Step.LOOK_UP, settings.LOOK_UP_DELAYS, "its job is looked for"),
        Recovery.TOKEN: (Step.RESEND, settings.RESEND_DELAYS, "it is sent again, same token"),
    }.get(Recovery(recovery))
    if plan is None:
        return undecided(task, attempt, failure.message, known)
    step, delays, words = plan
    due_at = max(now, attempt.sent_at + timedelta(seconds=delays[0]))
    reason = f"The answer to the submit was lost; {words}."
    values = {"step": step, "due_at": due_at, "waiting_reason": reason, "errors_in_a_row": 0}
    return Move(
        task,
        Status.RUNNING,
        f"{failure.message} {words}",
        kind="ambiguous",
        values=values,
        attempt=attempt,
        attempt_values=known,
    )


def undecided(
    task: Task, attempt: Attempt, what: str, known: Mapping[str, Any] | None = None
) -> Move:
    """Nobody but a person can tell: the task ends, and waits for a decision."""
    message = f"{what} The job may exist and may be billed. Decide: adopt its job id, submit again, or give up."
    values = {
        "error_code": Code.UNKNOWN_ERROR,
        "error_msg": message,
        "retryable": False,
        "possibly_billed": True,
    }
    return Move(
        task,
        Status.FAILED,
        message,
        kind="undecided",
        values=values,
        attempt=attempt,
        attempt_values=known or {"phase": Phase.AMBIGUOUS},
    )


# ---- class B: look-ups ---------------------------------------------------------------------------


def turn(client: PollClient, now: datetime) -> int:
    """Look for the jobs of one batch of lost answers, one listing a provider's model; returns how many there were."""
    lease = settings.POLL_LEASE_SECONDS
    tasks = lifecycle.claim([Step.LOOK_UP], limit=BATCH, lease=lease, now=now, more=["snapshot"])
    if not tasks:
        return 0
    attempts = {
        found.task_id: found
        for found in Attempt.objects.filter(task__in=tasks, phase=Phase.AMBIGUOUS)
    }
    by_model: dict[tuple[str, str], list[tuple[Task, Attempt]]] = {}
    for task in tasks:
        attempt = attempts[task.pk]
        by_model.setdefault((attempt.provider_id, attempt.provider_model_id), []).append(
            (task, attempt)
        )
    for (provider_id, model), lost in by_model.items():
        lost.sort(key=lambda pair: pair[1].sent_at)
        since = lost[0][1].sent_at - timedelta(seconds=_SKEW_SECONDS)
        found = list_jobs(client, provider_id, Search(model, since))
        fault("looked_up_before_write")
        _settle(lost, found, now)
    return len(tasks)


def list_jobs(
    client: PollClient, provider_id: str, search: Search
) -> list[SeenJob] | LookUpOutcome:
    """The provider's jobs that are searched for, or why they cannot be known."""
    since = search.since.timestamp()
    account, adapter = registry.account(provider_id), registry.adapter(provider_id)
    seen: list[SeenJob] = []
    page: str | None = None
    for _ in range(MAX_PAGES):
        call = adapter.look_up(account, search, page)
        outcome = _read(client, provider_id, call, page) if call else CannotLookUp()
        if not isinstance(outcome, Listing):
            return outcome
        seen += outcome.jobs
        page = outcome.next_page
        newest_first = not adapter.lists_only_ended
        past = newest_first and outcome.jobs and outcome.jobs[-1].created_at < since
        if page is None or past:
            return [job for job in seen if job.created_at >= since]
    # What was not read may hold the job: nothing is absent that was not looked at.
    words = f"The list of jobs is longer than the {MAX_PAGES} pages that were read."
    return NoAnswer(Failure(Code.UNKNOWN_ERROR, words))


def _read(client: PollClient, provider_id: str, call: HttpCall, page: str | None) -> LookUpOutcome:
    (answer,) = client.ask([call], timeout=settings.API_REQUEST_TIMEOUT_SECONDS)
    if isinstance(answer, NoAnswer):
        return answer
    try:
        return registry.adapter(provider_id).read_look_up(answer, page)
    except UnexpectedReply as error:
        return NoAnswer(Failure(Code.UNKNOWN_ERROR, f"The list of jobs cannot be read: {error}."))


def _settle(
    lost: Sequence[tuple[Task, Attempt]], found: list[SeenJob] | LookUpOutcome, now: datetime
) -> None:
    if isinstance(found, CannotLookUp):
        words = "The provider cannot be asked for the job of a lost answer."
        lifecycle.apply([undecided(task, attempt, words) for task, attempt in lost], now=now)
    elif isinstance(found, list):
        _match(lost, found, now)
    else:
        _unanswered(lost, now)


def _match(lost: Sequence[tuple[Task, Attempt]], jobs: Sequence[SeenJob], now: datetime) -> None:
    """Each lost attempt adopts the oldest job of its request that no attempt has yet."""
    provider_id = lost[0][1].provider_id
    taken = _taken(provider_id, jobs)
    oldest_first = sorted(jobs, key=lambda job: job.created_at)
    adapter = registry.adapter(provider_id)
    moving_on = _moving_on([task for task, _ in lost])
    for task, attempt in lost:
        found = _may_be_its(task, attempt, oldest_first, taken)
        if found and adapter.tells_apart:
            taken.add(found[0].job_id)
            _adopt(task, attempt, found[0], now)
        elif now < attempt.sent_at + timedelta(seconds=settings.LOOK_UP_DELAYS[-1]):
            _look_later(task, attempt, now)
        elif found:
            lifecycle.apply([_unsure(task, attempt, found)], now=now)
        elif adapter.lists_only_ended:
            words = "The provider's list does not show its job, nor any that still runs."
            lifecycle.apply([undecided(task, attempt, words)], now=now)
        else:
            goes_elsewhere = task.run_id in moving_on
            lifecycle.apply([_absent(task, attempt, now, goes_elsewhere=goes_elsewhere)], now=now)


def _taken(provider_id: str, jobs: Sequence[SeenJob]) -> set[str]:
    """Those that an attempt has."""
    names = [job.job_id for job in jobs]
    bound = Attempt.objects.filter(provider_id=provider_id, provider_job_id__in=names)
    return {job_id for job_id in bound.values_list("provider_job_id", flat=True) if job_id}


def _moving_on(tasks: Sequence[Task]) -> set[UUID]:
    """The runs that fail over: what surely failed at one provider goes to the next."""
    runs = Run.objects.filter(pk__in={task.run_id for task in tasks}, routing_strategy="failover")
    return set(runs.values_list("pk", flat=True))


def _may_be_its(
    task: Task, attempt: Attempt, jobs: Sequence[SeenJob], taken: set[str]
) -> list[SeenJob]:
    """Jobs of that very request that no attempt has. Where requests look alike, none made much later counts."""
    adapter, request = registry.adapter(attempt.provider_id), request_facts(task, attempt)
    sent = attempt.sent_at.timestamp()
    until = sent + settings.SUBMIT_LEASE_SECONDS + _SKEW_SECONDS
    return [
        job
        for job in jobs
        if job.job_id not in taken
        and sent - _SKEW_SECONDS <= job.created_at
        and (adapter.tells_apart or job.created_at <= until)
        and adapter.matches(request, job)
    ]


def _unsure(task: Task, attempt: Attempt, found: Sequence[SeenJob]) -> Move:
    """The list does not tell requests apart, and by the last look every other submit of then knows its job."""
    names = ", ".join(job.job_id for job in found[:5])
    return undecided(task, attempt, f"The answer was lost; its job may be one of these: {names}.")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job that no attempt has; `matches`: as far as the list tells, it was made from this very request."""

    job: SeenJob
    matches: bool


def sightings(client: PollClient, attempt: Attempt) -> list[Sighting] | LookUpOutcome:
    """What a look at the provider's list shows a person who is to decide, the likeliest first. Changes nothing."""
    since = attempt.sent_at - timedelta(seconds=_SKEW_SECONDS)
    found = list_jobs(client, attempt.provider_id, Search(attempt.provider_model_id, since))
    if not isinstance(found, list):
        return found
    adapter, request = registry.adapter(attempt.provider_id), request_facts(attempt.task, attempt)
    taken = _taken(attempt.provider_id, found)
    seen = [
        Sighting(job, adapter.matches(request, job)) for job in found if job.job_id not in taken
    ]
    return sorted(seen, key=lambda sighting: (not sighting.matches, sighting.job.created_at))


def request_facts(task: Task, attempt: Attempt) -> GenerationRequest:
    """The request of an attempt without its picture: what a list can be compared with."""
    return GenerationRequest(
        token=str(attempt.pk),
        model=attempt.provider_model_id,
        prompt=attempt.prompt,
        seconds=attempt.seconds,
        resolution=task.snapshot["resolution"],
        is_pro=task.snapshot["is_pro"],
        segment_index=task.segment_index,
        take=task.take,
        options=attempt.options,
        callback_url=callbacks.url_for(attempt),
    )


def _adopt(task: Task, attempt: Attempt, job: SeenJob, now: datetime) -> None:
    try:
        lifecycle.apply([adoption(task, attempt, job.job_id, now, links=job.links)], now=now)
    except IntegrityError:
        # Somebody bound that job in this very moment; the next look sees it.
        lifecycle.postpone([(task, {"due_at": now + timedelta(seconds=_AGAIN_SECONDS)})])


def adoption(
    task: Task,
    attempt: Attempt,
    job_id: str,
    now: datetime,
    *,
    links: Mapping[str, str] | None = None,
    **more: Any,
) -> Move:
    """The lost job is found: from here on it is polled like any other."""
    values = {
        **lifecycle.NO_ERROR,
        "step": Step.POLL,
        "due_at": now,
        "errors_in_a_row": 0,
        "waiting_reason": "",
        "crashes": 0,
        **more,
    }
    known = {
        "phase": Phase.ACCEPTED,
        "provider_job_id": job_id,
        "links": dict(links or {}),
        **terms.of_job(attempt, terms.model_of(attempt), now),
        "possibly_billed": False,
        **errors.NONE,
    }
    words = f"the job of the lost answer is adopted: {job_id[:80]}"
    return Move(
        task,
        Status.RUNNING,
        words,
        kind="adopted",
        values=values,
        attempt=attempt,
        attempt_values=known,
    )


def _absent(task: Task, attempt: Attempt, now: datetime, *, goes_elsewhere: bool) -> Move:
    words = "The last look-up shows that no job was made; it is submitted again."
    known = {"phase": Phase.ABSENT, "finished_at": now, "possibly_billed": False}
    if lifecycle.is_poison(task):
        return lifecycle.poisoned(task, attempt, known)
    if task.tries >= settings.MAX_ATTEMPTS:
        return _never_made(task, attempt, known)
    values = {"step": Step.SUBMIT, "due_at": now, "waiting_reason": "", "errors_in_a_row": 0}
    if goes_elsewhere and attempt.error_code in RETRYABLE:
        values["failed_providers"] = [*task.failed_providers, attempt.provider_id]
    return Move(
        task,
        Status.QUEUED,
        words,
        kind="absent",
        values=values,
        attempt=attempt,
        attempt_values=known,
    )


def _never_made(task: Task, attempt: Attempt, known: Mapping[str, Any]) -> Move:
    """A far end that answers no submit and makes no job of any is not asked for ever."""
    message = (
        f"{attempt.provider_id} made no job of {task.tries} submits; the last: {attempt.error_msg}"
    )
    values = errors.of_task(Failure(Code.SERVER_ERROR, message))
    return Move(
        task,
        Status.FAILED,
        message,
        kind="absent",
        values=values,
        attempt=attempt,
        attempt_values=known,
    )


def _look_later(task: Task, attempt: Attempt, now: datetime) -> None:
    """Until the last of the delays has passed; a look between two of them counts for the next."""
    later = [attempt.sent_at + timedelta(seconds=delay) for delay in settings.LOOK_UP_DELAYS]
    due_at = next((moment for moment in later if moment > now), now)
    values = {"due_at": due_at, "errors_in_a_row": 0, "crashes": task.crashes}
    asked_in_vain([(task, attempt, values)])


def asked_in_vain(postponed: Sequence[tuple[Task, Attempt, Mapping[str, Any]]]) -> None:
    """Write back and count a look-up or a re-send that settled nothing, where the claim still holds."""
    if not postponed:
        return
    with transaction.atomic():
        won = lifecycle.postpone([(task, values) for task, _, values in postponed])
        asked = [attempt.pk for task, attempt, _ in postponed if task.pk in won]
        Attempt.objects.filter(pk__in=asked, phase=Phase.AMBIGUOUS).update(asked=F("asked") + 1)


def _unanswered(lost: Sequence[tuple[Task, Attempt]], now: datetime) -> None:
    moves, postponed = [], []
    for task, attempt in lost:
        errors = task.errors_in_a_row + 1
        if errors >= MAX_ERRORS:
            moves.append(undecided(task, attempt, "The provider does not answer look-ups."))
        else:
            seconds = _AGAIN_SECONDS * min(errors, 12)
            values = {
                "errors_in_a_row": errors,
                "due_at": now + timedelta(seconds=seconds),
                "crashes": task.crashes,
            }
            postponed.append((task, values))
    lifecycle.postpone(postponed)
    lifecycle.apply_apart(moves, now=now)


# ---- class A: the same submit again -------------------------------------------------------------------


def claim_resends(limit: int, *, now: datetime, suspects: bool) -> list[tuple[Task, Attempt]]:
    """Lost answers whose submit may be sent again under its token; the attempt was committed long ago."""
    tasks = lifecycle.claim(
        [Step.RESEND],
        limit=limit,
        lease=settings.SUBMIT_LEASE_SECONDS,
        now=now,
        suspects=suspects,
        more=["snapshot"],
    )
    if not tasks:
        return []
    attempts = {
        found.task_id: found
        for found in Attempt.objects.filter(task__in=tasks, phase=Phase.AMBIGUOUS)
    }
    poison = [task for task in tasks if lifecycle.is_poison(task)]
    words = "Worker after worker died over this submit."
    lifecycle.apply([undecided(task, attempts[task.pk], words) for task in poison], now=now)
    return [(task, attempts[task.pk]) for task in tasks if not lifecycle.is_poison(task)]


def not_resent(task: Task, attempt: Attempt, now: datetime) -> Move | dict[str, Any]:
    """Anything but an acceptance of a re-send changes nothing: a 429 or 5xx says nothing of the first one."""
    asked = attempt.asked + 1
    if asked >= len(settings.RESEND_DELAYS):
        return undecided(
            task, attempt, "The submit was sent again several times and never answered."
        )
    return {"due_at": now + timedelta(seconds=settings.RESEND_DELAYS[asked])}
