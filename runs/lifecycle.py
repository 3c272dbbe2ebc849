"""The one door: every change of a task's status or an attempt's phase happens here.

A change says what it expects (`fence` and status); a row that is not so any more is left alone, and the
caller learns it. Counts of the run and the event that tells the story are written in the same transaction.
Locks are taken in one order everywhere: runs by id, then tasks.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet

from cineflow.core import guarded
from cineflow.core.bulk import insert, insert_all
from cineflow.core.errors import Conflict
from cineflow.core.faults import fault
from runs.models import ACTIVE, LIVE, Attempt, Event, Phase, Run, Status, Step, Task, VideoFile

logger = logging.getLogger(__name__)

COUNTED = (
    Status.QUEUED,
    Status.RUNNING,
    Status.COMPLETED,
    Status.FAILED,
    Status.DOWNLOAD_FAILED,
    Status.CANCELED,
)
EVENT_COLUMNS = ("run", "number", "task", "attempt_number", "at", "kind", "before", "after", "why")


@dataclass(frozen=True, slots=True)
class Move:
    """What shall happen to one task, decided from the row as it was claimed."""

    task: Task
    after: Status
    why: str
    kind: str = "task"
    values: Mapping[str, Any] = field(default_factory=dict)  # further columns of the task
    attempt: Attempt | None = None  # its phase is expected to be what this object says
    attempt_values: Mapping[str, Any] = field(default_factory=dict)
    new_attempt: Attempt | None = None
    new_file: VideoFile | None = None


# ---- claims ------------------------------------------------------------------------------------

# Of the many tasks that a dead worker held at most one is to blame. So however many workers died over it among
# others, a task is only suspected; from then on it is worked alone, and what dies then counts against it.
_CRASHES = "crashes + CASE WHEN lease_until IS NULL THEN 0 ELSE 1 END"
_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM runs_task
    WHERE step IN ({steps}) AND due_at <= %s AND (lease_until IS NULL OR lease_until <= %s) AND {which}
    ORDER BY {first} LIMIT %s {skip_locked}
)
UPDATE runs_task SET fence = fence + 1, lease_until = %s, alone = {alone},
    crashes = CASE WHEN alone OR crashes < {suspected} THEN {crashes} ELSE crashes END
FROM due WHERE runs_task.id = due.id
RETURNING {columns}
"""


# What every claim tells of a task: all that a move or a postponement looks at. A prompt is not among it.
_CLAIMED = (
    *("id", "run", "segment_index", "take", "status", "step", "due_at", "lease_until", "fence"),
    *("cancel_requested_at", "attempt_count", "tries", "errors_in_a_row", "crashes", "alone"),
    *("failed_providers", "progress", "waiting_reason"),
)


_POLLS = (Step.POLL, Step.ASK_ONCE)


def suspected(step: str) -> int:
    """So many crashes make a task a suspect. Two more, alone, and it is set aside.

    Hundreds are asked for at once, and to do that one by one takes long: it is not begun after the first death.
    """
    enough: int = settings.POISON_AFTER
    return enough if step in _POLLS else enough - 2


def claim(
    steps: Sequence[Step],
    *,
    limit: int,
    lease: float,
    now: datetime,
    suspects: bool | None = None,
    more: Sequence[str] = (),
) -> list[Task]:
    """Take due tasks for this worker alone, for `lease` seconds; oldest first.

    `suspects`: one that is suspected (True), which the caller works alone; or only others (False).
    `more` names further fields; any other one costs a query when it is looked at.
    """
    if limit <= 0:
        return []
    which = {
        None: "TRUE",
        True: f"{_CRASHES} >= {suspected(steps[0])}",
        False: f"{_CRASHES} < {suspected(steps[0])}",
    }
    sql = _CLAIM.format(
        steps=", ".join(["%s"] * len(steps)),
        which=which[suspects],
        # Who crashed alone comes last: kills at random seldom meet the same one twice in a row.
        first=f"{_CRASHES}, due_at" if suspects else "due_at",
        alone="TRUE" if suspects else "FALSE",
        suspected=suspected(steps[0]),
        crashes=_CRASHES,
        columns=", ".join(
            f"runs_task.{field.column}"
            for field in Task._meta.concrete_fields
            if field.name in _CLAIMED or field.name in more
        ),
        skip_locked="FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else "",
    )
    moment = connection.ops.adapt_datetimefield_value(now)
    until = connection.ops.adapt_datetimefield_value(now + timedelta(seconds=lease))
    rows = Task.objects.raw(sql, [*steps, moment, moment, 1 if suspects else limit, until])
    return sorted(rows, key=lambda task: (task.due_at, task.segment_index, task.take))


