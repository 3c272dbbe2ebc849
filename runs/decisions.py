"""Attempts of which nobody knows whether they were billed: a person says how it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import (
    Count,
    DecimalField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)

from cineflow.core.errors import Conflict, Invalid, NotFound, problem
from providers import registry
from providers.base import NoAnswer
from providers.http import PollClient
from providers.models import ProviderModel
from runs import launch, lifecycle
from runs.models import Attempt, Decision, Step, Task
from runs.steps import recover
from runs.steps.recover import Sighting

Action = Literal["adopt", "submit_again", "give_up"]


# ---- what waits ------------------------------------------------------------------------------------


def open_decisions() -> QuerySet[Decision]:
    """The attempts that wait for a word, their task and run at hand."""
    return Decision.objects.select_related("task", "run")


def number_open(most: int) -> int:
    """Counted no further than that."""
    return Decision.objects.order_by()[:most].count()


def open_by_run(runs: Sequence[UUID]) -> dict[UUID, int]:
    """How many wait in each of these runs; one without any is not in it."""
    waiting = Decision.objects.filter(run__in=runs).order_by()
    return dict(waiting.values_list("run_id").annotate(Count("pk")))


def with_stakes(waiting: QuerySet[Decision]) -> QuerySet[Decision]:
    """Each with `stake`: what the lost job costs if it was made, and another one would; US dollars or null."""
    model = ProviderModel.objects.filter(
        provider=OuterRef("provider_id"), name=OuterRef("provider_model_id")
    )
    price = Subquery(model.values("price_per_second")[:1])
    dollars = DecimalField(max_digits=12, decimal_places=4)
    return waiting.annotate(stake=ExpressionWrapper(price * F("seconds"), output_field=dollars))


@dataclass(frozen=True, slots=True)
class Stakes:
    """`dollars` is of those whose price is known."""

    number: int
    dollars: Decimal
    unpriced: int


def stakes(waiting: QuerySet[Decision]) -> Stakes:
    unpriced = Count("pk", filter=Q(stake=None))
    found = with_stakes(waiting).aggregate(number=Count("pk"), sum=Sum("stake"), unpriced=unpriced)
    return Stakes(found["number"], found["sum"] or Decimal(0), found["unpriced"])


def look(attempt: Attempt) -> list[Sighting] | str:
    """Asks the provider for jobs that may be the lost one; in words why it cannot tell. Slow: a call or more."""
    if why := registry.missing(attempt.provider_id):
        return f"{attempt.provider_id} cannot be asked: {why}."
    client = PollClient()
    try:
        found = recover.sightings(client, attempt)
    finally:
        client.close()
    match found:
        case NoAnswer(failure):
            return failure.message
        case list():
            return found
    return (
        f"{attempt.provider_id} has no list of jobs that could be asked for. Look at its own pages."
    )


# ---- a person's word -------------------------------------------------------------------------------


def decide(
    task_id: UUID,
    action: Action,
    *,
    attempt_id: UUID | None = None,
    job_id: str | None = None,
    why: str = "by a person's decision",
    now: datetime,
) -> Task:
    """Carry out a word on a task's open attempt, or on none but `attempt_id`; raises `Conflict` when it is not open."""
    if action == "adopt":
        job_id = _checked(job_id)
    run_id = Task.objects.filter(pk=task_id).values_list("run_id", flat=True).first()
    if run_id is None:
        raise NotFound("There is no such task.")
    try:
        with transaction.atomic():
            _carry_out(run_id, task_id, attempt_id, action, job_id, why, now)
    except IntegrityError as error:
        raise Conflict("That job belongs to another attempt already.") from error
    return Task.objects.select_related("run").get(pk=task_id)


def _checked(job_id: str | None) -> str:
    """It becomes a part of an address, which dots alone would climb up."""
    found = (job_id or "").strip()
    if not found:
        message = "To adopt a job, name it: provider_job_id, as the provider's own list shows it."
        raise Invalid([problem(["provider_job_id"], message, "missing")])
    if not found.strip(".") or not found.isprintable():
        message = "That cannot be the id of a job: copy it from the provider's own list."
        raise Invalid([problem(["provider_job_id"], message)])
    return found


def _carry_out(
    run_id: UUID,
    task_id: UUID,
    attempt_id: UUID | None,
    action: Action,
    job_id: str | None,
    why: str,
    now: datetime,
) -> None:
    # The locks that every writer takes, in their order: of two decisions the second finds nothing open.
    run = lifecycle.lock_runs([run_id])[run_id]
    task = Task.objects.select_for_update().get(pk=task_id)
    attempt = open_decisions().filter(task_id=task_id).first()
    if attempt is None or attempt_id not in (None, attempt.pk):
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
