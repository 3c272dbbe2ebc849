"""The paid call. Its attempt is committed first, it is sent once, and its answer is written as it arrives."""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from cineflow.core import clock, ids
from providers import registry
from providers.base import Accepted, Account, Adapter, Ambiguous, GenerationRequest, Rejected, SubmitOutcome
from providers.errors import Code, Failure, UnexpectedReply
from providers.http import NotSent, SentNoAnswer, Transport
from providers.models import Provider, ProviderModel
from providers.routing import Candidate, Decision, Strategy, as_json, route
from runs import lifecycle, start_images
from runs.candidates import Catalogue, catalogue, why_busy
from runs.lifecycle import Move
from runs.models import ACTIVE, Attempt, Phase, Run, Status, Step, Task
from runs.steps.check import draw, shot_of

logger = logging.getLogger(__name__)

# Answers are written together when they arrive within this time: a crash then forgets few job ids.
GROUP_ANSWERS_SECONDS = 0.05
_DISPATCH_LOCK = 0x43494E45  # any constant; names the advisory lock
_BUSY_SECONDS = 1.0
_LONGEST_HOLD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Sending:
    """An attempt that is committed and about to be sent."""

    task: Task
    attempt: Attempt
    committed: float  # time.monotonic(), which goes on while a process is stopped


@dataclass(frozen=True, slots=True)
class TooLate:
    """Not sent: so long after the commit that somebody may have taken it for lost."""


Outcome = SubmitOutcome | TooLate


class Submitter:
    """Claims as many tasks as there are free senders and limits allow, and sends them side by side."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.senders = ThreadPoolExecutor(settings.SENDERS, thread_name_prefix="sender")
        self.pending: dict[Future[Outcome], Sending] = {}

    def turn(self, now: datetime) -> int:
        """One pass: write what was answered, then claim and send. Returns how much was done."""
        answered = self._answered()
        write_answers(answered, now=now)
        sendings = claim(settings.SENDERS - len(self.pending), now=now)
        for sending in sendings:
            self.pending[self.senders.submit(send, self.transport, sending)] = sending
        return len(answered) + len(sendings) + len(self.pending)

    def _answered(self) -> list[tuple[Sending, Outcome]]:
        if not self.pending:
            return []
        done, _ = wait(self.pending, timeout=GROUP_ANSWERS_SECONDS)
        return [(self.pending.pop(future), future.result()) for future in done]

    def close(self) -> None:
        """Let what is on the wire come back, and write it: an answer thrown away is a job nobody owns."""
        self.senders.shutdown(wait=True)
        answered = [(sending, future.result()) for future, sending in self.pending.items()]
        self.pending.clear()
        write_answers(answered, now=clock.now())


# ---- claim: which tasks, which provider, and the attempt that is committed before the call ---------


def claim(limit: int, *, now: datetime) -> list[Sending]:
    """Commit an attempt for up to `limit` due tasks within every limit; they are to be sent at once."""
    if limit <= 0 or not _waiting_runs().exists():
        return []
    with transaction.atomic():
        _lock_dispatch()
        runs = lifecycle.lock_runs(_waiting_runs().values_list("pk", flat=True))
        desk = _Desk(runs, limit=limit, now=now)
        desk.serve()
        won = lifecycle.apply(desk.moves, now=now)
    committed = time.monotonic()
    return [
        Sending(_as_sent(move), move.new_attempt, committed)
        for move in desk.moves
        if move.new_attempt and move.task.pk in won
    ]


def _waiting_runs() -> Any:
    return Run.objects.filter(status__in=ACTIVE, queued__gt=0, dry_run=False)


def _lock_dispatch() -> None:
    """One dispatcher at a time, so that limits hold over all workers. SQLite's transactions are so anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_DISPATCH_LOCK])


def _as_sent(move: Move) -> Task:
    """The task as the claim left it: what the write of its answer has to expect."""
    move.task.fence += 1
    move.task.status = Status.RUNNING
    move.task.attempt_count += 1
    move.task.tries += 1
    return move.task


