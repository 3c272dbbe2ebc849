"""What clients report: taken strictly, kept for a while."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from providers import client_events
from providers.models import ClientEvent

URL = "/api/v1/client-events"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)

EVERY_FIELD = {
    "event_type": "api_error",
    "event_id": "mine-1",
    "timestamp": "2026-11-22T10:15:00.123Z",
    "timezone": "Asia/Hong_Kong",
    "user_locale": "zh-HK",
    "severity": "critical",
    "endpoint": "/api/v1/runs",
    "method": "POST",
    "status_code": 503,
    "latency_ms": 0,
    "run_id": "run_1",
    "task_id": "task_1",
    "provider_id": "openai",
    "model_id": "sora2",
    "error_code": "unavailable",
    "message": "无法创建",
    "stack": "at line 1\n" * 3_000,
    "context": {"page": "runs", "tries": [1, 2]},
}


def post(api: APIClient, *events: Any) -> Any:
    return api.post(URL, {"events": list(events)})


def test_events_are_answered_in_the_order_they_came(api: APIClient) -> None:
    response = post(
        api,
        {"event_type": "ui_error", "event_id": "b"},
        {"event_type": "i18n_error", "event_id": "a"},
    )
    assert response.status_code == 202
    answer = response.json()
    assert set(answer) == {"count", "events"}
    assert answer["count"] == 2
    assert [event["event_id"] for event in answer["events"]] == ["b", "a"]
    assert [set(event) for event in answer["events"]] == [{"event_id", "received_at"}] * 2
    assert answer["events"][0]["received_at"].endswith("Z")


def test_an_event_without_an_id_gets_one(api: APIClient) -> None:
    answer = post(
        api, {"event_type": "ui_error"}, {"event_type": "ui_error", "event_id": None}
    ).json()
    ids = [event["event_id"] for event in answer["events"]]
    assert [event_id[:4] for event_id in ids] == ["evt_", "evt_"]
    assert len(set(ids)) == 2


def test_an_event_is_kept_as_it_was_sent(api: APIClient) -> None:
    assert post(api, EVERY_FIELD).status_code == 202
    stored = ClientEvent.objects.get()
    assert stored.body == EVERY_FIELD
    assert (stored.event_id, stored.event_type) == ("mine-1", "api_error")


def test_every_field_but_the_type_may_be_null(api: APIClient) -> None:
    event = {**dict.fromkeys(EVERY_FIELD), "event_type": "task_error"}
    assert post(api, event).status_code == 202


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-22T10:15:00Z",
        "2026-11-22t10:15:00.123456789+08:00",
        "2026-11-22 10:15:00-05:30",
        1_795_342_500,
        1_795_342_500_123.5,
    ],
)
def test_a_timestamp_is_a_date_and_time_or_a_number(api: APIClient, timestamp: Any) -> None:
    assert post(api, {"event_type": "ui_error", "timestamp": timestamp}).status_code == 202


@pytest.mark.parametrize("count", [1, 100])
def test_one_to_a_hundred_events_are_taken(api: APIClient, count: int) -> None:
    assert post(api, *[{"event_type": "ui_error"}] * count).json()["count"] == count
    assert ClientEvent.objects.count() == count


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["events"]),
        ({"events": None}, ["events"]),
        ({"events": []}, ["events"]),
        ({"events": {}}, ["events"]),
        ({"events": [{"event_type": "ui_error"}] * 101}, ["events"]),
        ({"events": ["x"]}, ["events", 0]),
        ({"events": [{"event_type": "ui_error"}], "more": 1}, ["more"]),
        ([], []),
    ],
)
def test_a_body_of_another_shape_is_refused(api: APIClient, body: Any, loc: Any) -> None:
    response = api.post(URL, body)
    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert [error["loc"] for error in response.json()["details"]["errors"]] == [loc]
    assert not ClientEvent.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_type", None),
        ("event_type", "crash"),
        ("event_id", ""),
        ("event_id", "x" * 256),
        ("event_id", 7),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-11-22"),
        ("timestamp", "2026-11-22T10:15:00"),
        ("timestamp", "2026-02-30T10:15:00Z"),
        ("timestamp", True),
        ("timestamp", []),
        ("severity", "fatal"),
        ("status_code", 99),
        ("status_code", 600),
        ("status_code", "503"),
        ("status_code", True),
        ("latency_ms", -1),
        ("latency_ms", 1.5),
        ("message", "x" * 4_001),
        ("message", 1),
        ("stack", "x" * 32_001),
        ("context", []),
        ("colour", "red"),
    ],
)
def test_one_bad_field_refuses_the_whole_batch(api: APIClient, field: str, value: Any) -> None:
    response = post(api, {"event_type": "ui_error"}, {"event_type": "ui_error", field: value})
    assert response.status_code == 400
    errors = response.json()["details"]["errors"]
    assert [error["loc"] for error in errors] == [["events", 1, field]]
    assert not ClientEvent.objects.exists()


def test_all_problems_come_in_one_answer(api: APIClient) -> None:
    response = post(api, {"severity": "fatal"}, {"event_type": "ui_error", "latency_ms": -1})
    locs = [error["loc"] for error in response.json()["details"]["errors"]]
    assert locs == [
        ["events", 0, "event_type"],
        ["events", 0, "severity"],
        ["events", 1, "latency_ms"],
    ]


def test_a_nul_in_a_message_is_refused(api: APIClient) -> None:
    raw = b'{"events": [{"event_type": "ui_error", "message": "\\u0000"}]}'
    response = api.post(URL, raw, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["details"]["errors"][0]["loc"] == ["events", 0, "message"]


def test_only_post_is_taken(api: APIClient) -> None:
    response = api.get(URL)
    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.django_db
def test_events_older_than_ninety_days_are_deleted() -> None:
    day = timedelta(days=1)
    for age in (91 * day, 89 * day):
        client_events.store([{"event_type": "ui_error", "event_id": str(age.days)}], now=NOW - age)
    assert client_events.prune(now=NOW) == 1
    assert ClientEvent.objects.get().event_id == "89"


@pytest.mark.django_db
def test_storing_makes_room_by_deleting_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_events, "KEEP_ROWS", 3)
    for number in range(5):
        event = {"event_type": "ui_error", "event_id": str(number)}
        client_events.store([event], now=NOW)
    kept = ClientEvent.objects.order_by("pk").values_list("event_id", flat=True)
    assert list(kept) == ["2", "3", "4"]


@pytest.mark.django_db
def test_pruning_nothing_is_fine() -> None:
    assert client_events.prune(now=NOW) == 0
