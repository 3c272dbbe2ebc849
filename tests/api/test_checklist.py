"""The integration checklist step by step: every example with its fields, types and nulls."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from rest_framework.test import APIClient

from cineflow.core import clock
from runs.models import Run, Task
from runs.steps import check
from tests.api.hostile_cases import TOKEN, json_bytes, png

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
BOARD = {
    "segments": [
        {
            "segment_index": 1,
            "prompt_text": "A futuristic city skyline at night. Cyberpunk style.",
            "asset": {"characters": [], "scene": "Future City", "props": []},
            "director_intent": "Establishing shot.",
        },
        {"segment_index": 2, "prompt_text": "The river by day."},
    ]
}

# ---- shapes ------------------------------------------------------------------------------------

Shape = dict[str, Callable[[Any], bool]]


def is_whole(value: Any) -> bool:
    return type(value) is int


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def is_time(value: Any) -> bool:
    return is_text(value) and TIME.fullmatch(value) is not None


def is_id(prefix: str) -> Callable[[Any], bool]:
    return lambda value: is_text(value) and value.startswith(f"{prefix}_")


def or_null(inner: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or inner(value)


def is_asset(value: Any) -> bool:
    characters = value["characters"]
    named = all(set(one) == {"name", "id"} and is_text(one["name"]) for one in characters)
    props = all(is_text(prop) for prop in value["props"])
    return (
        set(value) == {"characters", "scene", "props"}
        and named
        and props
        and or_null(is_text)(value["scene"])
    )


STORYBOARD: Shape = {
    "id": is_id("sb"),
    "name": is_text,
    "created_at": is_time,
    "segment_count": is_whole,
}
SEGMENT: Shape = {
    "id": is_id("seg"),
    "segment_index": is_whole,
    "prompt_text": is_text,
    "image_url": or_null(is_text),
    "asset": is_asset,
    "is_pro": is_truth,
    "duration_seconds": is_whole,
    "resolution": is_text,
    "director_intent": or_null(is_text),
}
RUN: Shape = {
    "id": is_id("run"),
    "status": is_text,
    **dict.fromkeys(("total_tasks", "completed", "failed", "download_failed"), is_whole),
    "created_at": is_time,
}
TASK: Shape = {
    "id": is_id("task"),
    "status": is_text,
    "video_url": or_null(is_text),
    "metadata_url": is_text,
    "full_prompt": is_text,
    "error_msg": or_null(is_text),
    "error_code": or_null(is_text),
    "retryable": or_null(is_truth),
    "segment_index": is_whole,
}
CLOSED = (STORYBOARD, SEGMENT)  # where the contract lets no field be added


def wrong_fields(body: Any, shape: Shape) -> list[str]:
    wrong = [name for name, fits in shape.items() if name not in body or not fits(body[name])]
    return wrong + [name for name in body if shape in CLOSED and name not in shape]


def page_of(answer: Any, shape: Shape) -> Any:
    """The items of a list, once the list and each of them has the shape it must have."""
    body = answer.json()
    assert answer.status_code == 200, body
    assert list(body) == ["items", "page", "page_size", "total"]
    assert all(is_whole(body[name]) for name in ("page", "page_size", "total"))
    assert [wrong_fields(item, shape) for item in body["items"]] == [[] for _ in body["items"]]
    return body["items"]


# ---- what the steps need -----------------------------------------------------------------------


@pytest.fixture(params=["", TOKEN], ids=["open", "token"])
def client(request: pytest.FixtureRequest, api: APIClient, settings: Settings) -> APIClient:
    """A client that may do everything, of a server with and without a token."""
    settings.AUTH_TOKEN = request.param
    if request.param:
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {request.param}")
    return api


def upload(client: APIClient, board: Any = BOARD, *, name: str = "storyboard_demo.json") -> Any:
    return client.post(
        "/api/v1/storyboards",
        {"file": SimpleUploadedFile(name, json_bytes(board))},
        format="multipart",
    )


def first_segment(client: APIClient) -> Any:
    board = upload(client).json()
    return client.get(f"/api/v1/storyboards/{board['id']}/segments").json()["items"][0]


def create_run(client: APIClient, **more: Any) -> Any:
    """The example's own request, for a fresh storyboard."""
    body = {
        "storyboard_id": upload(client).json()["id"],
        "model_id": "sora2",
        "routing_strategy": "default",
        "gen_count": 1,
        "concurrency": 3,
        "range": "all",
        "output_mode": "centralized",
        "output_path": None,
        "dry_run": True,
        "force": False,
    }
    return client.post("/api/v1/runs", {**body, **more})


def ended_run(client: APIClient) -> Any:
    run = create_run(client).json()
    check.turn(clock.now())
    return run


