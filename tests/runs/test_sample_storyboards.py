"""The three providers of the contract, from a sample storyboard to files, and with the errors that they document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from runs.models import Run
from tests.providers.dialects import DIALECTS, Dialect
from tests.providers.simulated import Simulator, simulator
from tests.runs.conftest import Machine

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "sk-sample-5f0c2a9e71"
# A sample whose lengths the provider documents: 10 s there, 4 and 8 s here.
SAMPLES = {
    "sora_hk": "storyboard_demo.json",
    "openai": "storyboard_zh.json",
    "aihubmix": "storyboard_zh.json",
}
NUDITY = "此内容可能违反关于裸露、性内容或色情内容的相关规定。"

# Provider, what goes wrong, and what the task says of it: error code, whether to try again, a part of its text.
ERRORS = [
    ("sora_hk", "fail=moderation", "content_policy", False, NUDITY),
    ("sora_hk", "submit=validation", "validation_error", False, "参数错误"),
    ("sora_hk", "submit=in_body_error", "server_error", True, "服务器内部错误"),
    ("openai", "submit=moderation", "content_policy", False, "blocked by our moderation system"),
    ("openai", "fail=moderation", "content_policy", False, "blocked by our moderation system"),
    ("openai", "submit=validation", "validation_error", False, "Supported values are"),
    ("openai", "fail=server_error", "server_error", True, "The server had an error"),
    ("openai", "submit=404", "dependency_error", True, "The model is gone"),
    ("aihubmix", "submit=moderation", "content_policy", False, "此内容可能违反了我们的内容政策"),
    ("aihubmix", "submit=no_channel", "dependency_error", True, "no_valid_channel_error"),
    ("aihubmix", "submit=403", "forbidden", True, "not allowed"),
]
# What holds the account holds the task too, and says why.
HOLDS = [
    ("sora_hk", "submit=balance", "余额不足"),
    ("sora_hk", "submit=401", "未授权"),
    ("openai", "submit=insufficient_quota", "check your plan and billing details"),
    ("aihubmix", "submit=balance", "预扣费额度失败"),
    ("aihubmix", "submit=401", "无效的令牌"),
]


@pytest.fixture
def machine(patient_machine: Machine) -> Machine:
    return patient_machine


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def far_end(catalogue: None, settings: Any) -> Iterator[Simulator]:
    with simulator(seconds=0.0, api_key=KEY) as running:
        settings.PROVIDERS = {
            dialect.provider: dialect.account(running.origin, KEY)
            for dialect in map(named, SAMPLES)
        }
        yield running


def short(value: object) -> str:
    """Chinese would be escaped in a test's name."""
    return str(value) if str(value).isascii() else "chinese"


def named(name: str) -> Dialect:
    return next(dialect for dialect in DIALECTS if dialect.name == name)


def uploaded(api: APIClient, provider_id: str) -> tuple[str, list[dict[str, Any]]]:
    """The sample as it lies there; returns its id and its segments."""
    sample = Path(settings.BASE_DIR, "examples", SAMPLES[provider_id])
    file = SimpleUploadedFile(sample.name, sample.read_bytes())
    board = api.post("/api/v1/storyboards", {"file": file}, format="multipart").json()
    segments = api.get(f"/api/v1/storyboards/{board['id']}/segments").json()["items"]
    return board["id"], segments


def started(api: APIClient, provider_id: str, board_id: str, **more: Any) -> str:
    """A run of the contract's own model, at that provider."""
    body = {
        "storyboard_id": board_id,
        "model_id": "sora2",
        "routing_strategy": "manual",
        "provider_id": provider_id,
        "concurrency": 10,
        **more,
    }
    answer = api.post("/api/v1/runs", body)
    assert answer.status_code == 201, answer.json()
    run_id: str = answer.json()["id"]
    return run_id


def tasks_of(api: APIClient, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(
        f"/api/v1/runs/{run_id}/tasks?sort=segment_index&order=asc"
    ).json()["items"]
    return found


def the_run() -> Run:
    return Run.objects.get()


@pytest.mark.parametrize("provider_id", SAMPLES)
def test_a_sample_becomes_files_of_the_lengths_it_asks_for(
    provider_id: str, far_end: Simulator, api: APIClient, machine: Machine
) -> None:
    board_id, segments = uploaded(api, provider_id)
    run_id = started(api, provider_id, board_id)
    machine.run_to_end(the_run())
    tasks = tasks_of(api, run_id)
    assert [task["status"] for task in tasks] == ["completed"] * len(segments)
    facts = [api.get(task["metadata_url"]).json()["file"] for task in tasks]
    assert [round(fact["seconds"]) for fact in facts] == [
        segment["duration_seconds"] for segment in segments
    ]
    assert [fact["width"] > fact["height"] for fact in facts] == [
        segment["resolution"] == "horizontal" for segment in segments
    ]
    posts = far_end.ledger()["posts"]
    assert sorted(post["prompt"] for post in posts) == sorted(task["full_prompt"] for task in tasks)
    for task in tasks:
        answer: Any = api.get(task["video_url"])
        assert b"".join(answer.streaming_content)[4:8] == b"ftyp"
        answer.close()


@pytest.mark.parametrize(
    ("provider_id", "directive", "code", "retryable", "words"), ERRORS, ids=short
)
def test_an_error_that_a_provider_documents_is_told(
    provider_id: str,
    directive: str,
    code: str,
    retryable: bool,
    words: str,
    far_end: Simulator,
    api: APIClient,
    machine: Machine,
) -> None:
    board_id, segments = uploaded(api, provider_id)
    prompt = f"{segments[0]['prompt_text']} [[sim:{directive}]]"
    api.patch(f"/api/v1/segments/{segments[0]['id']}", {"prompt_text": prompt})
    run_id = started(api, provider_id, board_id, range="1")
    machine.run_to_end(the_run())
    (task,) = tasks_of(api, run_id)
    assert (task["status"], task["error_code"], task["retryable"]) == ("failed", code, retryable)
    assert words in task["error_msg"]
    metadata = api.get(task["metadata_url"]).json()
    assert len(far_end.ledger()["posts"]) == len(metadata["attempts"])


@pytest.mark.parametrize(("provider_id", "directive", "words"), HOLDS, ids=short)
def test_what_holds_the_account_is_told_by_the_waiting_task(
    provider_id: str,
    directive: str,
    words: str,
    far_end: Simulator,
    api: APIClient,
    machine: Machine,
) -> None:
    board_id, segments = uploaded(api, provider_id)
    prompt = f"{segments[0]['prompt_text']} [[sim:{directive}*1]]"
    api.patch(f"/api/v1/segments/{segments[0]['id']}", {"prompt_text": prompt})
    run_id = started(api, provider_id, board_id, range="1")
    machine.turn()
    (task,) = tasks_of(api, run_id)
    assert (task["status"], words in task["waiting_reason"]) == ("queued", True)
    machine.run_to_end(the_run())
    assert [task["status"] for task in tasks_of(api, run_id)] == ["completed"]


def test_a_pro_segment_is_ordered_as_one(
    far_end: Simulator, api: APIClient, machine: Machine
) -> None:
    board_id, segments = uploaded(api, "sora_hk")
    api.patch(f"/api/v1/segments/{segments[0]['id']}", {"is_pro": True, "duration_seconds": 25})
    started(api, "sora_hk", board_id, range="1")
    machine.run_to_end(the_run())
    (post,) = far_end.ledger()["posts"]
    assert (post["model"], post["seconds"]) == ("sora2-pro", 25)
