from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from cineflow.core import bulk, ids
from runs.models import Attempt, Run, Task
from storyboards.models import Segment, Storyboard

NOW = datetime(2026, 1, 2, 10, 10, 10, 123456, tzinfo=UTC)
TRICKY = "tab\t newline\n back\\slash \\N quote\" 'single' 镜头 🎬 \\. %s"
COLUMNS = (
    "id",
    "storyboard",
    "segment_index",
    "prompt_text",
    "director_intent",
    "image_url",
    "asset",
    "is_pro",
    "duration_seconds",
    "resolution",
)


def row(storyboard: Storyboard, index: int, text: str = "A") -> tuple[Any, ...]:
    asset = {"characters": [{"name": text, "id": None}], "scene": None, "props": [text]}
    return (ids.new_id(), storyboard.id, index, text, None, "", asset, True, 25, "vertical")


@pytest.fixture
def storyboard() -> Storyboard:
    return Storyboard.objects.create(name="a.json", segment_count=0, original="x")


@pytest.mark.django_db
def test_rows_come_back_as_they_went_in(storyboard: Storyboard) -> None:
    rows = [row(storyboard, 1, TRICKY), row(storyboard, 2)]
    bulk.insert(Segment, COLUMNS, rows)
    found = Segment.objects.order_by("segment_index").values_list(*COLUMNS)
    assert list(found) == rows


@pytest.mark.django_db
def test_what_was_inserted_in_bulk_is_found_by_its_id(storyboard: Storyboard) -> None:
    one = row(storyboard, 1)
    bulk.insert(Segment, COLUMNS, iter([one]))
    assert Segment.objects.get(id=one[0]).storyboard == storyboard


@pytest.mark.django_db
def test_times_and_decimals_and_null_json_are_adapted_by_their_fields() -> None:
    names = ("id", "name", "created_at", "segment_count", "metadata", "character_bible", "original")
    one = (ids.new_id(), "x", NOW, 3, None, [{"a": "ü"}], "")
    bulk.insert(Storyboard, names, [one])
    assert Storyboard.objects.values_list(*names).get() == one
    assert Storyboard.objects.filter(metadata__isnull=True, created_at=NOW).count() == 1


@pytest.mark.django_db
def test_a_foreign_key_may_be_named_either_way() -> None:
    run = Run.objects.create(
        storyboard_uuid=ids.new_id(), model_id="m", output_folder="o", total_tasks=1, queued=1
    )
    task = Task.objects.create(
        run=run,
        segment_uuid=ids.new_id(),
        segment_index=1,
        snapshot={},
        status="queued",
        step="submit",
        due_at=NOW,
    )
    given = {
        "id": ids.new_id(),
        "task_id": task.id,
        "run": run.id,
        "number": 1,
        "phase": "sending",
        "provider_id": "p",
        "provider_model_id": "m",
        "prompt": "",
        "seconds": 4,
        "sent_at": NOW,
        "error_code": "",
        "error_msg": "",
        "possibly_billed": False,
        "asked": 0,
        "cost": Decimal("1.2500"),
    }
    bulk.insert(Attempt, list(given), [list(given.values())])
    assert task.attempts.values_list("cost", "sent_at").get() == (Decimal("1.25"), NOW)


@pytest.mark.django_db
def test_instances_are_written_as_they_are_set_and_the_rest_by_the_database() -> None:
    run = Run.objects.create(
        storyboard_uuid=ids.new_id(), model_id="m", output_folder="o", total_tasks=1, queued=1
    )
    common = {"run": run, "segment_uuid": ids.new_id(), "segment_index": 1, "status": "queued"}
    tasks = [
        Task(
            take=take, snapshot={"take": take}, step="submit", due_at=NOW, created_at=NOW, **common
        )
        for take in (1, 2)
    ]
    bulk.insert_all(Task, tasks)
    found = Task.objects.order_by("take").values_list("pk", "take", "snapshot", "crashes", "alone")
    assert list(found) == [(task.pk, task.take, {"take": task.take}, 0, False) for task in tasks]


@pytest.mark.django_db
def test_no_instances_are_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        bulk.insert_all(Task, [])


@pytest.mark.django_db(transaction=True)
def test_one_bad_row_stores_none(storyboard: Storyboard) -> None:
    with pytest.raises(IntegrityError):
        bulk.insert(Segment, COLUMNS, [row(storyboard, 1), row(storyboard, 1)])
    assert Segment.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_failure_leaves_the_callers_transaction_to_roll_back(storyboard: Storyboard) -> None:
    def insert_twice() -> None:
        bulk.insert(Segment, COLUMNS, [row(storyboard, 1)])
        bulk.insert(Segment, COLUMNS, [row(storyboard, 1)])

    with pytest.raises(IntegrityError):
        transaction.atomic(insert_twice)()
    assert Segment.objects.count() == 0


@pytest.mark.django_db
def test_no_rows_are_no_error(storyboard: Storyboard) -> None:
    bulk.insert(Segment, COLUMNS, [])
    assert Segment.objects.count() == 0


def test_a_reverse_relation_is_no_column() -> None:
    with pytest.raises(TypeError):
        bulk.insert(Storyboard, ["segments"], [])
