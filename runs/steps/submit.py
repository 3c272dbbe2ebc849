"""The paid call. Its attempt is committed first, it is sent once, and its answer is written as it arrives."""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection

from cineflow.core import clock
from providers.base import Accepted, Ambiguous, Rejected
from providers.errors import Code, Failure
from providers.http import Transport
from providers.models import ProviderModel
from runs import lifecycle
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import dispatch, errors, failures, recover, terms
from runs.steps.dispatch import Sending
from runs.steps.groups import arrived
from runs.steps.schedule import Habits
from runs.steps.sending import Arrived, NoImage, Outcome, Senders, TooLate, outcome_of

logger = logging.getLogger(__name__)


class Submitter:
    """Claims as many tasks as there are free senders and limits allow, and sends them side by side."""

    def __init__(self, transport: Transport, habits: Habits | None = None) -> None:
        self.senders = Senders(transport)
        self.habits = habits or Habits()
        self.pending: dict[Future[Arrived], Sending] = {}
        self.unwritten: list[tuple[Sending, Outcome]] = []

    def turn(self, now: datetime) -> int:
        """One pass: write what was answered, then claim and send. Returns how much was done."""
        begun = time.monotonic()
        written = self._write(now, begun=begun)
        suspects = any(lifecycle.any_suspect(step, now=now) for step in (Step.SUBMIT, Step.RESEND))
        alone = any(sending.task.alone for sending in self.pending.values())
        # A suspect waits until nothing else is on the wire. When limits hold it then, it holds up nobody.
        if suspects and not self.pending:
            self._claim(1, now=now, begun=begun, suspects=True)
            alone = bool(self.pending)
            suspects = False
        if not suspects and not alone:
            self._claim(settings.SENDERS + _ahead(written), now=now, begun=begun, suspects=False)
        return written + len(self.pending)

    def _claim(self, limit: int, *, now: datetime, begun: float, suspects: bool) -> None:
        # Handed over at once: what is committed and then not sent looks like a lost answer later.
        free = limit - len(self.pending)
        self._send(dispatch.claim(free, now=now, begun=begun, suspects=suspects))
        self._send(_resends(limit - len(self.pending), now=now, suspects=suspects))

    def _send(self, sendings: Sequence[Sending]) -> None:
        self.pending |= zip(self.senders.send(sendings), sendings, strict=True)

    def _write(self, now: datetime, *, begun: float) -> int:
        """Write what was answered. While the database is away it is kept: it may name a job that is paid."""
        self._take_answers()
        count = len(self.unwritten)
        # They came after `now` was read: what a far end asks to wait is counted from its answer.
        now += timedelta(seconds=time.monotonic() - begun)
        try:
            write_answers(self.unwritten, now=now, habits=self.habits)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("answers could not be written together; each is written alone")
            for answer in self.unwritten:
                _write_alone(answer, self.habits, now)
        self.unwritten = []
        return count

    def _take_answers(self) -> None:
        """One by one: should one of them trip over a bug, those before it are kept and those after it still wait."""
        for future in arrived(self.pending):
            sending = self.pending.pop(future)
            self.unwritten.append((sending, outcome_of(sending, future.result())))

    def close(self) -> None:
        """Let what is on the wire come back, and write it: an answer thrown away is a job nobody owns."""
        self.senders.close()
        while self.pending or self.unwritten:
            try:
                self._write(clock.now(), begun=time.monotonic())
            except (OperationalError, InterfaceError):
                logger.warning("the database is away; %d answers wait for it", len(self.unwritten))
                connection.close()
                time.sleep(1)


def _write_alone(answer: tuple[Sending, Outcome], habits: Habits, now: datetime) -> None:
    try:
        write_answers([answer], now=now, habits=habits)
    except Exception:
        # Its lease runs out, and then it counts as lost: looked for, or decided by a person.
        logger.exception("the answer of attempt %s could not be written", answer[0].attempt.pk)


def _ahead(answered: int) -> int:
    """How many more to commit than can be sent at once, so that no sender is idle while rows are written.

    As many as were answered in the last turn, so none of them waits long. More would be lost answers if
    this process died: committed, and nobody knows whether they were sent.
    """
    most: int = settings.SENDERS
    return min(answered, most)


def _resends(limit: int, *, now: datetime, suspects: bool) -> list[Sending]:
    begun = time.monotonic()
    found = recover.claim_resends(limit, now=now, suspects=suspects)
    return [Sending(task, attempt, begun, again=True) for task, attempt in found]


# ---- write: what the answers mean --------------------------------------------------------------------


def write_answers(
    answered: Sequence[tuple[Sending, Outcome]], *, now: datetime, habits: Habits | None = None
) -> None:
    if not answered:
        return
    known = _Known(answered, habits or Habits())
    moves, postponed = [], []
    for sending, outcome in answered:
        decided = (
            _resent(sending, outcome, known, now)
            if sending.again
            else _move(sending, outcome, known, now)
        )
        if isinstance(decided, Move):
            moves.append((sending, decided))
        else:
            postponed.append((sending.task, sending.attempt, decided))
    _note(answered, known, now)
    recover.asked_in_vain(postponed)
    _apply(moves, known, now)


def _note(answered: Sequence[tuple[Sending, Outcome]], known: "_Known", now: datetime) -> None:
    """What the answers say of accounts and models, for every dispatcher to see."""
    accepted = [sent.attempt for sent, outcome in answered if isinstance(outcome, Accepted)]
    if any(model.trips or model.provider.trips for model in known.models.values()):
        failures.note_acceptances(accepted)
    refused = [
        (sent.task, sent.attempt, outcome.failure)
        for sent, outcome in answered
        if isinstance(outcome, Rejected)
    ]
    failures.note_refusals(refused, now)