_ANY_SUSPECT = """
SELECT 1 FROM runs_task
WHERE step = %s AND due_at <= %s AND (lease_until IS NULL OR lease_until <= %s) AND {crashes} >= %s
LIMIT 1
"""
# Nobody holds a task that waits for its submit. `crashes > 0` names the small index, among ten thousand that wait.
_ANY_SUSPECT_TO_SUBMIT = """
SELECT 1 FROM runs_task AS task JOIN runs_run AS run ON run.id = task.run_id
WHERE task.crashes > 0 AND task.step = 'submit' AND task.due_at <= %s AND task.crashes >= %s
    AND run.paused_at IS NULL
LIMIT 1
"""


def any_suspect(step: Step, *, now: datetime) -> bool:
    """Whether a task is due at this step over which a worker has died."""
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if step == Step.SUBMIT:
            cursor.execute(_ANY_SUSPECT_TO_SUBMIT, [moment, suspected(step)])
        else:
            sql = _ANY_SUSPECT.format(crashes=_CRASHES)
            cursor.execute(sql, [step, moment, moment, suspected(step)])
        return cursor.fetchone() is not None


_NEXT_RUN = """
SELECT run_id FROM runs_task
WHERE step = %s AND NOT (step = '') AND due_at <= %s AND (lease_until IS NULL OR lease_until <= %s)
ORDER BY due_at LIMIT 1
"""


def next_run(step: Step, *, now: datetime) -> UUID | None:
    """The run whose task has been due at this step for the longest time."""
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_RUN, [step, moment, moment])
        row = cursor.fetchone()
    return row and (row[0] if isinstance(row[0], UUID) else UUID(row[0]))


def next_due(step: Step, *, now: datetime) -> datetime | None:
    """When the next task of those that are not due yet comes to be so at this step."""
    later = Task.objects.filter(step=step, due_at__gt=now).order_by("due_at")
    return later.values_list("due_at", flat=True).first()


def due_tasks(run: Run, step: Step, *, limit: int, now: datetime) -> list[Task]:
    """Tasks for work that ends in this transaction; the caller holds the run's lock, which stands for a claim."""
    needed = (
        *("run_id", "segment_index", "take", "snapshot", "full_prompt", "status", "fence"),
        "attempt_count",
    )
    return list(
        _due(step, now).filter(run=run).order_by("segment_index", "take").only(*needed)[:limit]
    )


def _due(step: Step, now: datetime) -> QuerySet[Task]:
    return Task.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now), step=step, due_at__lte=now
    )


def renew(tasks: Sequence[Task], *, lease: float, now: datetime) -> set[UUID]:
    """Keep a claim alive while its work goes on; returns the tasks that are still ours."""
    until = now + timedelta(seconds=lease)
    return _write_claimed([(task, {"fence": task.fence}, {"lease_until": until}) for task in tasks])


def postpone(tasks: Iterable[tuple[Task, Mapping[str, Any]]]) -> set[UUID]:
    """Write back claimed tasks that moved nowhere (a poll that found its job working): no event, no counts.

    Returns the ids of those that were still as they were claimed.
    """
    return _write_claimed(
        [
            (
                task,
                {"fence": task.fence, "status": task.status},
                {"lease_until": None, "crashes": 0, **values},
            )
            for task, values in tasks
        ]
    )


def _write_claimed(
    changes: Sequence[tuple[Task, Mapping[str, Any], Mapping[str, Any]]],
) -> set[UUID]:
    """Each task with what is expected of it and its new values, under the locks of their runs.

    A claim alone does not do: a cancel touches all tasks of a run in an order of its own, and two writers
    of many rows that meet without a lock around them wait for each other.
    """
    if not changes:
        return set()
    with transaction.atomic():
        lock_runs({task.run_id for task, _, _ in changes})
        return guarded.write(
            Task, [guarded.Change(task.pk, expected, values) for task, expected, values in changes]
        )


# ---- moves -------------------------------------------------------------------------------------