def failed_task(client: APIClient) -> Any:
    """The first task of a dry run, failed as in the checklist's example; its sibling is done."""
    run = ended_run(client)
    task = client.get(f"/api/v1/runs/{run['id']}/tasks").json()["items"][0]
    row = Task.objects.get(segment_index=1)
    Task.objects.filter(pk=row.pk).update(
        status="failed", error_code="rate_limited", error_msg="Rate limit reached", retryable=True
    )
    Run.objects.filter(pk=row.run_id).update(status="failed", completed=1, failed=1)
    return task


# ---- the happy path ----------------------------------------------------------------------------


def test_1_a_storyboard_is_uploaded(client: APIClient) -> None:
    answer = upload(client)
    body = answer.json()
    assert (answer.status_code, wrong_fields(body, STORYBOARD)) == (201, [])
    assert (body["name"], body["segment_count"]) == ("storyboard_demo.json", 2)
    assert answer["Location"] == f"/api/v1/storyboards/{body['id']}"


def test_2_the_list_holds_it(client: APIClient) -> None:
    board = upload(client).json()
    query = "page=1&page_size=20&sort=created_at&order=desc&name=demo"
    assert page_of(client.get(f"/api/v1/storyboards?{query}"), STORYBOARD) == [board]
    assert client.get(f"/api/v1/storyboards/{board['id']}").json() == board


def test_3_its_segments_are_as_they_were_written(client: APIClient) -> None:
    board = upload(client).json()
    first, second = page_of(
        client.get(f"/api/v1/storyboards/{board['id']}/segments?page=1&page_size=20"), SEGMENT
    )
    assert {name: first[name] for name in BOARD["segments"][0]} == BOARD["segments"][0]
    assert (
        first["image_url"],
        first["is_pro"],
        first["duration_seconds"],
        first["resolution"],
    ) == (*(None, False, 10, "horizontal"),)
    assert second["asset"] == {"characters": [], "scene": None, "props": []}
    assert second["director_intent"] is None


def test_4_a_segment_is_edited(client: APIClient) -> None:
    before = first_segment(client)
    changes = {
        "prompt_text": "City sunrise, wide shot",
        "duration_seconds": 12,
        "resolution": "horizontal",
        "is_pro": False,
    }
    answer = client.patch(f"/api/v1/segments/{before['id']}", changes)
    assert (answer.status_code, wrong_fields(answer.json(), SEGMENT)) == (200, [])
    assert answer.json() == {**before, **changes}
    assert client.get(f"/api/v1/segments/{before['id']}").json() == answer.json()


def test_4_a_start_image_is_uploaded_and_open_to_all(client: APIClient, settings: Settings) -> None:
    segment = first_segment(client)
    file = SimpleUploadedFile("a.png", png())
    answer = client.post(
        f"/api/v1/segments/{segment['id']}/assets/start-image", {"file": file}, format="multipart"
    )
    assert (answer.status_code, list(answer.json())) == (200, ["image_url"])
    url = answer.json()["image_url"]
    assert client.get(f"/api/v1/segments/{segment['id']}").json()["image_url"] == url
    image: Any = APIClient().get(url)
    assert (image.status_code, image["Content-Type"], image.getvalue()) == (200, "image/png", png())


def test_5_the_models_are_there(client: APIClient) -> None:
    shape: Shape = {
        "id": is_text,
        "display_name": is_text,
        "description": or_null(is_text),
        "enabled": is_truth,
    }
    models = page_of(client.get("/api/v1/models?enabled=true"), shape)
    assert {"sora2", "sora2pro"} <= {model["id"] for model in models}


def test_6_and_7_a_dry_run_is_created_and_completes(client: APIClient) -> None:
    answer = create_run(client)
    run = answer.json()
    assert (answer.status_code, wrong_fields(run, RUN)) == (201, [])
    assert (run["status"] in ("queued", "running"), run["total_tasks"]) == (True, 2)
    assert answer["Location"] == f"/api/v1/runs/{run['id']}"
    check.turn(clock.now())
    ended = client.get(f"/api/v1/runs/{run['id']}").json()
    assert wrong_fields(ended, RUN) == []
    assert (ended["status"], ended["completed"], ended["failed"]) == ("completed", 2, 0)


def test_8_its_tasks_are_listed(client: APIClient) -> None:
    run = ended_run(client)
    tasks = page_of(
        client.get(f"/api/v1/runs/{run['id']}/tasks?sort=segment_index&order=asc"), TASK
    )
    assert [task["segment_index"] for task in tasks] == [1, 2]
    for task in tasks:
        expected = {"status": "completed", "metadata_url": f"/api/v1/tasks/{task['id']}/metadata"}
        nulls = dict.fromkeys(("video_url", "error_msg", "error_code", "retryable"))
        assert {name: task[name] for name in (*expected, *nulls)} == {**expected, **nulls}


