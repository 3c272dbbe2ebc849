"""What the database itself refuses, whoever writes it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from runs.models import Attempt, Event, Notice, Phase, Run, Status, Task, VideoFile
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)

Write = Callable[[], object]


@pytest.fixture
def run(start: MakeRun, machine: Machine, far_end: Simulator) -> Run:
    """Two takes that are done."""
    return machine.run_to_end(start("a city", "a river"))


def update(model: type[models.Model], **values: Any) -> Write:
    return lambda: model._default_manager.update(**values)


def first(model: type[models.Model], **values: Any) -> Write:
    """Of the rows of a model, only one."""
    rows = model._default_manager
    return lambda: rows.filter(pk=rows.order_by("pk").values_list("pk", flat=True)[0]).update(
        **values
    )


def copied(row: models.Model, **values: Any) -> None:
    """The row once more, under another key."""
    fields = row._meta.concrete_fields
    facts = {field.attname: getattr(row, field.attname) for field in fields}
    del facts["id"]
    type(row)._default_manager.create(**{**facts, **values})


def two_live_attempts() -> None:
    attempt = Attempt.objects.all()[0]
    moving = {"phase": Phase.SENDING, "finished_at": None}
    for number in (2, 3):
        copied(attempt, number=number, provider_job_id=None, accepted_at=None, **moving)


def a_job_of_two_attempts() -> None:
    copied(Attempt.objects.all()[0], number=2)


def one_notice_twice() -> None:
    attempt = Attempt.objects.all()[0]
    for _ in range(2):
        Notice.objects.create(
            provider_id="openai", event_id="e", attempt=attempt, job_id="j", received_at=LONG_AGO
        )


LONG_AGO = timezone.now()
LOST = {"phase": Phase.AMBIGUOUS, "finished_at": None, "provider_job_id": None, "accepted_at": None}

# By the name of the constraint that refuses it.
REFUSED: dict[str, list[Write]] = {
    "run_counts_add_up": [update(Run, completed=1), update(Run, total_tasks=3)],
    "run_ends_with_its_last_task": [
        update(Run, finished_at=None),
        update(Run, status=Status.RUNNING),
        update(Run, status=Status.RUNNING, finished_at=None),
        update(Run, running=1, completed=1),
        update(Run, status="asleep"),
    ],
    "take_is_unique": [update(Task, segment_index=1)],
    "only_active_tasks_are_due": [
        update(Task, due_at=LONG_AGO),
        update(Task, step="poll"),
        update(Task, status=Status.QUEUED, finished_at=None),
    ],
    "step_fits_the_status": [
        update(Task, status=Status.RUNNING, finished_at=None, due_at=LONG_AGO, step="submit"),
        update(Task, status=Status.QUEUED, finished_at=None, due_at=LONG_AGO, step="poll"),
    ],
    "ended_tasks_have_an_end_and_no_lease": [
        update(Task, finished_at=None),
        update(Task, lease_until=LONG_AGO),
        update(Task, status=Status.RUNNING, due_at=LONG_AGO, step="poll"),
    ],
    "who_ends_without_a_take_says_why": [
        update(Task, status=Status.FAILED),
        update(Task, status=Status.CANCELED),
        update(Task, error_code="timeout"),
    ],
    "a_try_is_an_attempt": [update(Task, tries=7)],
    "only_failed_possibly_billed": [update(Task, possibly_billed=True)],
    "attempt_number_is_unique": [
        lambda: copied(Attempt.objects.all()[0], provider_job_id="another"),
    ],
    "one_live_attempt_a_task": [two_live_attempts],
    "a_job_belongs_to_one_attempt": [a_job_of_two_attempts],
    "attempts_count_from_one": [first(Attempt, number=0)],
    "accepted_means_a_job": [
        first(Attempt, provider_job_id=None),
        first(Attempt, accepted_at=None),
        first(Attempt, provider_job_id=None, accepted_at=None),
    ],
    "no_job_is_waited_for_for_ever": [
        first(Attempt, phase=Phase.ACCEPTED, finished_at=None, deadline_at=None),
    ],
    "attempt_that_is_over_has_an_end": [
        first(Attempt, finished_at=None),
        first(Attempt, phase=Phase.ACCEPTED),
        first(Attempt, phase=Phase.DOWNLOADING, output=None),
        first(Attempt, phase="asleep"),
    ],
    "only_lost_answers_possibly_billed": [
        first(Attempt, possibly_billed=True),
        first(Attempt, **LOST),
    ],
    "an_attempt_has_one_file": [lambda: copied(VideoFile.objects.all()[0], path="elsewhere.mp4")],
    "a_take_is_not_empty": [update(VideoFile, bytes=0)],
    "event_number_is_unique": [
        lambda: Event.objects.filter(number__in=(1, 2)).update(number=1),
    ],
    "a_notice_is_taken_once": [one_notice_twice],
    "events_count_from_one": [lambda: Event.objects.filter(number=1).update(number=0)],
}


def test_each_constraint_is_tried() -> None:
    declared = {
        constraint.name
        for model in apps.get_app_config("runs").get_models()
        for constraint in model._meta.constraints
    }
    assert set(REFUSED) == declared


def test_a_write_that_breaks_one_is_refused(run: Run) -> None:
    let_through = [
        f"{name} {number}"
        for name, writes in REFUSED.items()
        for number, write in enumerate(writes)
        if not is_refused(name, write)
    ]
    assert let_through == []


def is_refused(name: str, write: Write) -> bool:
    try:
        with transaction.atomic():
            write()
    except IntegrityError as refusal:
        return refused_by(name, refusal)
    return False


def refused_by(name: str, refusal: IntegrityError) -> bool:
    if connection.vendor == "postgresql":
        cause: Any = refusal.__cause__
        return bool(cause.diag.constraint_name == name)
    if "CHECK" in str(refusal):
        return str(refusal) == f"CHECK constraint failed: {name}"
    # SQLite tells the columns of a unique index, and not its name.
    return str(refusal) == f"UNIQUE constraint failed: {', '.join(_columns(name))}"


def _columns(name: str) -> list[str]:
    for model in apps.get_app_config("runs").get_models():
        for constraint in model._meta.constraints:
            if constraint.name == name and isinstance(constraint, models.UniqueConstraint):
                table = model._meta.db_table
                fields = [model._meta.get_field(field) for field in constraint.fields]
                return [f"{table}.{field.column}" for field in fields]  # type: ignore[union-attr]
    raise LookupError(name)
