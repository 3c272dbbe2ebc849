"""What `/metrics` says, read as Prometheus reads it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from providers.models import Provider, ProviderModel
from runs.models import Attempt, Heartbeat, Run, Task
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun

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
    assert set(scrape(client)["invariant_broken"].values()) == {0}
    Task.objects.filter(segment_index=1).delete()
    Run.objects.update(event_count=7)
    assert scrape(client)["invariant_broken"] == {("I1",): 1, ("I3",): 0, ("I8",): 1}


def test_a_scrape_asks_as_many_questions_for_three_runs_as_for_one(
    client: Client, start: MakeRun
) -> None:
    counts = []
    for _ in range(2):
        start("a city", "a river")
        with CaptureQueriesContext(connection) as captured:
            scrape(client)
        counts.append(len(captured))
    assert counts[0] == counts[1]
