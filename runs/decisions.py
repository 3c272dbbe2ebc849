"""Attempts of which nobody knows whether they were billed: a person says how it goes on."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from cineflow.core.errors import Conflict, Invalid, NotFound, problem
from runs import launch, lifecycle
from runs.models import Attempt, Phase, Status, Step, Task
from runs.steps import recover

Action = Literal["adopt", "submit_again", "give_up"]


def open_decisions() -> QuerySet[Attempt]:
    """The attempts that wait for a word, their task and run at hand."""
    waiting = Attempt.objects.filter(phase=Phase.AMBIGUOUS, task__status=Status.FAILED)
    return waiting.select_related("task", "run")


def decide(
    task_id: UUID,
    action: Action,
    *,
    job_id: str | None = None,
    why: str = "by a person's decision",
    now: datetime,
) -> Task:
    """Carry out a word on a task's open attempt; raises `Conflict` when there is none."""
    if action == "adopt" and not job_id:
        message = "To adopt a job, name it: provider_job_id, as the provider's own list shows it."
        raise Invalid([problem(["provider_job_id"], message, "missing")])
    run_id = Task.objects.filter(pk=task_id).values_list("run_id", flat=True).first()
    if run_id is None:
        raise NotFound("There is no such task.")
    try:
        with transaction.atomic():
            _carry_out(run_id, task_id, action, job_id, why, now)
    except IntegrityError as error:
        raise Conflict("That job belongs to another attempt already.") from error
    return Task.objects.select_related("run").get(pk=task_id)


def _carry_out(
    run_id: UUID, task_id: UUID, action: Action, job_id: str | None, why: str, now: datetime
) -> None:
    # The locks that every writer takes, in their order: of two decisions the second finds nothing open.
    run = lifecycle.lock_runs([run_id])[run_id]
    task = Task.objects.select_for_update().get(pk=task_id)
    attempt = open_decisions().filter(task_id=task_id).first()
    if attempt is None:
        raise Conflict(
            "Nothing is to be decided here: no attempt of this task has an unknown outcome."
        )
    match action:
        case "submit_again":
            launch.retry_task(task_id, submit_again=True, now=now)
        case "give_up":
            lifecycle.give_up(run, task, attempt, why=f"given up {why}", now=now)
        case "adopt":
            found = recover.adoption(task, attempt, job_id or "", now)
            lifecycle.restart(
                run,
                task,
                step=Step.POLL,
                why=f"{why}, {found.why}",
                now=now,
                attempt=attempt,
                attempt_values=found.attempt_values,
            )