def apply(
    moves: Sequence[Move], *, now: datetime, locked: Mapping[UUID, Run] | None = None
) -> set[UUID]:
    """Carry out the moves whose task is still as it was claimed; returns those tasks' ids.

    `locked` are the runs, when the caller's transaction holds their locks already.
    """
    if not moves:
        return set()
    # Within the caller's transaction nothing of it is to be kept when this fails.
    with transaction.atomic(savepoint=locked is None):
        runs = lock_runs({move.task.run_id for move in moves}) if locked is None else locked
        moves = _heed_cancels(_newest(moves))
        won = guarded.write(
            Task, [_task_change(move, now) for move in moves if move.task.run_id in runs]
        )
        made = [move for move in moves if move.task.pk in won]
        _write_attempts(made)
        insert_all(VideoFile, [move.new_file for move in made if move.new_file])
        _tell({move.task.run_id: runs[move.task.run_id] for move in made}, made, now)
        fault("rolled_up_before_commit")
    fault("rolled_up")
    return won


def apply_apart(moves: Sequence[Move], *, now: datetime) -> set[UUID]:
    """As `apply`; but one run whose rows cannot be written holds up no other's moves."""
    try:
        return apply(moves, now=now)
    except (InterfaceError, OperationalError):
        raise  # the database is away: for everybody
    except DatabaseError:
        logger.exception("moves could not be written together; each run's are written alone")
    won: set[UUID] = set()
    for run_id in {move.task.run_id for move in moves}:
        try:
            won |= apply([move for move in moves if move.task.run_id == run_id], now=now)
        except (InterfaceError, OperationalError):
            raise
        except DatabaseError:
            logger.exception("the moves of run %s could not be written", run_id)
    return won


def _newest(moves: Sequence[Move]) -> list[Move]:
    """One move a task. A worker may have lost a claim and won it again, and now bring the work of both."""
    newest: dict[UUID, Move] = {}
    for move in sorted(moves, key=lambda move: move.task.fence):
        newest[move.task.pk] = move
    return [move for move in moves if newest[move.task.pk] is move]


def _heed_cancels(moves: Sequence[Move]) -> Sequence[Move]:
    """A task that would go back to the queue ends instead when its end has been asked for meanwhile.

    The run's lock is held, and a wish takes it too: no wish slips in between.
    """
    back = [move.task.pk for move in moves if move.after == Status.QUEUED]
    if not back:
        return moves
    wished = set(
        Task.objects.filter(pk__in=back, cancel_requested_at__isnull=False).values_list(
            "pk", flat=True
        )
    )
    return [
        replace(move, after=Status.CANCELED, why="canceled", values=CANCELED)
        if move.task.pk in wished
        else move
        for move in moves
    ]


def lock_runs(ids: Iterable[UUID]) -> dict[UUID, Run]:
    """Before any of their tasks, and in one order, so that no two writers wait for each other."""
    chosen = Run.objects.select_for_update().filter(pk__in=set(ids)).order_by("pk")
    # It may be long, and who takes the lock asks for something else.
    locked = chosen.defer("range")
    return {run.pk: run for run in locked}


def _task_change(move: Move, now: datetime) -> guarded.Change:
    ended = move.after not in ACTIVE
    values: dict[str, Any] = {
        "status": move.after,
        "lease_until": None,
        "updated_at": now,
        **move.values,
    }
    if ended:
        values |= {"step": Step.NONE, "due_at": None, "finished_at": now, "waiting_reason": ""}
    if move.new_attempt:
        values |= {"attempt_count": move.new_attempt.number}
    if move.new_file:
        # Its row follows in this transaction, at whose end the key is checked.
        values |= {"video": move.new_file.pk}
    expected = {"fence": move.task.fence, "status": move.task.status}
    return guarded.Change(move.task.pk, expected, values)


def _write_attempts(made: Sequence[Move]) -> None:
    changes = [
        guarded.Change(move.attempt.pk, {"phase": move.attempt.phase}, move.attempt_values)
        for move in made
        if move.attempt and move.attempt_values
    ]
    guarded.write(Attempt, changes)
    insert_all(Attempt, [move.new_attempt for move in made if move.new_attempt])


