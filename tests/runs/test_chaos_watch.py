"""The trigger by which the chaos job sees a zombie's write: it must see one."""

from pathlib import Path

import pytest
from django.db import connection

import tests.chaos
from runs.models import Run
from tests.runs.conftest import MakeRun

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="chaos runs on PostgreSQL"),
]

CLAIM = (
    "UPDATE runs_task SET fence = fence + 1, status = 'running', step = 'poll', lease_until = now()"
)
WRITE = "UPDATE runs_task SET progress = 7"


def stale_writes(run: Run, *done: tuple[str, str]) -> list[tuple[str, str]]:
    """Who wrote to what somebody else held, after each (who, statement) was carried out."""
    with connection.cursor() as cursor:
        cursor.execute(Path(tests.chaos.__file__).with_name("owners.sql").read_text())
        for who, statement in done:
            cursor.execute("SELECT set_config('application_name', %s, true)", [who])
            cursor.execute(statement)
        cursor.execute("SELECT who, owner FROM chaos_stale")
        return list(cursor.fetchall())


def test_a_write_of_the_newest_claim_is_in_order(start: MakeRun) -> None:
    run = start("a city")
    assert stale_writes(run, ("worker-1.1", CLAIM), ("worker-1.1", WRITE)) == []


def test_a_write_after_somebody_else_s_claim_is_seen(start: MakeRun) -> None:
    run = start("a city")
    done = [("worker-1.1", CLAIM), ("worker-2.2", CLAIM), ("worker-1.1", WRITE)]
    assert stale_writes(run, *done) == [("worker-1.1", "worker-2.2")]
