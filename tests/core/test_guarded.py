from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection
from django.utils import timezone

from cineflow.core import guarded, ids
from cineflow.core.guarded import Change
from runs.models import Attempt, Run, Status, Step, Task

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def tasks() -> list[Task]:
    run = Run.objects.create(storyboard_uuid=ids.new_id(), total_tasks=4, queued=4)
    facts: dict[str, Any] = {"run": run, "segment_uuid": ids.new_id(), "snapshot": {}}
    facts |= {"step": Step.SUBMIT, "due_at": NOW}
    return Task.objects.bulk_create(Task(segment_index=index, **facts) for index in range(1, 5))


def written(tasks: list[Task], *columns: str) -> list[tuple[Any, ...]]:
    return list(
        Task.objects.filter(pk__in=[task.pk for task in tasks])
        .order_by("segment_index")
        .values_list(*columns)
    )


def test_only_rows_that_are_as_expected_are_written(tasks: list[Task]) -> None:
    Task.objects.filter(pk=tasks[1].pk).update(fence=7)
    changes = [Change(task.pk, {"fence": 0, "status": "queued"}, {"progress": 5}) for task in tasks]
    assert guarded.write(Task, changes) == {task.pk for task in tasks if task is not tasks[1]}
    assert written(tasks, "progress") == [(5,), (None,), (5,), (5,)]


def test_each_row_is_held_to_its_own_expectation(tasks: list[Task]) -> None:
    Task.objects.filter(pk=tasks[1].pk).update(fence=7)
    changes = [
        Change(task.pk, {"fence": fence}, {"progress": 5})
        for task, fence in zip(tasks, (0, 7, 1, 0), strict=True)
    ]
    assert guarded.write(Task, changes) == {tasks[0].pk, tasks[1].pk, tasks[3].pk}


def test_values_that_differ_keep_to_their_rows(tasks: list[Task]) -> None:
    rows: list[dict[str, Any]] = [
        {"progress": 1, "error_msg": "", "retryable": True, "lease_until": NOW},
        {"progress": None, "error_msg": "{a,\"b\\'} 汉", "retryable": None, "lease_until": None},
        {
            "progress": 3,
            "error_msg": Status.FAILED,
            "retryable": False,
            "lease_until": NOW + timedelta(1),
        },
        {"progress": 3, "error_msg": "NULL", "retryable": False, "lease_until": NOW},
    ]
    guarded.write(
        Task,
        [Change(task.pk, {"fence": 0}, values) for task, values in zip(tasks, rows, strict=True)],
    )
    assert written(tasks, *rows[0]) == [tuple(values.values()) for values in rows]


def test_json_is_shared_or_not_and_may_be_null(tasks: list[Task]) -> None:
    shared = {"strategy": "default", "considered": [1, None, "汉\"'"]}
    routings = [shared, None, {"strategy": True}, shared]
    guarded.write(
        Task,
        [
            Change(task.pk, {}, {"routing": value})
            for task, value in zip(tasks, routings, strict=True)
        ],
    )
    assert written(tasks, "routing") == [(value,) for value in routings]
    assert Task.objects.filter(routing__isnull=True).count() == 1


def test_json_that_is_only_equal_in_python_stays_apart(tasks: list[Task]) -> None:
    routings = [{"a": 1}, {"a": True}, {"a": 1.0}, {"a": 0}]
    guarded.write(
        Task,
        [
            Change(task.pk, {}, {"routing": value})
            for task, value in zip(tasks, routings, strict=True)
        ],
    )
    assert [repr(value) for (value,) in written(tasks, "routing")] == [
        repr(value) for value in routings
    ]


def test_numbers_of_different_types_fit_one_column(tasks: list[Task]) -> None:
    made = {
        "provider_id": "p",
        "provider_model_id": "m",
        "prompt": "",
        "seconds": 4,
        "sent_at": NOW,
        "number": 1,
    }
    attempts = Attempt.objects.bulk_create(
        Attempt(task=task, run_id=task.run_id, **made) for task in tasks
    )
    costs = [1, Decimal("0.4"), None, 2.5]
    guarded.write(
        Attempt,
        [Change(each.pk, {}, {"cost": cost}) for each, cost in zip(attempts, costs, strict=True)],
    )
    found = Attempt.objects.order_by("task__segment_index").values_list("cost", flat=True)
    assert list(found) == [Decimal(1), Decimal("0.4"), None, Decimal("2.5")]


def test_changes_of_different_shapes_are_written_together(tasks: list[Task]) -> None:
    changes = [
        Change(tasks[0].pk, {}, {"progress": 1}),
        Change(tasks[1].pk, {"fence": 0}, {"error_msg": "x"}),
    ]
    assert guarded.write(Task, changes) == {tasks[0].pk, tasks[1].pk}


def test_text_that_is_too_long_is_refused_and_not_cut(tasks: list[Task]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps text of any length")
    changes = [
        Change(task.pk, {}, {"waiting_reason": name * 256})
        for task, name in zip(tasks, "abcd", strict=True)
    ]
    with pytest.raises(DataError):
        guarded.write(Task, changes)