def _apply(moves: Sequence[tuple[Sending, Move]], known: "_Known", now: datetime) -> None:
    try:
        lifecycle.apply([move for _, move in moves], now=now)
    except IntegrityError:
        # A provider gave a job id that another attempt has. Only that attempt shall suffer for it.
        for sending, move in moves:
            _apply_alone(sending, move, known, now)


def _apply_alone(sending: Sending, move: Move, known: "_Known", now: datetime) -> None:
    try:
        lifecycle.apply([move], now=now)
    except IntegrityError:
        attempt = sending.attempt
        message = f"{attempt.provider_id} answered with a job id that belongs to another attempt."
        failure = Failure(Code.UNKNOWN_ERROR, message)
        lost = _lost(sending.task, attempt, failure, known.classes, now)
        lifecycle.apply([lost], now=now)


class _Known:
    """The rows that a group of answers is read with, each kind when the first answer needs it."""

    def __init__(self, answered: Sequence[tuple[Sending, Outcome]], habits: Habits) -> None:
        self._answered = answered
        self.habits = habits

    @cached_property
    def runs(self) -> dict[UUID, Run]:
        return Run.objects.in_bulk({sending.task.run_id for sending, _ in self._answered})

    @cached_property
    def models(self) -> dict[tuple[str, str], ProviderModel]:
        names = {sending.attempt.provider_model_id for sending, _ in self._answered}
        found = ProviderModel.objects.filter(name__in=names).select_related("provider")
        return {(model.provider_id, model.name): model for model in found}

    @cached_property
    def classes(self) -> dict[str, str]:
        return recover.recoveries()


def _move(sending: Sending, outcome: Outcome, known: _Known, now: datetime) -> Move:
    task, attempt = sending.task, sending.attempt
    match outcome:
        case Accepted():
            model = known.models.get((attempt.provider_id, attempt.provider_model_id))
            return _accepted(task, attempt, outcome, model, known.habits, now)
        case Ambiguous(failure):
            lost = _lost(task, attempt, failure, known.classes, now)
            return replace(lost, values={**lost.values, "crashes": 0})
        case Rejected(failure):
            ended = {
                "phase": Phase.REJECTED,
                "finished_at": now,
                **errors.of_attempt(failure),
            }
            run = known.runs[task.run_id]
            return failures.after_failure(task, attempt, failure, run, ended, now)
        case TooLate():
            words = "not sent in time after its commit; back to the queue, nothing is billed"
            ended = {"phase": Phase.REJECTED, "finished_at": now, "error_msg": words}
            return failures.requeue(task, attempt, now, words, ended, reason="")
        case NoImage(failure):
            ended = {"phase": Phase.REJECTED, "finished_at": now, **errors.of_attempt(failure)}
            return failures.after_our_failure(task, attempt, failure, ended, now)


def _resent(
    sending: Sending, outcome: Outcome, known: _Known, now: datetime
) -> Move | dict[str, Any]:
    if isinstance(outcome, Accepted):
        return _move(sending, outcome, known, now)
    return recover.not_resent(sending.task, sending.attempt, now)


def _accepted(
    task: Task,
    attempt: Attempt,
    outcome: Accepted,
    model: ProviderModel | None,
    habits: Habits,
    now: datetime,
) -> Move:
    known: dict[str, Any] = {
        **errors.NONE,
        "possibly_billed": False,
        "phase": Phase.ACCEPTED,
        "provider_job_id": outcome.job_id,
        "links": dict(outcome.links),
        **terms.of_job(attempt, model, now),
    }
    if outcome.output is None:
        values = {
            "step": Step.POLL,
            "due_at": now + timedelta(seconds=habits.first_wait(attempt, model, now)),
            "waiting_reason": "",
            "crashes": 0,
        }
        why = f"accepted by {attempt.provider_id}"
        return Move(
            task,
            Status.RUNNING,
            why,
            kind="accepted",
            values=values,
            attempt=attempt,
            attempt_values=known,
        )
    known |= {"phase": Phase.DOWNLOADING, "output": dict(outcome.output)}
    values = {"step": Step.DOWNLOAD, "due_at": now, "waiting_reason": "", "crashes": 0}
    why = f"accepted and finished by {attempt.provider_id}"
    return Move(
        task,
        Status.RUNNING,
        why,
        kind="accepted",
        values=values,
        attempt=attempt,
        attempt_values=known,
    )


# ---- settle: found in `sending` after its worker died --------------------------------------------------


def settle(now: datetime) -> int:
    """Attempts whose sender never came back: sent or not, nobody knows."""
    tasks = lifecycle.claim([Step.SETTLE], limit=200, lease=settings.POLL_LEASE_SECONDS, now=now)
    if not tasks:
        return 0
    attempts = {
        found.task_id: found
        for found in Attempt.objects.filter(task__in=tasks, phase=Phase.SENDING)
    }
    failure = Failure(Code.UNKNOWN_ERROR, "The worker died while this was being submitted.")
    classes = recover.recoveries()
    moves = [
        _lost(task, attempts[task.pk], failure, classes, now)
        for task in tasks
        if task.pk in attempts
    ]
    lifecycle.apply_apart(moves, now=now)
    return len(tasks)


def _lost(
    task: Task, attempt: Attempt, failure: Failure, classes: Mapping[str, str], now: datetime
) -> Move:
    return recover.ambiguous(task, attempt, failure, classes[attempt.provider_id], now)