def _tell(runs: Mapping[UUID, Run], made: Sequence[Move], now: datetime) -> None:
    """Events of the moves, and the counts of all these runs; the caller holds the runs' locks."""
    rows = []
    for move in made:
        run = runs[move.task.run_id]
        run.event_count += 1
        attempt = move.new_attempt or move.attempt
        number = attempt.number if attempt else None
        before = "" if move.kind == "created" else move.task.status
        rows.append(
            (
                run.pk,
                run.event_count,
                move.task.pk,
                number,
                now,
                move.kind,
                before,
                move.after,
                move.why,
            )
        )
        _count(run, move.task.status, -1)
        _count(run, move.after, 1)
    if rows:
        insert(Event, EVENT_COLUMNS, rows)
    save_counts(list(runs.values()), now)


def _count(run: Run, status: str, by: int) -> None:
    setattr(run, status, getattr(run, status) + by)


_WRITTEN = ("status", "started_at", "finished_at", "event_count", *COUNTED)


def save_counts(runs: Sequence[Run], now: datetime) -> None:
    """Write the counts of locked runs, and the status and times that follow from them."""
    for run in runs:
        run.status = status_of(run)
        if run.started_at is None and run.status != Status.QUEUED:
            run.started_at = now
        run.finished_at = None if run.status in ACTIVE else run.finished_at or now
    changes = [
        guarded.Change(run.pk, {}, {name: getattr(run, name) for name in _WRITTEN}) for run in runs
    ]
    guarded.write(Run, changes)


def status_of(run: Run) -> Status:
    """A run is what its tasks are."""
    if run.queued or run.running:
        untouched = run.started_at is None and run.queued == run.total_tasks
        return Status.QUEUED if untouched else Status.RUNNING
    if run.failed or run.download_failed:
        return Status.FAILED
    return Status.CANCELED if run.canceled else Status.COMPLETED


def is_poison(task: Task) -> bool:
    """Whether enough workers have died over it, the last two of them over nothing else."""
    return task.crashes >= suspected(task.step) + 2


def poisoned(task: Task, attempt: Attempt | None, attempt_values: Mapping[str, Any]) -> Move:
    """The end of a task over which worker after worker died; a paid job stays to be asked for or fetched."""
    message = (
        f"Set aside: {task.crashes} workers died one after the other while they worked on it, "
        "the last two while they worked on nothing else of its kind. See their logs, then retry."
    )
    match task.step:
        case Step.DOWNLOAD:
            after, code = Status.DOWNLOAD_FAILED, "download_failed"
        case Step.POLL | Step.ASK_ONCE:
            after, code = Status.FAILED, "timeout"
            message += " A retry asks for the job once more before it pays again."
        case _:
            after, code = Status.FAILED, "unknown_error"
    retryable = code != "unknown_error"
    values = {"error_code": code, "error_msg": message, "retryable": retryable}
    return Move(
        task,
        after,
        message,
        kind="poisoned",
        values=values,
        attempt=attempt,
        attempt_values=attempt_values,
    )


# ---- wishes ------------------------------------------------------------------------------------


def cancel_run(run_id: UUID, *, now: datetime) -> int:
    """Ask for an end: what nobody has started ends here; what is under way is told, and ends as it can.

    Returns how many tasks the wish reached. A job that is already paid for goes on to its file.
    """
    with transaction.atomic():
        runs = lock_runs([run_id])
        wished = Task.objects.filter(run_id=run_id, status__in=ACTIVE)
        reached = wished.update(cancel_requested_at=now, updated_at=now)
        # Asked at once, so that a provider that can cancel hears of it before it has finished.
        wished.filter(step=Step.POLL).update(due_at=now)
        idle = Q(step__in=(Step.CHECK, Step.REUSE, Step.SUBMIT))
        tasks = list(wished.filter(idle, status=Status.QUEUED).select_for_update())
        moves = [
            Move(task, Status.CANCELED, "canceled before it started", values=CANCELED)
            for task in tasks
        ]
        # Raises the fence, so that a worker that had claimed one of them writes nothing.
        changes = [
            guarded.Change(
                move.task.pk,
                {"fence": move.task.fence},
                {"fence": move.task.fence + 1, **_plain(move, now)},
            )
            for move in moves
        ]
        guarded.write(Task, changes)
        _tell_of_run(runs[run_id], "cancel", f"the end of {reached} tasks is asked for", now)
        _tell(runs, moves, now)
        fault("cancel_before_commit")
    return reached


def _tell_of_run(run: Run, kind: str, why: str, now: datetime) -> None:
    """An event of a whole, locked run; the caller writes its `event_count`."""
    run.event_count += 1
    row = (run.pk, run.event_count, None, None, now, kind, "", run.status, why)
    insert(Event, EVENT_COLUMNS, [row])