class _Desk:
    """One dispatch: hands free slots to runs in turn, routes their tasks, and collects the moves."""

    def __init__(self, runs: Mapping[UUID, Run], *, limit: int, now: datetime) -> None:
        self.runs = runs
        self.now = now
        self.flying = lifecycle.in_flight()
        self.load: dict[str, int] = {}
        self.by_run: dict[UUID, int] = {}
        for (run_id, provider_id), number in self.flying.items():
            self.load[provider_id] = self.load.get(provider_id, 0) + number
            self.by_run[run_id] = self.by_run.get(run_id, 0) + number
        self.left = min(limit, settings.MAX_CONCURRENT_TASKS - sum(self.flying.values()))
        self.catalogue: Catalogue = catalogue(
            with_latency=any(run.routing_strategy == "latency" for run in runs.values())
        )
        self.moves: list[Move] = []

    def serve(self) -> None:
        waiting = sorted(self.runs.values(), key=lambda run: run.created_at)
        for place, run in enumerate(waiting):
            share = -(-max(self.left, 0) // (len(waiting) - place))
            self._serve_run(run, share)

    def _serve_run(self, run: Run, share: int) -> None:
        free = min(share, run.concurrency - self.by_run.get(run.pk, 0))
        reason = self._reason_to_wait(run, free)
        if reason != run.waiting_reason:
            Run.objects.filter(pk=run.pk).update(waiting_reason=reason)
            run.waiting_reason = reason
        if free <= 0 or reason:
            return
        for task in self._due_tasks(run, free):
            self._serve_task(run, task)

    def _reason_to_wait(self, run: Run, free: int) -> str:
        if self.left <= 0:
            return f"{settings.MAX_CONCURRENT_TASKS} paid jobs are in flight over all runs (MAX_CONCURRENT_TASKS)"
        if free <= 0:
            return f"the run has its {run.concurrency} jobs in flight (concurrency)"
        usable = [found for found in self._candidates(run) if found.enabled and found.configured and not found.dead]
        reasons = [why_busy(found) for found in usable]
        return "; ".join(sorted(set(reasons)))[:255] if reasons and all(reasons) else ""

    def _candidates(self, run: Run) -> list[Candidate]:
        found = self.catalogue.candidates(run.model_id, now=self.now, load=self.load)
        if run.routing_strategy == "manual":
            return [candidate for candidate in found if candidate.provider_id == run.provider_id]
        return found

    def _due_tasks(self, run: Run, limit: int) -> list[Task]:
        free = Q(lease_until=None) | Q(lease_until__lte=self.now)
        due = run.tasks.filter(free, step=Step.SUBMIT, due_at__lte=self.now)
        # Written to the database's own order of the index, so that ten thousand waiting tasks are not sorted.
        return list(due.order_by("due_at").select_for_update(skip_locked=True)[:limit])

    def _serve_task(self, run: Run, task: Task) -> None:
        candidates = self.catalogue.candidates(run.model_id, now=self.now, load=self.load)
        tried = [found for found in candidates if found.provider_id in task.failed_providers]
        decision = route(
            cast(Strategy, run.routing_strategy),
            candidates,
            shot_of(task),
            provider_id=run.provider_id,
            failed=frozenset((found.provider_id, found.provider_model_id) for found in tried),
            draw=draw(task),
        )
        if decision.choice:
            self._take(run, task, decision, decision.choice)
        elif decision.wait:
            values = {"due_at": self._when_free(candidates), "waiting_reason": decision.reason[:255]}
            lifecycle.postpone([(task, {**values, "routing": as_json(decision)})])
        else:
            self.moves.append(_unroutable(task, decision))

    def _when_free(self, candidates: Sequence[Candidate]) -> datetime:
        """A hold has an end that is known; a slot may come free at any moment."""
        held = [found.held_until for found in candidates if found.held_until and found.free_slots != 0]
        soon = self.now + timedelta(seconds=_BUSY_SECONDS)
        return max(soon, min(held)) if held else soon

    def _take(self, run: Run, task: Task, decision: Decision, choice: Candidate) -> None:
        lease = self.now + timedelta(seconds=settings.SUBMIT_LEASE_SECONDS)
        attempt = Attempt(
            id=ids.new_id(),
            task=task,
            run=run,
            number=task.attempt_count + 1,
            phase=Phase.SENDING,
            provider_id=choice.provider_id,
            provider_model_id=choice.provider_model_id,
            prompt=task.full_prompt,
            seconds=task.snapshot["duration_seconds"],
            sent_at=self.now,
        )
        values = {
            **{"fence": task.fence + 1, "step": Step.SETTLE, "due_at": lease, "lease_until": lease},
            **{"tries": task.tries + 1, "waiting_reason": "", "routing": as_json(decision), "progress": None},
            **{"provider_id": choice.provider_id, "provider_model_id": choice.provider_model_id},
            "started_at": task.started_at or self.now,
        }
        why = f"submitted to {choice.provider_id} {choice.provider_model_id}"
        self.moves.append(Move(task, Status.RUNNING, why, kind="sending", values=values, new_attempt=attempt))
        self.load[choice.provider_id] = self.load.get(choice.provider_id, 0) + 1
        self.left -= 1


def _unroutable(task: Task, decision: Decision) -> Move:
    """Nobody is left to ask: for want of a provider, or because everyone asked has failed."""
    failure = Failure(Code.NO_PROVIDER, decision.reason)
    if task.failed_providers:
        last = task.attempts.exclude(error_code="").order_by("-number").first()
        if last:
            failure = Failure(Code(last.error_code), f"{last.error_msg} ({decision.reason})")
    return Move(task, Status.FAILED, failure.message, values={"routing": as_json(decision), **error_of(failure)})


def error_of(failure: Failure) -> dict[str, Any]:
    return {"error_code": failure.code, "error_msg": failure.message, "retryable": failure.retryable}


# ---- send: in a thread of its own, without the database ----------------------------------------------


def send(transport: Transport, sending: Sending) -> Outcome:
    """One POST at the most. Whatever happens before it is a rejection; whatever happens after, an ambiguity."""
    attempt = sending.attempt
    account, adapter = registry.account(attempt.provider_id), registry.adapter(attempt.provider_id)
    try:
        call = adapter.submit(account, request_of(sending.task, attempt, adapter))
    except Exception as error:  # noqa: BLE001 - a bug before the call must not look like a paid one
        logger.exception("the request of attempt %s could not be built", attempt.pk)
        return Rejected(Failure(Code.UNKNOWN_ERROR, f"The request could not be built: {type(error).__name__}."))
    if isinstance(call, Accepted):
        return call
    if time.monotonic() - sending.committed > settings.SEND_WITHIN_SECONDS:
        return TooLate()
    return _answer(transport, adapter, account, call, sending.committed + settings.SEND_WITHIN_SECONDS)


def _answer(transport: Transport, adapter: Adapter, account: Account, call: Any, send_by: float) -> SubmitOutcome:
    try:
        match transport.submit(call, send_by=send_by):
            case NotSent(failure):
                return Rejected(failure)
            case SentNoAnswer(failure):
                return Ambiguous(failure)
            case answer:
                return adapter.read_submit(answer)
    except UnexpectedReply as error:
        return Ambiguous(Failure(Code.UNKNOWN_ERROR, f"{account.provider_id} sent an answer we cannot read: {error}"))
    except Exception as error:  # noqa: BLE001 - it may have been sent: never to be taken for a failure
        logger.exception("the answer of %s could not be handled", account.provider_id)
        return Ambiguous(Failure(Code.UNKNOWN_ERROR, f"The answer could not be handled: {type(error).__name__}."))


def request_of(task: Task, attempt: Attempt, adapter: Adapter) -> GenerationRequest:
    snapshot = task.snapshot
    size = adapter.image_size(snapshot["resolution"], attempt.provider_model_id)
    return GenerationRequest(
        token=str(attempt.pk),
        model=attempt.provider_model_id,
        prompt=attempt.prompt,
        seconds=snapshot["duration_seconds"],
        resolution=snapshot["resolution"],
        is_pro=snapshot["is_pro"],
        segment_index=task.segment_index,
        take=task.take,
        image=start_images.load(snapshot["image_url"], size),
    )


# ---- write: what the answers mean --------------------------------------------------------------------


def write_answers(answered: Sequence[tuple[Sending, Outcome]], *, now: datetime) -> None:
    if not answered:
        return
    runs = Run.objects.in_bulk({sending.task.run_id for sending, _ in answered})
    prices = _provider_models(answered)
    moves = [
        _move(sending, outcome, runs[sending.task.run_id], prices, now) for sending, outcome in answered
    ]
    _hold_accounts(answered, now)
    try:
        lifecycle.apply(moves, now=now)
    except IntegrityError:
        # A provider gave a job id that another attempt has. Only that attempt shall suffer for it.
        for (sending, _), move in zip(answered, moves, strict=True):
            _apply_alone(sending, move, now)


def _apply_alone(sending: Sending, move: Move, now: datetime) -> None:
    try:
        lifecycle.apply([move], now=now)
    except IntegrityError:
        message = f"{sending.attempt.provider_id} answered with a job id that belongs to another attempt."
        lifecycle.apply([ambiguous(sending.task, sending.attempt, Failure(Code.UNKNOWN_ERROR, message), now)], now=now)


def _provider_models(answered: Sequence[tuple[Sending, Outcome]]) -> dict[tuple[str, str], ProviderModel]:
    names = {sending.attempt.provider_model_id for sending, _ in answered}
    return {(model.provider_id, model.name): model for model in ProviderModel.objects.filter(name__in=names)}


def _move(
    sending: Sending,
    outcome: Outcome,
    run: Run,
    models: Mapping[tuple[str, str], ProviderModel],
    now: datetime,
) -> Move:
    task, attempt = sending.task, sending.attempt
    match outcome:
        case Accepted():
            return _accepted(task, attempt, outcome, models.get((attempt.provider_id, attempt.provider_model_id)), now)
        case Ambiguous(failure):
            return ambiguous(task, attempt, failure, now)
        case Rejected(failure):
            ended = {"phase": Phase.REJECTED, "finished_at": now, **_error(failure)}
            return after_failure(task, attempt, failure, run, ended, now)
        case TooLate():
            words = "not sent in time after its commit; back to the queue, nothing is billed"
            ended = {"phase": Phase.REJECTED, "finished_at": now, "error_msg": words}
            return requeue(task, attempt, now, words, ended, reason="")


def _accepted(task: Task, attempt: Attempt, outcome: Accepted, model: ProviderModel | None, now: datetime) -> Move:
    wait_first = settings.POLL_INITIAL_WAIT_SECONDS
    give_up = settings.MAX_POLL_TIME
    cost: Decimal | None = None
    if model:
        wait_first = wait_first if model.poll_initial_wait_seconds is None else model.poll_initial_wait_seconds
        give_up = give_up if model.max_poll_seconds is None else model.max_poll_seconds
        cost = None if model.price_per_second is None else model.price_per_second * attempt.seconds
    known = {
        "phase": Phase.ACCEPTED,
        "provider_job_id": outcome.job_id,
        "accepted_at": now,
        "deadline_at": now + timedelta(seconds=give_up),
        "cost": cost,
    }
    if outcome.output is None:
        values = {"step": Step.POLL, "due_at": now + timedelta(seconds=wait_first)}
        why = f"accepted by {attempt.provider_id}"
        return Move(task, Status.RUNNING, why, kind="accepted", values=values, attempt=attempt, attempt_values=known)
    known |= {"phase": Phase.DOWNLOADING, "output": dict(outcome.output)}
    values = {"step": Step.DOWNLOAD, "due_at": now}
    why = f"accepted and finished by {attempt.provider_id}"
    return Move(task, Status.RUNNING, why, kind="accepted", values=values, attempt=attempt, attempt_values=known)


def ambiguous(task: Task, attempt: Attempt, failure: Failure, now: datetime) -> Move:
    """Sent, and no usable answer: never paid again without a person's word."""
    message = f"{failure.message} The job may exist and may be billed; retry with submit_again to pay once more."
    values = {"error_code": Code.UNKNOWN_ERROR, "error_msg": message, "retryable": False, "possibly_billed": True}
    known = {"phase": Phase.AMBIGUOUS, "possibly_billed": True, **_error(failure)}
    return Move(task, Status.FAILED, message, kind="ambiguous", values=values, attempt=attempt, attempt_values=known)


def after_failure(
    task: Task, attempt: Attempt, failure: Failure, run: Run, ended: Mapping[str, Any], now: datetime
) -> Move:
    """What follows an attempt that surely ended: the next provider, a wait, or the end of the task."""
    if failure.retryable and run.routing_strategy == "failover":
        tried = [*task.failed_providers, attempt.provider_id]
        why = f"{attempt.provider_id} failed ({failure.code}); the next provider is asked"
        return requeue(task, attempt, now, why, ended, reason="", values={"failed_providers": tried})
    if _may_wait(failure, ended) and task.tries < settings.MAX_ATTEMPTS:
        seconds = wait_seconds(task.tries, failure)
        why = f"{attempt.provider_id}: {failure.message}"
        reason = f"{failure.message} Next try in {seconds:.0f} s."
        return requeue(task, attempt, now + timedelta(seconds=seconds), why, ended, reason=reason)
    return Move(
        task, Status.FAILED, failure.message, values=error_of(failure), attempt=attempt, attempt_values=ended
    )


def _may_wait(failure: Failure, ended: Mapping[str, Any]) -> bool:
    """Only what surely made no job is tried again by itself, and only where time alone may help."""
    return ended["phase"] == Phase.REJECTED and failure.code in (Code.RATE_LIMITED, Code.DEPENDENCY_ERROR)


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
) -> Move:
    back = {"step": Step.SUBMIT, "due_at": due_at, "waiting_reason": reason[:255], "progress": None, **(values or {})}
    return Move(task, Status.QUEUED, why, kind="requeued", values=back, attempt=attempt, attempt_values=ended)


