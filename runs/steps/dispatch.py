"""Who is served next: free slots are handed to runs in turn, their tasks routed, and each attempt committed.

Everything that limits paid calls is checked here, under one lock, before the attempt exists.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q

from cineflow.core import ids
from cineflow.core.faults import fault
from providers.errors import Code, Failure
from providers.offers import Candidate, Offer, Shot
from providers.routing import Decision, Judgement, as_json, decide, judge
from providers.strategies import Strategy
from runs import lifecycle
from runs.candidates import Catalogue, Load, catalogue, count, why_busy
from runs.lifecycle import Flying, Move
from runs.models import ACTIVE, Attempt, Phase, Run, Status, Step, Task
from runs.shots import lot_of, shot_of
from runs.steps import errors

_DISPATCH_LOCK = 0x43494E45  # any constant; names the advisory lock
_BUSY_SECONDS = 1.0
# Of a task that is to be sent.
_NEEDED = (
    *("run", "segment_index", "take", "snapshot", "full_prompt", "status", "fence"),
    *("attempt_count", "tries", "failed_providers", "started_at", "crashes", "errors_in_a_row"),
)


@dataclass(frozen=True, slots=True)
class Sending:
    """An attempt that is committed and about to be sent."""

    task: Task
    attempt: Attempt
    begun: float  # time.monotonic() at `sent_at`; it goes on while a process is stopped
    again: bool = False  # the same submit once more, under its token


def claim(
    limit: int, *, now: datetime, begun: float | None = None, suspects: bool = False
) -> list[Sending]:
    """Commit an attempt for up to `limit` due tasks within every limit; they are to be sent at once.

    `begun` is the time.monotonic() of `now`. The wait for the lock belongs to the time in which they may
    be sent: the minute of an account is counted from `now`. `suspects`: only tasks over which a worker
    has died, or only the others.
    """
    begun = time.monotonic() if begun is None else begun
    if limit <= 0 or not _waiting_runs().exists():
        return []
    with transaction.atomic():
        _lock_dispatch()
        runs = lifecycle.lock_runs(_waiting_runs().values_list("pk", flat=True))
        desk = _Desk(runs, limit=limit, now=now, suspects=suspects)
        desk.serve()
        lifecycle.postpone(desk.postponed)
        won = lifecycle.apply(desk.moves, now=now, locked=runs)
        fault("claimed_before_commit")
    return [
        Sending(_as_sent(move), move.new_attempt, begun)
        for move in desk.moves
        if move.new_attempt and move.task.pk in won
    ]


def _waiting_runs() -> Any:
    return Run.objects.filter(status__in=ACTIVE, queued__gt=0, dry_run=False, paused_at=None)


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
    move.task.alone = move.values["alone"]
    return move.task


def _present_load(flying: Sequence[Flying], known: Catalogue, now: datetime) -> Load:
    """What every account carries right now, read from the attempts themselves."""
    load = Load()
    for each in flying:
        count(load.in_flight, each.provider_id, each.provider_model_id, each.number)
        if each.phase == Phase.SENDING:
            count(load.sending, each.provider_id, each.provider_model_id, each.number)
    limited = known.limited_by_the_minute()
    if not limited:
        return load
    # A submit reaches the far end a little after it is counted here, so the minute is a little longer.
    since = now - timedelta(seconds=settings.RATE_WINDOW_SECONDS + settings.SEND_WITHIN_SECONDS)
    recent = Attempt.objects.filter(provider_id__in=limited, sent_at__gt=since).order_by()
    by_model = recent.values_list("provider_id", "provider_model_id").annotate(number=Count("pk"))
    for provider_id, model, number in by_model:
        count(load.last_minute, provider_id, model, number)
    return load


@dataclass(frozen=True, slots=True)
class _Decided:
    decision: Decision
    routing: Mapping[str, Any]  # of the decision, one object for all tasks that it holds for


class _Desk:
    """One dispatch: hands free slots to runs in turn, routes their tasks, and collects the moves."""

    def __init__(
        self, runs: Mapping[UUID, Run], *, limit: int, now: datetime, suspects: bool
    ) -> None:
        self.runs = runs
        self.now = now
        self.suspects = suspects
        flying = lifecycle.in_flight()
        self.catalogue: Catalogue = catalogue(
            {run.model_id for run in runs.values()},
            now=now,
            with_latency=any(run.routing_strategy == "latency" for run in runs.values()),
        )
        self.load = _present_load(flying, self.catalogue, now)
        self.by_run: dict[UUID, int] = {}
        for each in flying:
            self.by_run[each.run_id] = self.by_run.get(each.run_id, 0) + each.number
        self.overall = settings.MAX_CONCURRENT_TASKS - sum(each.number for each in flying)
        self.left = min(limit, self.overall)
        self.moves: list[Move] = []
        self.postponed: list[tuple[Task, dict[str, Any]]] = []
        # What stays as it is until a slot is taken at an account that counts them.
        self._offers: dict[str, list[Candidate]] = {}
        self._judgements: dict[tuple[UUID, Shot, frozenset[str]], Judgement] = {}
        self._decisions: dict[tuple[UUID, Shot, float, frozenset[str]], _Decided] = {}

    def serve(self) -> None:
        waiting = sorted(self.runs.values(), key=lambda run: run.created_at)
        for place, run in enumerate(waiting):
            share = -(-max(self.left, 0) // (len(waiting) - place))
            self._serve_run(run, share)

    def _serve_run(self, run: Run, share: int) -> None:
        free = min(share, run.concurrency - self.by_run.get(run.pk, 0))
        reason = self._reason_to_wait(run)
        if reason != run.waiting_reason:
            Run.objects.filter(pk=run.pk).update(waiting_reason=reason)
            run.waiting_reason = reason
        if free <= 0 or reason:
            return
        for task in self._due_tasks(run, free):
            self._serve_task(run, task)

    def _reason_to_wait(self, run: Run) -> str:
        if self.overall <= 0:
            return f"{settings.MAX_CONCURRENT_TASKS} paid jobs are in flight over all runs (MAX_CONCURRENT_TASKS)"
        if run.concurrency <= self.by_run.get(run.pk, 0):
            return f"the run has its {run.concurrency} jobs in flight (concurrency)"
        usable = [
            found
            for found in self._candidates(run)
            if found.enabled and found.configured and not found.dead
        ]
        reasons = [why_busy(found) for found in usable]
        return "; ".join(sorted(set(reasons)))[:255] if reasons and all(reasons) else ""

    def _candidates(self, run: Run) -> list[Candidate]:
        found = self._offered(run.model_id)
        if run.routing_strategy == "manual":
            return [candidate for candidate in found if candidate.provider_id == run.provider_id]
        return found

    def _offered(self, model_id: str) -> list[Candidate]:
        if model_id not in self._offers:
            found = self.catalogue.candidates(model_id, load=self.load)
            self._offers[model_id] = found
        return self._offers[model_id]

    def _due_tasks(self, run: Run, limit: int) -> list[Task]:
        free = Q(lease_until=None) | Q(lease_until__lte=self.now)
        due = run.tasks.filter(free, step=Step.SUBMIT, due_at__lte=self.now).only(*_NEEDED)
        if self.suspects:
            due = due.filter(crashes__gte=lifecycle.suspected(Step.SUBMIT))
        else:
            due = due.filter(crashes__lt=lifecycle.suspected(Step.SUBMIT))
        # Written to the database's own order of the index, so that ten thousand waiting tasks are not sorted.
        return list(due.order_by("due_at").select_for_update(skip_locked=True)[:limit])

    def _serve_task(self, run: Run, task: Task) -> None:
        decided = self._decided(run, task)
        if decided.decision.choice:
            self._take(run, task, decided, decided.decision.choice)
        elif decided.decision.wait:
            values = {
                "due_at": self._when_free(self._offered(run.model_id)),
                "waiting_reason": decided.decision.reason[:255],
                "routing": decided.routing,
                "crashes": task.crashes,
            }
            self.postponed.append((task, values))
        else:
            self.moves.append(_unroutable(task, decided))

    def _decided(self, run: Run, task: Task) -> _Decided:
        """Tasks that are alike are decided alike, unless it is drawn by lot."""
        strategy, tried = cast(Strategy, run.routing_strategy), frozenset(task.failed_providers)
        shortest = self.catalogue.shortest_prompt(run.model_id)
        shot = shot_of(task.snapshot, task.full_prompt, shortest=shortest)
        drawn = lot_of(task, strategy)
        key = (run.pk, shot, drawn, tried)
        if key not in self._decisions:
            decision = decide(self._judged(run, shot, tried), strategy, drawn)
            self._decisions[key] = _Decided(decision, as_json(decision, self.now))
        return self._decisions[key]

    def _judged(self, run: Run, shot: Shot, tried: frozenset[str]) -> Judgement:
        key = (run.pk, shot, tried)
        if key not in self._judgements:
            wanted = run.provider_id if run.routing_strategy == "manual" else None
            offered = self._offered(run.model_id)
            self._judgements[key] = judge(
                offered, shot, conform=run.conform, wanted=wanted, failed=tried
            )
        return self._judgements[key]

    def _when_free(self, candidates: Sequence[Candidate]) -> datetime:
        """A hold has an end that is known; a slot may come free at any moment."""
        held = [
            found.held_until for found in candidates if found.held_until and found.free_slots != 0
        ]
        soon = self.now + timedelta(seconds=_BUSY_SECONDS)
        return max(soon, min(held)) if held else soon

    def _take(self, run: Run, task: Task, decided: _Decided, offer: Offer) -> None:
        choice = offer.candidate
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
            seconds=offer.seconds,
            routing=decided.routing,
            options=choice.options,
            sent_at=self.now,
        )
        values = {
            "fence": task.fence + 1,
            "step": Step.SETTLE,
            "due_at": lease,
            "lease_until": lease,
            "alone": self.suspects,
            "tries": task.tries + 1,
            "waiting_reason": "",
            "routing": None,  # the attempt has it; this row is written again and again
            "progress": None,
            "provider_id": choice.provider_id,
            "provider_model_id": choice.provider_model_id,
            "started_at": task.started_at or self.now,
        }
        why = f"submitted to {choice.provider_id} {choice.provider_model_id}"
        self.moves.append(
            Move(task, Status.RUNNING, why, kind="sending", values=values, new_attempt=attempt)
        )
        self.load.add(choice.provider_id, choice.provider_model_id)
        if choice.free_slots is not None:
            self._offers.clear()
            self._judgements.clear()
            self._decisions.clear()
        self.by_run[run.pk] = self.by_run.get(run.pk, 0) + 1
        self.left -= 1
        self.overall -= 1


def _unroutable(task: Task, decided: _Decided) -> Move:
    """Nobody is left to ask: for want of a provider, or because everyone asked has failed."""
    decision = decided.decision
    failure = Failure(Code.NO_PROVIDER, decision.reason)
    if task.failed_providers:
        last = task.attempts.exclude(error_code="").order_by("-number").first()
        if last:
            failure = Failure(Code(last.error_code), f"{last.error_msg} ({decision.reason})")
    return Move(
        task,
        Status.FAILED,
        failure.message,
        values={"routing": decided.routing, **errors.of_task(failure)},
    )