def _plain(move: Move, now: datetime) -> Mapping[str, Any]:
    return _task_change(move, now).values


CANCELED = {
    "error_code": "canceled",
    "error_msg": "The run was canceled before this take was made.",
    "retryable": False,
}
NO_ERROR: Mapping[str, Any] = {
    "error_code": "",
    "error_msg": "",
    "retryable": None,
    "possibly_billed": False,
}


def set_paused(run_id: UUID, *, paused: bool, now: datetime) -> None:
    """No new submits while a run is paused; what is at its provider goes on. Raises `Conflict` at its end."""
    with transaction.atomic():
        run = lock_runs([run_id])[run_id]
        if run.status not in ACTIVE:
            raise Conflict(
                f"The run has ended ({run.status}); there is nothing to pause or resume."
            )
        if (run.paused_at is not None) == paused:
            return
        _tell_of_run(run, "paused" if paused else "resumed", "", now)
        paused_at = now if paused else None
        Run.objects.filter(pk=run_id).update(paused_at=paused_at, event_count=run.event_count)


def live_attempt(task: Task) -> Attempt | None:
    return task.attempts.filter(phase__in=LIVE).first()


# The phases stand there as literals, as in the partial index `attempt_in_flight`: SQLite uses it only so.
# An ambiguous attempt may belong to a task that has ended; of the others no look at the task is needed.
_IN_FLIGHT = """
SELECT run_id, provider_id, provider_model_id, phase, COUNT(*) FROM runs_attempt
WHERE phase IN ('sending', 'accepted', 'ambiguous') AND (phase <> 'ambiguous' OR EXISTS (
    SELECT 1 FROM runs_task WHERE runs_task.id = task_id AND status = 'running'
))
GROUP BY run_id, provider_id, provider_model_id, phase
"""


@dataclass(frozen=True, slots=True)
class Flying:
    """How many paid jobs of one kind are not finished."""

    run_id: UUID
    provider_id: str
    provider_model_id: str
    phase: str
    number: int


def in_flight() -> list[Flying]:
    with connection.cursor() as cursor:
        cursor.execute(_IN_FLIGHT)
        rows = cursor.fetchall()
    return [Flying(key if isinstance(key, UUID) else UUID(key), *rest) for key, *rest in rows]


def restart(
    run: Run,
    task: Task,
    *,
    step: Step,
    why: str,
    now: datetime,
    values: Mapping[str, Any] | None = None,
    attempt: Attempt | None = None,
    attempt_values: Mapping[str, Any] | None = None,
) -> None:
    """Put an ended task back to work; the caller holds the locks of its run and of itself.

    An attempt whose outcome is unknown is closed by it: `attempt_values` say how, else it is abandoned.
    """
    after = Status.QUEUED if step in (Step.CHECK, Step.SUBMIT) else Status.RUNNING
    written: dict[str, Any] = {
        **NO_ERROR,
        "step": step,
        "due_at": now,
        "cancel_requested_at": None,
        "finished_at": None,
        "fence": task.fence + 1,
        "tries": 0,
        "errors_in_a_row": 0,
        "failed_providers": [],
        "progress": None,
        "reuse_of": None,
        "crashes": 0,
        **(values or {}),
    }
    if attempt is None:
        attempt = task.attempts.filter(phase=Phase.AMBIGUOUS).first()
        attempt_values = {"phase": Phase.ABANDONED, "finished_at": now}
    move = Move(
        task,
        after,
        why,
        kind="retry",
        values=written,
        attempt=attempt,
        attempt_values=attempt_values or {},
    )
    guarded.write(Task, [_task_change(move, now)])
    _write_attempts([move])
    _tell({run.pk: run}, [move], now)


def give_up(run: Run, task: Task, attempt: Attempt, *, why: str, now: datetime) -> None:
    """Close an attempt whose outcome nobody will learn; the task stays failed. Locks as for `restart`."""
    closed = {"phase": Phase.ABANDONED, "finished_at": now}
    guarded.write(Attempt, [guarded.Change(attempt.pk, {"phase": Phase.AMBIGUOUS}, closed)])
    move = Move(task, Status(task.status), why, kind="gave_up", attempt=attempt)
    _tell({run.pk: run}, [move], now)