def _error(failure: Failure) -> dict[str, Any]:
    return {"error_code": failure.code, "error_msg": failure.message, "http_status": failure.http_status}


def _hold_accounts(answered: Sequence[tuple[Sending, Outcome]], now: datetime) -> None:
    """A 429 speaks to the whole account: nobody submits there before its time."""
    for sending, outcome in answered:
        if isinstance(outcome, Rejected) and outcome.failure.code == Code.RATE_LIMITED:
            until = now + timedelta(seconds=wait_seconds(sending.task.tries, outcome.failure))
            shorter = Q(not_before=None) | Q(not_before__lt=until)
            reason = f"{sending.attempt.provider_id} asked us to wait (429)"
            held = Provider.objects.filter(shorter, pk=sending.attempt.provider_id)
            held.update(not_before=until, hold_reason=reason)


# ---- settle: found in `sending` after its worker died --------------------------------------------------


def settle(now: datetime) -> int:
    """Attempts whose sender never came back: sent or not, nobody knows."""
    tasks = lifecycle.claim([Step.SETTLE], limit=200, lease=settings.POLL_LEASE_SECONDS, now=now)
    attempts = {found.task_id: found for found in Attempt.objects.filter(task__in=tasks, phase=Phase.SENDING)}
    failure = Failure(Code.UNKNOWN_ERROR, "The worker died while this was being submitted.")
    moves = [ambiguous(task, attempts[task.pk], failure, now) for task in tasks if task.pk in attempts]
    lifecycle.apply(moves, now=now)
    return len(tasks)