def test_9_a_failed_task_says_why(client: APIClient) -> None:
    task = failed_task(client)
    answer = client.get(f"/api/v1/tasks/{task['id']}")
    body = answer.json()
    assert (answer.status_code, wrong_fields(body, TASK)) == (200, [])
    assert (body["status"], body["error_code"], body["retryable"]) == (
        "failed",
        "rate_limited",
        True,
    )
    assert body["error_msg"] == "Rate limit reached"


def test_10_so_does_its_metadata(client: APIClient) -> None:
    task = failed_task(client)
    answer = client.get(f"/api/v1/tasks/{task['id']}/metadata")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert (answer.json()["error_code"], answer.json()["retryable"]) == ("rate_limited", True)
    assert answer.json()["id"] == task["id"]


def test_11_a_dry_run_has_no_video(client: APIClient) -> None:
    task = failed_task(client)
    answer = client.get(f"/api/v1/tasks/{task['id']}/download")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("body", [None, {}, {"submit_again": True}])
def test_12_a_failed_task_is_retried(client: APIClient, body: Any) -> None:
    task = failed_task(client)
    answer = client.post(f"/api/v1/tasks/{task['id']}/retry", body)
    again = answer.json()
    assert (answer.status_code, wrong_fields(again, TASK)) == (202, [])
    assert again["status"] in ("queued", "running")
    assert (again["error_msg"], again["error_code"], again["retryable"]) == (None, None, None)
    run = client.get(f"/api/v1/runs/{again['run_id']}").json()
    assert (run["status"], run["completed"], run["failed"], run["total_tasks"]) == (
        "running",
        1,
        0,
        2,
    )


# ---- filters and errors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=failed", [1]),
        ("status=completed", [2]),
        ("status=canceled", []),
        ("status=failed&retryable=true", [1]),
        ("status=failed&retryable=false", []),
        ("error_code=rate_limited", [1]),
        ("error_code=timeout", []),
        ("segment_index=2", [2]),
        ("sort=segment_index&order=desc", [2, 1]),
        ("sort=segment_index", [2, 1]),
        ("sort=status&order=asc&page=2&page_size=1", [1]),
        ("page=3&page_size=1", []),
    ],
)
def test_tasks_are_filtered_and_sorted(client: APIClient, query: str, found: list[int]) -> None:
    failed_task(client)
    (run,) = page_of(client.get("/api/v1/runs?status=failed"), RUN)
    tasks = page_of(client.get(f"/api/v1/runs/{run['id']}/tasks?{query}"), TASK)
    assert [task["segment_index"] for task in tasks] == found


def test_runs_are_filtered_by_status(client: APIClient) -> None:
    failed_task(client)
    assert page_of(client.get("/api/v1/runs?status=completed"), RUN) == []
    assert (
        len(page_of(client.get("/api/v1/runs?status=failed&sort=created_at&order=asc"), RUN)) == 1
    )


@pytest.mark.parametrize(
    "path", ["storyboards/sb_123", "segments/seg_001", "tasks/task_001", "runs/run_123"]
)
def test_an_unknown_id_is_not_found(client: APIClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"], set(answer.json())) == (
        404,
        "not_found",
        {"code", "message"},
    )


@pytest.mark.parametrize(("field", "value"), [("duration_seconds", 7), ("resolution", "square")])
def test_a_bad_duration_or_resolution_is_refused(client: APIClient, field: str, value: Any) -> None:
    answer = client.patch(f"/api/v1/segments/{first_segment(client)['id']}", {field: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [error["loc"] for error in answer.json()["details"]["errors"]] == [[field]]


def test_the_schema_error_is_the_example_itself(client: APIClient) -> None:
    answer = upload(client, {"segments": [{"segment_index": 1, "prompt_text": " "}]})
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "schema_error",
        "message": "Invalid storyboard schema",
        "details": {
            "errors": [
                {
                    "loc": ["segments", 0, "prompt_text"],
                    "msg": "Prompt text cannot be empty.",
                    "type": "value_error",
                }
            ]
        },
    }


@pytest.mark.parametrize("header", [None, "Bearer wrong"])
def test_the_authentication_error_is_the_example_itself(
    api: APIClient, settings: Settings, header: str | None
) -> None:
    settings.AUTH_TOKEN = TOKEN
    if header:
        api.credentials(HTTP_AUTHORIZATION=header)
    for method in (api.get, api.post, api.patch, api.delete):
        answer: Any = method("/api/v1/storyboards")
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.json() == {"code": "unauthorized", "message": "Authentication required"}
