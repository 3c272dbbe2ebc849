"""CineFlow through a real LiteLLM proxy to the simulator, and back to a file."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import KEY, FarEnd, free_port, project_python, running

PROXY_KEY = "sk-of-the-proxy"


@pytest.fixture(scope="module")
def proxy(simulator: FarEnd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a proxy that asks the simulator for every `sora-2`."""
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    model = {
        "model": "openai/sora-2",
        "api_base": simulator.url("/openai/v1"),
        "api_key": KEY,
        # The proxy repeats a submit of its own accord otherwise, and each may be billed.
        "max_retries": 0,
    }
    config = {
        "model_list": [{"model_name": "sora-2", "litellm_params": model}],
        "router_settings": {"num_retries": 0},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": PROXY_KEY},
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    command = [str(Path(sys.executable).with_name("litellm"))]
    command += ["--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    alive = f"http://127.0.0.1:{port}/health/liveliness"
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"}
    with running(command, log=folder / "log", answers=alive, **offline):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="module")
def cineflow(proxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of CineFlow's API; its one provider is the proxy."""
    folder, port = tmp_path_factory.mktemp("cineflow"), free_port()
    settings = {
        "PORT": str(port),
        "CINEFLOW_DATA_DIR": str(folder / "data"),
        "OPENAI_BASE_URL": proxy,
        "OPENAI_API_KEY": PROXY_KEY,
        "OPENAI_DIALECT": "litellm",
        "POLL_INITIAL_WAIT_SECONDS": "0.2",
        "POLL_INTERVAL_SECONDS": "0.5",
        "NO_PROXY": "127.0.0.1",
    }
    command = [project_python(), "manage.py", "serve"]
    ready = f"http://127.0.0.1:{port}/readyz"
    with running(command, log=folder / "log", answers=ready, **settings):
        yield f"http://127.0.0.1:{port}/api/v1"


def film(*prompts: str) -> bytes:
    segments = [
        {"segment_index": index, "prompt_text": prompt, "duration_seconds": 4}
        for index, prompt in enumerate(prompts, start=1)
    ]
    return json.dumps({"segments": segments}).encode()


def tasks_of(api: str, *prompts: str) -> list[dict[str, Any]]:
    """Import a storyboard, run it, and wait for its end."""
    upload = requests.post(
        f"{api}/storyboards", files={"file": ("film.json", film(*prompts))}, timeout=30
    )
    wanted = {"storyboard_id": upload.json()["id"], "model_id": "sora2", "concurrency": 4}
    run = requests.post(f"{api}/runs", json=wanted, timeout=30).json()
    until = time.monotonic() + 90
    while requests.get(f"{api}/runs/{run['id']}", timeout=30).json()["status"] in (
        "queued",
        "running",
    ):
        assert time.monotonic() < until, requests.get(
            f"{api}/runs/{run['id']}/tasks", timeout=30
        ).text
        time.sleep(0.3)
    tasks: list[dict[str, Any]] = requests.get(f"{api}/runs/{run['id']}/tasks", timeout=30).json()[
        "items"
    ]
    return tasks


def test_a_storyboard_is_made_through_the_proxy(
    cineflow: str, far_end: FarEnd, is_video: Callable[[bytes], bool]
) -> None:
    tasks = tasks_of(cineflow, "A city at dusk", "一座城市", "A harbour")
    assert [task["status"] for task in tasks] == ["completed"] * 3
    host = cineflow.removesuffix("/api/v1")
    assert all(
        is_video(requests.get(host + task["video_url"], timeout=30).content) for task in tasks
    )
    assert len(far_end.posts()) == 3


def test_a_refusal_is_told_as_what_it_is_and_not_repeated(cineflow: str, far_end: FarEnd) -> None:
    refused, failed = tasks_of(
        cineflow, "A city [[sim:submit=moderation]]", "A town [[sim:fail=moderation_blocked]]"
    )
    assert (refused["status"], refused["error_code"]) == ("failed", "content_policy")
    assert (failed["status"], failed["error_code"]) == ("failed", "content_policy")
    assert len(far_end.posts()) == 2


def test_a_lost_answer_is_never_paid_twice(cineflow: str, far_end: FarEnd) -> None:
    [task] = tasks_of(cineflow, "A city [[sim:submit=500_after_create]]")
    assert (task["status"], task["error_code"]) == ("failed", "unknown_error")
    assert task["possibly_billed"] is True
    assert len(far_end.posts()) == 1
