"""`/readyz` tells the truth quickly, also when something it asks has frozen."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from runs.models import Heartbeat

pytestmark = pytest.mark.django_db


def _ready(client: Client) -> tuple[int, Any]:
    response = client.get("/readyz")
    return response.status_code, response.json()


def _beat(*, seconds_ago: float) -> None:
    Heartbeat.objects.create(
        worker=f"host:{seconds_ago}", at=timezone.now() - timedelta(seconds=seconds_ago)
    )


@contextmanager
def _silent_server() -> Iterator[int]:
    """The port of a server that is there and never answers, as a stopped process does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_all_is_well(client: Client) -> None:
    _beat(seconds_ago=3)
    status, body = _ready(client)
    assert status == 200
    assert body["status"] == "ok"
    assert body["checks"]["sweep_age_seconds"] == pytest.approx(3, abs=2)


@pytest.mark.parametrize("beats", [(), (45,), (3600, 90)])
def test_without_a_worker_it_is_degraded(client: Client, beats: tuple[int, ...]) -> None:
    for seconds_ago in beats:
        _beat(seconds_ago=seconds_ago)
    status, body = _ready(client)
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"]["sweep"] == "no worker is sweeping"


def test_a_migration_that_waits_makes_it_unavailable(client: Client) -> None:
    MigrationRecorder.Migration.objects.filter(app="runs", name="0001_initial").delete()
    status, body = _ready(client)
    assert (status, body["status"]) == (503, "unavailable")
    assert body["checks"]["migrations"] == "1 not applied; run manage.py migrate"


def test_a_frozen_broker_costs_seconds_and_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _beat(seconds_ago=1)
    with _silent_server() as port:
        monkeypatch.setenv("CELERY_BROKER_WRITE_URL", f"redis://127.0.0.1:{port}/0")
        began = time.monotonic()
        status, body = _ready(client)
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"]["broker"].startswith("no answer")
    assert time.monotonic() - began < 4


def test_no_database_is_told_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    _lead_elsewhere(monkeypatch, port=closed, file=tmp_path / "none" / "db.sqlite3")
    began = time.monotonic()
    assert _ready(client) == (
        503,
        {"status": "unavailable", "checks": {"database": "cannot be reached"}},
    )
    assert time.monotonic() - began < 3


def test_a_frozen_database_costs_seconds_and_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server that could freeze")
    with _silent_server() as port:
        _lead_elsewhere(monkeypatch, port=port, file=Path())
        began = time.monotonic()
        status, body = _ready(client)
    assert (status, body["status"]) == (503, "unavailable")
    assert time.monotonic() - began < 8


def _lead_elsewhere(monkeypatch: pytest.MonkeyPatch, *, port: int, file: Path) -> None:
    """New connections only, as when a server goes away: the test's own stays."""
    if connection.vendor == "postgresql":
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", str(port))
    else:
        monkeypatch.setitem(connection.settings_dict, "NAME", str(file))


def test_a_probe_is_cheap(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(4):
        _ready(client)


def test_it_answers_readers_only(client: Client) -> None:
    assert client.head("/readyz").status_code == 200
    assert client.post("/readyz").status_code == 405
