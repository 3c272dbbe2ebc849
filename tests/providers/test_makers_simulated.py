"""The simulated OpenRouter, Ark and MiniMax: as strict as the real ones, and with their quirks."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.providers.simulated import Simulator, simulator

KEY = "sk-right"
OPENROUTER, ARK, MINIMAX = "/openrouter/api/v1", "/ark/api/v3", "/minimax"
VIDEOS = f"{OPENROUTER}/videos"
TASKS = f"{ARK}/contents/generations/tasks"
SUBMIT, QUERY = f"{MINIMAX}/v2/video_generation", f"{MINIMAX}/v2/query/video_generation"
TEXT = {"type": "text", "text": "A city at dusk"}
SHOT: dict[str, Any] = {"duration": 4, "resolution": "720p"}
GOOD: dict[str, dict[str, Any]] = {
    VIDEOS: SHOT
    | {"model": "google/veo-3.1-fast", "prompt": "A city at dusk", "aspect_ratio": "16:9"},
    TASKS: SHOT | {"model": "dreamina-seedance-2-5-260628", "content": [TEXT], "ratio": "16:9"},
    SUBMIT: {
        "model": "MiniMax-H3",
        "content": [TEXT],
        "ratio": "16:9",
        "resolution": "768P",
        "duration": 4,
    },
}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Far:
    """The server, and a clock at whose stand each job takes a hundred seconds."""

    def __init__(self, server: Simulator, clock: Clock) -> None:
        self.server, self.clock = server, clock
        self.session = requests.Session()
        self.session.trust_env = False

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = KEY
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = self.server.origin + path
        return self.session.request(method, url, json=body, headers=headers, timeout=10)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def made(self, path: str, **more: Any) -> str:
        answer = self.call("POST", path, GOOD[path] | more)
        assert answer.status_code in (200, 202), answer.text
        found = answer.json()
        job_id: str = found.get("id") or found["task_id"]
        return job_id


@pytest.fixture(scope="module")
def running() -> Iterator[Far]:
    clock = Clock()
    with simulator(seconds=100.0, api_key=KEY, clock=clock) as server:
        far = Far(server, clock)
        yield far
        far.session.close()


@pytest.fixture
def far(running: Far) -> Far:
    running.server.reset()
    running.clock.now = 1000.0
    return running


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("key", ["", "sk-wrong"])
def test_a_key_is_asked_for(far: Far, path: str, key: str) -> None:
    answer = far.call("POST", path, GOOD[path], key=key)
    assert (answer.status_code, "error" in answer.json()) == (401, True)
    assert far.server.summary()["created"] == 0


BAD: list[tuple[str, dict[str, Any]]] = [
    (VIDEOS, {"duration": 5}),
    (VIDEOS, {"duration": "4"}),
    (VIDEOS, {"resolution": "480p"}),
    (VIDEOS, {"aspect_ratio": "1:1"}),
    (VIDEOS, {"size": "1280x720"}),
    (VIDEOS, {"prompt": ""}),
    (VIDEOS, {"seconds": 4}),
    (VIDEOS, {"session_id": "x" * 257}),
    (VIDEOS, {"frame_images": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}),
    (TASKS, {"duration": 3}),
    (TASKS, {"duration": 31}),
    (TASKS, {"resolution": "4k"}),
    (TASKS, {"ratio": "2:1"}),
    (TASKS, {"content": []}),
    (TASKS, {"content": [TEXT, TEXT]}),
    (TASKS, {"content": [TEXT, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}),
    (TASKS, {"prompt": "A city"}),
    (TASKS, {"safety_identifier": "x" * 65}),
    (SUBMIT, {"duration": 16}),
    (SUBMIT, {"resolution": "720p"}),
    (SUBMIT, {"ratio": "adaptive"}),
    (SUBMIT, {"safety_identifier": "mine"}),
    (SUBMIT, {"content": [TEXT | {"role": "first_frame"}]}),
]


@pytest.mark.parametrize(("path", "change"), BAD)
def test_what_a_vendor_refuses_is_refused(far: Far, path: str, change: dict[str, Any]) -> None:
    assert far.call("POST", path, GOOD[path] | change).status_code == 400
    assert far.server.summary()["created"] == 0


@pytest.mark.parametrize("path", GOOD)
def test_an_unknown_model_and_a_misspelt_directive(far: Far, path: str) -> None:
    assert far.call("POST", path, GOOD[path] | {"model": "sora-2"}).status_code == 404
    text = "A city [[sim:sbmit=500]]"
    words = {"prompt": text} if path == VIDEOS else {"content": [TEXT | {"text": text}]}
    assert far.call("POST", path, GOOD[path] | words).status_code == 400


def test_openrouter_accepts_with_202_and_tells_no_progress(far: Far) -> None:
    answer = far.call("POST", VIDEOS, GOOD[VIDEOS])
    job_id = answer.json()["id"]
    polling = {"id": job_id, "polling_url": f"{VIDEOS}/{job_id}"}
    assert (answer.status_code, answer.json()) == (202, polling | {"status": "pending"})
    assert job_id.startswith("gen-vid-")
    far.clock.now += 50
    assert far.get(polling["polling_url"]) == {
        **polling,
        "status": "in_progress",
        "generation_id": job_id,
    }


def test_openrouters_content_needs_the_key_and_its_signed_address_none(far: Far) -> None:
    job_id = far.made(VIDEOS)
    far.clock.now += 100
    video = far.get(f"{VIDEOS}/{job_id}")
    assert video["usage"] == {"cost": 0.2, "is_byok": False}
    (content,), (signed,) = video["unsigned_urls"], video["urls"]
    assert far.session.get(content, timeout=10).status_code == 401
    assert far.session.get(signed, timeout=10).content[4:8] == b"ftyp"
    path = content.removeprefix(far.server.origin)
    assert far.call("GET", path).headers["Content-Type"] == "video/mp4"
    assert far.get(f"{OPENROUTER}/key")["data"]["usage"] == pytest.approx(0.2)


def test_openrouters_catalogue_is_open_to_all(far: Far) -> None:
    answer = far.call("GET", f"{VIDEOS}/models", key="")
    models = {model["id"]: model for model in answer.json()["data"]}
    veo = models["google/veo-3.1-fast"]
    assert (veo["supported_durations"], veo["supported_frame_images"]) == (
        [4, 6, 8],
        ["first_frame", "last_frame"],
    )
    assert veo["pricing_skus"]["duration_seconds_with_audio_720p"] == "0.10"
    assert models["black-forest-labs/flux-video-edit"]["supported_durations"] is None


def test_arks_list_shows_the_identifier_newest_first_by_pages(far: Far) -> None:
    ids = [far.made(TASKS, safety_identifier=f"att_{number}") for number in range(3)]
    first = far.get(f"{TASKS}?page_num=1&page_size=2")
    second = far.get(f"{TASKS}?page_num=2&page_size=2")
    listed = [*first["items"], *second["items"]]
    assert [task["id"] for task in listed] == ids[::-1]
    assert [task["safety_identifier"] for task in listed] == ["att_2", "att_1", "att_0"]
    assert (first["total"], far.get(f"{TASKS}?page_num=3&page_size=2")["items"]) == (3, [])
    assert far.get(f"{TASKS}?filter.status=running")["total"] == 0
    assert far.get(f"{TASKS}?filter.task_ids={ids[0]}")["items"] == [listed[2]]
    assert far.call("GET", f"{TASKS}?page_size=501").status_code == 400


def test_minimax_lists_no_prompt_and_knows_no_unknown_task(far: Far) -> None:
    job_id = far.made(SUBMIT)
    (task,) = far.get(QUERY)["items"]
    assert (task["id"], task["resolution"], task["duration"]) == (job_id, "768P", 4)
    assert "A city at dusk" not in str(task)
    unknown = far.call("GET", f"{QUERY}/1")
    assert (unknown.status_code, unknown.json()["error"]["message"]) == (
        500,
        "record not found (1000)",
    )


@pytest.mark.parametrize("one", [TASKS, SUBMIT])
def test_a_delete_cancels_what_waits_and_forgets_what_has_ended(far: Far, one: str) -> None:
    waiting, ended = far.made(one), far.made(one)
    assert far.call("DELETE", f"{one}/{waiting}").status_code == 200
    far.clock.now += 50
    assert far.call("DELETE", f"{one}/{ended}").status_code == 409
    far.clock.now += 50
    assert far.call("DELETE", f"{one}/{ended}").status_code == 200
    assert far.call("DELETE", f"{one}/{ended}").status_code in (404, 500)
    ledger = far.server.ledger()
    assert ledger["deletes"] == [ended]
    assert [job["status"] for job in ledger["jobs"]] == ["canceled", "succeeded"]


@pytest.mark.parametrize(
    ("path", "job", "address"),
    [
        (TASKS, TASKS + "/{}", lambda found: found["content"]["video_url"]),
        (SUBMIT, QUERY + "/{}", lambda found: found["task"]["content"]["url"]),
    ],
)
def test_a_finished_task_names_a_file_that_needs_no_key(
    far: Far, path: str, job: str, address: Any
) -> None:
    job_id = far.made(path)
    far.clock.now += 100
    found = far.get(job.format(job_id))
    assert far.session.get(address(found), timeout=10).content[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("path", "job", "end"),
    [
        (VIDEOS, VIDEOS + "/{}", lambda found: found),
        (TASKS, TASKS + "/{}", lambda found: found),
        (SUBMIT, QUERY + "/{}", lambda found: found["task"]),
    ],
)
def test_a_job_may_expire_or_be_canceled_by_itself(far: Far, path: str, job: str, end: Any) -> None:
    for state in ("expired", "cancelled"):
        text = f"A city [[sim:fail={state}]] [[sim:seconds=0]]"
        words = {"prompt": text} if path == VIDEOS else {"content": [TEXT | {"text": text}]}
        assert end(far.get(job.format(far.made(path, **words))))["status"] == state
