"""What `/metrics` says, read as Prometheus reads it."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from providers.models import Provider, ProviderModel
from runs.models import Attempt, Event, Heartbeat, Phase, Run, Status, Task
from tests.api.served import served
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeBoard, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)

Samples = dict[tuple[str, ...], float]


def scrape(client: Client) -> dict[str, Samples]:
    """By metric, without our prefix: values by their labels' values, in the order of the labels' names."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        family.name.removeprefix("cineflow_"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(answer.content.decode())
    }


def test_it_is_prometheus_text_of_gauges_with_help(client: Client, catalogue: None) -> None:
    answer = client.get("/metrics")
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.content.decode()))
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation and family.name.startswith("cineflow_") for family in families)


def test_it_needs_the_token(client: Client, catalogue: None, settings: Any) -> None:
    settings.AUTH_TOKEN = "a-token"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer a-token"}).status_code == 200


def test_it_is_only_read(client: Client, catalogue: None) -> None:
    assert client.post("/metrics").status_code == 405


def test_work_by_its_state(
    client: Client, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    machine.now = timezone.now()
    faults = ["", "[[sim:submit=moderation]]", "[[sim:submit=500]]"]
    machine.run_to_end(start(*[f"a city {fault}" for fault in faults]), seconds=10)
    start("another")
    found = scrape(client)
    assert found["tasks"] == {
        ("queued",): 1,
        ("running",): 0,
        ("completed",): 1,
        ("failed",): 2,
        ("download_failed",): 0,
        ("canceled",): 0,
    }
    assert (found["runs"]["queued",], found["runs"]["failed",]) == (1, 1)
    assert found["attempts_live"] == {("ambiguous", "openai"): 1}
    assert found["decisions_open"] == {(): 1}
    assert found["attempts_ended_last_hour"] == {
        ("", "done", "openai"): 1,
        ("content_policy", "rejected", "openai"): 1,
    }


def test_latency_is_of_the_last_hours(
    client: Client, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    machine.run_to_end(start(*["a city"] * 3))
    now = timezone.now()
    for seconds, attempt in zip((10, 20, 60), Attempt.objects.all(), strict=True):
        accepted = now - timedelta(seconds=seconds)
        Attempt.objects.filter(pk=attempt.pk).update(accepted_at=accepted, finished_at=now)
    found = scrape(client)["provider_latency_seconds"]
    assert found == {("openai", "0.5"): 20, ("openai", "0.95"): 56}
    Attempt.objects.update(finished_at=now - timedelta(hours=7))
    assert scrape(client)["provider_latency_seconds"] == {}


def test_what_is_due_and_nobody_takes(client: Client, start: MakeRun, machine: Machine) -> None:
    start("a city", dry_run=True)
    Task.objects.update(due_at=timezone.now() - timedelta(seconds=100))
    ages = scrape(client)["due_age_seconds"]
    assert ages["check",] == pytest.approx(100, abs=20)
    assert ages["poll",] == 0
    Task.objects.update(lease_until=timezone.now() + timedelta(seconds=60))
    assert scrape(client)["due_age_seconds"]["check",] == 0


def test_signs_of_life(client: Client, catalogue: None) -> None:
    assert scrape(client)["workers"] == {(): 0}
    for age in (5, 100):
        at = timezone.now() - timedelta(seconds=age)
        Heartbeat.objects.create(worker=f"host:{age}", at=at)
    found = scrape(client)
    assert found["heartbeat_age_seconds"][()] == pytest.approx(5, abs=20)
    assert found["workers"] == {(): 1}


def test_holds_and_breakers(client: Client, catalogue: None) -> None:
    until = timezone.now() + timedelta(seconds=100)
    Provider.objects.filter(pk="openai").update(not_before=until, trips=2)
    ProviderModel.objects.filter(provider="openai", name="sora-2").update(trips=1)
    found = scrape(client)
    assert found["provider_held_seconds"]["", "openai"] == pytest.approx(100, abs=20)
    assert found["provider_held_seconds"]["", "sora_hk"] == 0
    assert found["provider_trips"]["", "openai"] == 2
    states = {key for key, value in found["provider_breaker"].items() if value}
    assert {("", "openai", "open"), ("sora-2", "openai", "half_open")} <= states
    assert ("", "sora_hk", "closed") in states


def test_broken_invariants(client: Client, start: MakeRun, machine: Machine) -> None:
    start("a city", "a river")
    numbers = [(number,) for number in ("I1", "I3", "I8", "I13", "I15")]
    assert scrape(client)["invariant_broken"] == dict.fromkeys(numbers, 0)
    Task.objects.filter(segment_index=1).delete()
    Run.objects.update(event_count=7)
    found = scrape(client)["invariant_broken"]
    assert {number for (number,), rows in found.items() if rows} == {"I1", "I8"}


def test_jobs_over_a_limit_or_without_a_task_that_looks_after_them(
    client: Client, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    start("a city", "a river")
    machine.submit()
    Run.objects.update(concurrency=1)
    Task.objects.filter(segment_index=1).update(step="download")
    found = scrape(client)["invariant_broken"]
    assert {number for (number,), rows in found.items() if rows} == {"I13", "I15"}


# ---- what it costs, and who answers ----------------------------------------------------------------


def scraped(client: Client) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        scrape(client)
    return [query["sql"] for query in captured]


def test_a_scrape_asks_as_many_questions_for_three_runs_as_for_one(
    client: Client, start: MakeRun
) -> None:
    counts = []
    for _ in range(2):
        start("a city", "a river")
        counts.append(len(scraped(client)))
    assert counts[0] == counts[1]


def test_a_scrape_reads_no_table_of_work_from_end_to_end(
    client: Client, start: MakeRun, board: MakeBoard
) -> None:
    """Of three thousand that have ended it reads none, so of a million neither."""
    storyboard = board(*["a city"] * 100)
    for _ in range(30):
        has_ended(start(of=storyboard, force=True), at=timezone.now() - timedelta(days=9))
    start("a river")
    questions = [sql for sql in scraped(client) if "runs_" in sql]
    assert len(questions) > 15
    assert [sql for sql, plan in plans(questions) if re.search(WHOLE, plan, re.MULTILINE)] == []


# Of a table of tasks, attempts or events, in the words of either database. A partial index is no whole table.
WHOLE = r"Seq Scan on runs_(task|attempt|event)|SCAN (runs_)?(task|attempt|event|sent|retry)$"


def has_ended(run: Run, *, at: datetime) -> None:
    tasks = list(run.tasks.all())
    Task.objects.filter(run=run).update(
        status=Status.COMPLETED, step="", due_at=None, finished_at=at, attempt_count=1
    )
    Run.objects.filter(pk=run.pk).update(
        status=Status.COMPLETED, queued=0, completed=len(tasks), finished_at=at
    )
    Attempt.objects.bulk_create(
        Attempt(
            task=task,
            run=run,
            number=1,
            phase=Phase.DONE,
            provider_id="openai",
            provider_model_id="sora-2",
            provider_job_id=str(task.pk),
            prompt=task.full_prompt,
            seconds=4,
            sent_at=at,
            accepted_at=at,
            finished_at=at,
        )
        for task in tasks
    )
    Event.objects.bulk_create(
        Event(run=run, number=number, task=task, at=at, kind="task")
        for number, task in enumerate(tasks, 2)
    )


def plans(questions: Sequence[str]) -> Iterator[tuple[str, str]]:
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        for sql in questions:
            cursor.execute(f"{explain} {sql}")
            yield sql, "\n".join(str(row[-1]) for row in cursor.fetchall())
        transaction.set_rollback(True)  # the next test's planner is not to know of these rows


def test_every_process_of_the_web_server_says_the_same(
    client: Client, start: MakeRun, tmp_path: Path
) -> None:
    start("a city", "a river", dry_run=True)
    with served(tmp_path, WEB_WORKERS="2") as server:
        # Each on a connection of its own, so that both workers get some of them.
        asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answers = [server.ask(asked) for _ in range(12)]
    tasks = [line for line in client.get("/metrics").content.splitlines() if b"_tasks{" in line]
    assert b'cineflow_tasks{status="queued"} 2.0' in tasks
    for answer in answers:
        assert answer.status == 200
        assert [line for line in answer.body.splitlines() if b"_tasks{" in line] == tasks
