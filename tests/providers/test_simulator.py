import base64
import hashlib
import io
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import imageio_ffmpeg
import pytest
import requests
from PIL import Image

from providers.simulator.engine import Engine
from providers.simulator.faults import parse
from providers.simulator.jobs import Order
from providers.simulator.settings import Settings
from tests.providers.simulated import Simulator, simulator

NO_TIME = "[[sim:seconds=0]]"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    def __init__(self, sim: Simulator) -> None:
        self.base_url = sim.base_url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = "Bearer any"

    def post(self, prompt: str, **fields: Any) -> requests.Response:
        return self.http.post(f"{self.base_url}/videos", json={"prompt": prompt, **fields})

    def get(self, path: str = "", **options: Any) -> requests.Response:
        return self.http.get(f"{self.base_url}/videos{path}", **options)

    def created(self, prompt: str, **fields: Any) -> str:
        answer = self.post(prompt, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def poll(self, job_id: str) -> requests.Response:
        return self.get(f"/{job_id}")

    def fetch(self, job_id: str, **headers: str) -> requests.Response:
        return self.get(f"/{job_id}/content", headers=headers)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    with simulator(seconds=10, clock=clock) as running:
        yield running


@pytest.fixture
def client(sim: Simulator) -> Iterator[Client]:
    client = Client(sim)
    yield client
    client.http.close()


def png(width: int, height: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (width, height)).save(target, "PNG")
    return target.getvalue()


def error_code(answer: requests.Response) -> str | None:
    code: str | None = answer.json()["error"]["code"]
    return code


# The happy path


def test_a_job_goes_from_queued_to_completed_as_time_passes(client: Client, clock: Clock) -> None:
    job_id = client.created("A city", seconds="8", size="1280x720")
    seen = []
    for _ in range(4):
        job = client.poll(job_id).json()
        seen.append((job["status"], job["progress"]))
        clock.now += 4
    assert seen == [("queued", 0), ("in_progress", 40), ("in_progress", 80), ("completed", 100)]


def test_a_new_job_has_the_shape_of_the_protocol(client: Client) -> None:
    job = client.post("A city", seconds="8", size="1280x720").json()
    assert job.pop("id").startswith("video_")
    assert job.pop("created_at") > 1_700_000_000
    assert job == {
        "object": "video",
        "model": "sora-2",
        "status": "queued",
        "progress": 0,
        "completed_at": None,
        "expires_at": None,
        "prompt": "A city",
        "seconds": "8",
        "size": "1280x720",
        "remixed_from_video_id": None,
        "error": None,
        "quality": "standard",
    }


def test_a_completed_job_says_when_it_ended_and_when_its_file_goes(client: Client) -> None:
    job = client.poll(client.created(f"A city {NO_TIME}")).json()
    assert job["completed_at"] == job["created_at"]
    assert job["expires_at"] == job["completed_at"] + 3600


def test_a_file_that_expired_is_no_longer_given(client: Client, clock: Clock) -> None:
    job_id = client.created(f"A city {NO_TIME}")
    clock.now += 3600
    answer = client.fetch(job_id)
    assert (answer.status_code, error_code(answer)) == (403, None)


def test_the_file_is_a_real_video_of_the_size_and_length_asked_for(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME}", seconds="4", size="1792x1024")
    answer = client.fetch(job_id)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", "-", "-f", "null", "-"]
    played = subprocess.run(command, input=answer.content, capture_output=True, check=True)
    told = played.stderr.decode()
    assert "Duration: 00:00:04.00" in told
    assert "h264" in told
    assert "1792x1024" in told
    assert answer.content.index(b"moov") < answer.content.index(b"mdat")


def test_two_jobs_never_have_the_same_bytes(client: Client) -> None:
    files = [client.fetch(client.created(f"A city {NO_TIME}")).content for _ in range(2)]
    assert len(files[0]) == len(files[1])
    assert files[0] != files[1]


def test_a_form_with_an_image_file_creates_a_job(sim: Simulator, client: Client) -> None:
    image = png(720, 1280)
    answer = client.http.post(
        f"{client.base_url}/videos",
        data={"prompt": "A city", "seconds": "4", "size": "720x1280"},
        files={"input_reference": ("start.png", image, "image/png")},
    )
    assert answer.status_code == 200
    assert sim.ledger()["posts"][0]["image_sha256"] == hashlib.sha256(image).hexdigest()


@pytest.mark.parametrize("field", ["input_reference", "input_reference[image_url]"])
def test_a_form_may_carry_the_image_as_an_object(
    sim: Simulator, client: Client, field: str
) -> None:
    url = "https://example.org/start.png"
    text = url if field.endswith("]") else f'{{"image_url": "{url}"}}'
    parts = {"prompt": (None, "A city"), field: (None, text)}
    answer = client.http.post(f"{client.base_url}/videos", files=parts)
    assert answer.status_code == 200
    assert sim.ledger()["posts"][0]["image_url"] == url


def test_json_may_carry_the_image_as_a_data_url(sim: Simulator, client: Client) -> None:
    image = png(720, 1280)
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    client.created("A city", input_reference={"image_url": url})
    assert sim.ledger()["posts"][0]["image_sha256"] == hashlib.sha256(image).hexdigest()


def test_an_image_of_another_size_than_the_video_is_refused(sim: Simulator, client: Client) -> None:
    url = f"data:image/png;base64,{base64.b64encode(png(64, 64)).decode()}"
    answer = client.post("A city", input_reference={"image_url": url})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message == "Inpaint image must match the requested width and height"
    assert sim.summary()["created"] == 0


# What the service refuses


def test_seconds_as_a_number_are_refused_in_the_words_of_the_service(client: Client) -> None:
    answer = client.post("A city", seconds=4)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "Invalid type for 'seconds': expected one of '4', '8', or '12', "
        "but got an integer instead.",
        "type": "invalid_request_error",
        "param": "seconds",
        "code": "invalid_type",
    }


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"seconds": "5"}, 400, "invalid_value"),
        ({"seconds": "16"}, 400, "invalid_value"),
        ({"seconds": None}, 400, "invalid_type"),
        ({"size": "640x480"}, 400, "invalid_value"),
        ({"size": "1080x1920"}, 400, "invalid_value"),
        ({"model": "sora-3"}, 404, "model_not_found"),
        ({"seed": 1}, 400, "unknown_parameter"),
        ({"prompt": ""}, 400, "invalid_value"),
        ({"prompt": None}, 400, "missing_required_parameter"),
        ({"input_reference": {"file_id": "file_1"}}, 400, None),
        ({"input_reference": {"image_url": "http://example.org/a.png"}}, 400, None),
        ({"input_reference": {"image_url": "data:image/png;base64,AAAA"}}, 400, None),
    ],
)
def test_what_the_service_did_not_take_is_refused(
    sim: Simulator, client: Client, fields: dict[str, Any], status: int, code: str | None
) -> None:
    body = {"prompt": "A city", **fields}
    answer = client.http.post(f"{client.base_url}/videos", json=body)
    assert (answer.status_code, error_code(answer)) == (status, code)
    assert sim.summary() == {
        "posts": 1,
        "created": 0,
        "max_in_flight": 0,
        "polls": 0,
        "fetches": 0,
    }


@pytest.mark.parametrize("body", ["not json", "[]", '"text"'])
def test_a_body_that_is_no_json_object_is_refused(client: Client, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.http.post(f"{client.base_url}/videos", data=body, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("model", ["sora-2-pro", "sora-2-2025-12-08", "sora-2-pro-2025-10-06"])
def test_pro_and_dated_models_are_known(client: Client, model: str) -> None:
    assert client.post("A city", model=model).json()["model"] == model


def test_a_pro_model_also_makes_1080p(client: Client) -> None:
    assert client.post("A city", model="sora-2-pro", size="1080x1920").status_code == 200


@pytest.mark.parametrize("header", [None, "Bearer ", "Basic YTpi", "any"])
def test_a_call_without_a_key_is_refused_and_still_counted(
    sim: Simulator, client: Client, header: str | None
) -> None:
    client.http.headers["Authorization"] = header  # type: ignore[assignment]
    answer = client.post("A city")
    assert (answer.status_code, error_code(answer)) == (401, "invalid_api_key")
    [post] = sim.ledger()["posts"]
    assert (post["outcome"], post["status"], post["created"]) == ("invalid_api_key", 401, False)


def test_only_the_given_key_is_accepted_when_one_is_given() -> None:
    with simulator(api_key="right") as sim:
        client = Client(sim)
        assert client.post("A city").status_code == 401
        client.http.headers["Authorization"] = "Bearer right"
        assert client.post("A city").status_code == 200
        client.http.close()


def test_an_unknown_path_gets_the_error_envelope(sim: Simulator, client: Client) -> None:
    answer = client.http.post(f"{client.base_url}/videos/video_1/remix")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Invalid URL (POST /openai/v1/videos/video_1/remix)"
    assert sim.summary()["posts"] == 1


def test_a_misspelt_directive_is_refused(sim: Simulator, client: Client) -> None:
    for directive in ("submit=500_afer_create", "poll", "submit=hang", "seconds=soon", "fail=x*2"):
        answer = client.post(f"A city [[sim:{directive}]]")
        assert (answer.status_code, error_code(answer)) == (400, "unknown_directive")
    assert sim.summary()["created"] == 0


# Listing and deleting


def test_the_list_is_newest_first_unless_asked_otherwise(client: Client) -> None:
    ids = [client.created(f"Shot {n}") for n in range(3)]
    assert [job["id"] for job in client.get().json()["data"]] == ids[::-1]
    assert [job["id"] for job in client.get(params={"order": "asc"}).json()["data"]] == ids


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_list_is_paged_by_the_last_id_seen(client: Client, order: str) -> None:
    ids = [client.created(f"Shot {n}") for n in range(5)]
    pages: list[list[str]] = []
    params: dict[str, Any] = {"limit": 2, "order": order}
    while True:
        page = client.get(params=params).json()
        pages.append([job["id"] for job in page["data"]])
        assert (page["first_id"], page["last_id"]) == (pages[-1][0], pages[-1][-1])
        if not page["has_more"]:
            break
        params["after"] = page["last_id"]
    wanted = ids if order == "asc" else ids[::-1]
    assert pages == [wanted[:2], wanted[2:4], wanted[4:]]


def test_an_empty_list_has_no_first_and_last(client: Client) -> None:
    nothing: dict[str, Any] = {"data": [], "first_id": None, "last_id": None}
    assert client.get().json() == {"object": "list", "has_more": False, **nothing}


@pytest.mark.parametrize("params", [{"limit": "101"}, {"limit": "-1"}, {"order": "up"}])
def test_a_wrong_list_parameter_is_refused(client: Client, params: dict[str, str]) -> None:
    assert client.get(params=params).status_code == 400


def test_a_list_after_an_unknown_job_is_not_found(client: Client) -> None:
    assert client.get(params={"after": "video_0"}).status_code == 404


def test_a_job_can_be_hidden_from_the_first_listings(client: Client) -> None:
    client.created("A city [[sim:list=hidden*2]]")
    assert [len(client.get().json()["data"]) for _ in range(3)] == [0, 0, 1]


def test_the_look_up_can_be_switched_off(sim: Simulator, client: Client) -> None:
    sim.configure(list_status=501)
    assert client.get().status_code == 501


def test_a_finished_job_is_deleted_and_gone(sim: Simulator, client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME}")
    answer = client.http.delete(f"{client.base_url}/videos/{job_id}")
    assert answer.json() == {"id": job_id, "object": "video.deleted", "deleted": True}
    assert client.poll(job_id).status_code == 404
    assert client.fetch(job_id).status_code == 404
    assert client.get().json()["data"] == []
    assert sim.ledger()["deletes"] == [job_id]


def test_a_job_under_way_cannot_be_deleted(client: Client) -> None:
    job_id = client.created("A city")
    assert client.http.delete(f"{client.base_url}/videos/{job_id}").status_code == 409


# Faults of a submit


@pytest.mark.parametrize("name", ["drop_before_create", "drop_after_create"])
def test_a_dropped_submit_is_never_answered(sim: Simulator, client: Client, name: str) -> None:
    with pytest.raises(requests.ConnectionError):
        client.post(f"A city [[sim:submit={name}]]")
    [post] = sim.ledger()["posts"]
    created = name == "drop_after_create"
    assert (post["outcome"], post["status"], post["created"]) == (name, None, created)


def test_a_job_whose_answer_was_dropped_is_found_in_the_list(client: Client) -> None:
    with pytest.raises(requests.ConnectionError):
        client.post("A city [[sim:submit=drop_after_create]]")
    [job] = client.get().json()["data"]
    assert job["prompt"] == "A city [[sim:submit=drop_after_create]]"


def test_a_hanging_submit_has_made_its_job_before_it_answers(
    sim: Simulator, client: Client
) -> None:
    body = {"prompt": "A city [[sim:submit=hang:5]]"}
    with pytest.raises(requests.ReadTimeout):
        client.http.post(f"{client.base_url}/videos", json=body, timeout=0.2)
    assert sim.summary()["created"] == 1
    assert client.post("A city [[sim:submit=hang:0.01]]").status_code == 200


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("400", 400, "moderation_blocked"),
        ("moderation", 400, "moderation_blocked"),
        ("401", 401, "invalid_api_key"),
        ("402", 402, "insufficient_balance"),
        ("403", 403, None),
        ("404", 404, "model_not_found"),
        ("408", 408, None),
        ("429", 429, "rate_limit_exceeded"),
        ("insufficient_quota", 429, "insufficient_quota"),
        ("500", 500, "server_error"),
        ("503", 503, "server_error"),
        ("504", 504, "server_error"),
    ],
)
def test_a_refused_submit_creates_nothing(
    sim: Simulator, client: Client, name: str, status: int, code: str | None
) -> None:
    answer = client.post(f"A city [[sim:submit={name}]]")
    assert (answer.status_code, error_code(answer)) == (status, code)
    assert "Retry-After" not in answer.headers
    [post] = sim.ledger()["posts"]
    assert (post["outcome"], post["status"], post["created"]) == (name, status, False)


def test_a_502_is_a_page_of_html(sim: Simulator, client: Client) -> None:
    answer = client.post("A city [[sim:submit=502]]")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (502, "text/html")
    assert sim.summary()["created"] == 0


def test_a_429_may_say_when_to_come_back_and_end_after_some_submits(client: Client) -> None:
    prompt = "A city [[sim:submit=429:7*2]]"
    answers = [client.post(prompt) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "7", None]
    assert client.post(f"Another {prompt}").status_code == 429


def test_faults_of_one_kind_play_one_after_the_other(client: Client) -> None:
    prompt = "A city [[sim:submit=429*1]] [[sim:submit=503*1]]"
    assert [client.post(prompt).status_code for _ in range(3)] == [429, 503, 200]


def test_a_500_may_have_made_a_job(sim: Simulator, client: Client) -> None:
    assert client.post("A city [[sim:submit=500_after_create]]").status_code == 500
    assert sim.summary()["created"] == 1


def test_a_submit_may_succeed_unreadably(sim: Simulator, client: Client) -> None:
    answer = client.post("A city [[sim:submit=bad_json]]")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert sim.summary()["created"] == 1


def test_a_submit_may_succeed_without_an_id(sim: Simulator, client: Client) -> None:
    answer = client.post("A city [[sim:submit=no_id]]")
    assert answer.status_code == 200
    assert "id" not in answer.json()
    assert sim.summary()["created"] == 1


# Faults of a poll


@pytest.mark.parametrize(
    ("directive", "statuses"),
    [
        ("poll=500*3", [500, 500, 500, 200]),
        ("poll=404", [404, 404, 404, 404]),
        ("poll=429*1", [429, 200, 200, 200]),
        ("poll=502*1", [502, 200, 200, 200]),
    ],
)
def test_a_poll_fails_as_often_as_scripted(
    client: Client, directive: str, statuses: list[int]
) -> None:
    job_id = client.created(f"A city [[sim:{directive}]]")
    assert [client.poll(job_id).status_code for _ in range(4)] == statuses


def test_a_throttled_poll_may_say_when_to_come_back(client: Client) -> None:
    job_id = client.created("A city [[sim:poll=429:2*1]]")
    assert client.poll(job_id).headers["Retry-After"] == "2"


def test_a_poll_may_be_dropped_or_unreadable(client: Client) -> None:
    job_id = client.created("A city [[sim:poll=drop*1]] [[sim:poll=bad_json*1]]")
    with pytest.raises(requests.ConnectionError):
        client.poll(job_id)
    with pytest.raises(requests.JSONDecodeError):
        client.poll(job_id).json()
    assert client.poll(job_id).json()["status"] == "queued"


def test_a_stuck_job_is_queued_for_ever(sim: Simulator, client: Client, clock: Clock) -> None:
    job_id = client.created("A city [[sim:poll=stuck]]")
    clock.now += 1_000_000
    job = client.poll(job_id).json()
    assert (job["status"], job["progress"]) == ("queued", 0)
    assert sim.ledger()["counts"]["in_flight"] == 1


def test_a_job_may_seem_stuck_for_some_polls(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:poll=stuck*1]]")
    assert [client.poll(job_id).json()["status"] for _ in range(2)] == ["queued", "completed"]


def test_a_poll_may_show_a_status_nobody_knows(client: Client) -> None:
    job_id = client.created("A city [[sim:poll=unknown_status]]")
    assert client.poll(job_id).json()["status"] == "rendering"


def test_a_job_fails_with_the_scripted_code(sim: Simulator, client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:fail=moderation_blocked]]")
    job = client.poll(job_id).json()
    assert (job["status"], job["progress"]) == ("failed", 99)
    assert job["error"]["code"] == "moderation_blocked"
    assert client.fetch(job_id).status_code == 404
    assert sim.ledger()["counts"]["charged_seconds"] == 0


@pytest.mark.parametrize(
    ("how", "progress"), [("none", [None, None]), ("text", ["40%", "80%"]), ("backwards", [60, 20])]
)
def test_progress_may_be_odd(client: Client, clock: Clock, how: str, progress: list[Any]) -> None:
    job_id = client.created(f"A city [[sim:progress={how}]]")
    seen = []
    for _ in range(2):
        clock.now += 4
        seen.append(client.poll(job_id).json()["progress"])
    assert seen == progress


# Faults of a fetch


def test_a_file_is_not_given_before_the_job_is_completed(client: Client) -> None:
    assert client.fetch(client.created("A city")).status_code == 404


@pytest.mark.parametrize(
    ("directive", "statuses"),
    [
        ("fetch=500*2", [500, 500, 200]),
        ("fetch=401", [401, 401, 401]),
        ("fetch=403", [403, 403, 403]),
        ("fetch=404*1", [404, 200, 200]),
    ],
)
def test_a_fetch_fails_as_often_as_scripted(
    client: Client, directive: str, statuses: list[int]
) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:{directive}]]")
    assert [client.fetch(job_id).status_code for _ in range(3)] == statuses


def test_a_truncated_file_is_shorter_than_declared(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:fetch=truncate*1]]")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.fetch(job_id)
    assert client.fetch(job_id).status_code == 200


def test_a_fetch_may_be_html_or_empty(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:fetch=html*1]] [[sim:fetch=empty*1]]")
    page, nothing = client.fetch(job_id), client.fetch(job_id)
    assert (page.status_code, page.headers["Content-Type"][:9]) == (200, "text/html")
    assert (nothing.status_code, nothing.content) == (200, b"")


def test_a_slow_file_arrives_whole(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:fetch=slow:0.1*1]]")
    slow, quick = client.fetch(job_id), client.fetch(job_id)
    assert slow.content == quick.content


def test_a_redirect_to_another_origin_tells_whether_the_key_came_along(
    sim: Simulator, client: Client
) -> None:
    job_id = client.created(f"A city {NO_TIME} [[sim:fetch=redirect_other_origin]]")
    hop = client.get(f"/{job_id}/content", allow_redirects=False)
    elsewhere = f"{sim.origin.replace('127.0.0.1', 'localhost')}/__sim__/files/{job_id}"
    assert (hop.status_code, hop.headers["Location"]) == (302, elsewhere)
    assert client.fetch(job_id).content[4:8] == b"ftyp"
    client.http.get(elsewhere)
    assert sim.ledger()["redirected"] == [
        {"job_id": job_id, "authorization": False},
        {"job_id": job_id, "authorization": True},
    ]


def test_other_variants_are_not_made(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME}")
    assert client.get(f"/{job_id}/content?variant=video").status_code == 200
    assert client.get(f"/{job_id}/content?variant=thumbnail").status_code == 400


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-3", lambda file: file[:4]),
        ("bytes=100-", lambda file: file[100:]),
        ("bytes=-10", lambda file: file[-10:]),
        ("bytes=100-999999", lambda file: file[100:]),
    ],
)
def test_a_range_of_a_file_can_be_fetched(
    client: Client, asked: str, part: Callable[[bytes], bytes]
) -> None:
    job_id = client.created(f"A city {NO_TIME}")
    file, answer = client.fetch(job_id).content, client.fetch(job_id, Range=asked)
    assert (answer.status_code, answer.content) == (206, part(file))
    start = file.index(answer.content)
    wanted = f"bytes {start}-{start + len(answer.content) - 1}/{len(file)}"
    assert answer.headers["Content-Range"] == wanted


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=9-2", "bytes=x"])
def test_a_range_that_is_not_there_is_refused(client: Client, asked: str) -> None:
    job_id = client.created(f"A city {NO_TIME}")
    size = len(client.fetch(job_id).content)
    answer = client.fetch(job_id, Range=asked)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_a_range_of_a_file_that_changed_gives_the_whole_new_one(client: Client) -> None:
    job_id = client.created(f"A city {NO_TIME}")
    whole = client.fetch(job_id)
    asked = {"Range": "bytes=0-3", "If-Range": whole.headers["ETag"]}
    assert client.fetch(job_id, **asked).status_code == 206
    changed = client.fetch(job_id, **asked | {"If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)


# Settings and ledger


def test_a_service_that_shut_down_knows_no_model(sim: Simulator, client: Client) -> None:
    job_id = client.created("A city")
    sim.configure(shutdown=True)
    answers = [client.post("A city"), client.poll(job_id), client.fetch(job_id), client.get()]
    assert [(a.status_code, error_code(a)) for a in answers] == [(404, "model_not_found")] * 4
    assert sim.summary()["posts"] == 2


def test_a_submit_beyond_the_jobs_allowed_in_flight_is_throttled(
    sim: Simulator, client: Client, clock: Clock
) -> None:
    sim.configure(max_in_flight=2)
    answers = [client.post(f"Shot {n}") for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Retry-After" not in answers[2].headers
    clock.now += 10
    assert client.post("Shot 3").status_code == 200


def test_a_submit_beyond_the_rate_says_when_to_come_back(
    sim: Simulator, client: Client, clock: Clock
) -> None:
    sim.configure(per_minute=1)
    assert client.post("Shot 1").status_code == 200
    clock.now += 20
    answer = client.post("Shot 2")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "40")
    clock.now += 40
    assert client.post("Shot 2").status_code == 200


def test_a_throttled_submit_does_not_use_up_a_scripted_fault(
    sim: Simulator, client: Client
) -> None:
    sim.configure(max_in_flight=0)
    prompt = "A city [[sim:submit=503*1]]"
    assert client.post(prompt).status_code == 429
    sim.configure(max_in_flight=None)
    assert [client.post(prompt).status_code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("wrong", [{"speed": 1}, {"seconds": -1}, {"max_in_flight": "2"}])
def test_a_wrong_setting_is_refused_and_changes_nothing(
    sim: Simulator, wrong: dict[str, Any]
) -> None:
    with pytest.raises(requests.HTTPError):
        sim.configure(shutdown=True, **wrong)
    client = Client(sim)
    assert client.get().status_code == 200
    client.http.close()


def test_reset_forgets_jobs_counts_and_settings(sim: Simulator, client: Client) -> None:
    sim.configure(shutdown=True)
    client.post("A city")
    sim.reset()
    assert sum(sim.summary().values()) == 0
    assert client.get().json()["data"] == []


def test_the_ledger_tells_each_post_and_each_job(
    sim: Simulator, client: Client, clock: Clock
) -> None:
    job_id = client.created("A city", seconds="8")
    client.created("A hill [[sim:seconds=99]]")
    clock.now += 10
    client.poll(job_id)
    client.poll(job_id)
    client.fetch(job_id)
    ledger = sim.ledger()
    post, job = ledger["posts"][0], ledger["jobs"][0]
    assert abs(post.pop("time") - job["created_at"]) < 0.001
    assert post == {
        "path": "/openai/v1/videos",
        "idempotency_key": None,
        "outcome": "created",
        "status": 200,
        "prompt": "A city",
        "model": "sora-2",
        "seconds": 8,
        "size": "720x1280",
        "image_sha256": None,
        "image_url": None,
        "created": True,
        "job_id": job_id,
    }
    assert job["finished_at"] - job["created_at"] == pytest.approx(10)
    assert [job["status"] for job in ledger["jobs"]] == ["succeeded", "running"]
    assert (ledger["polls"], ledger["fetches"]) == ({job_id: 2}, {job_id: 1})
    assert ledger["counts"] == {
        "posts": 2,
        "created": 2,
        "max_in_flight": 2,
        "polls": 2,
        "fetches": 1,
        "deletes": 0,
        "in_flight": 1,
        "charged_seconds": 8,
    }


def test_the_highest_number_in_flight_counts_only_jobs_at_the_same_time(
    sim: Simulator, client: Client, clock: Clock
) -> None:
    for n in range(4):
        client.created(f"Shot {n} [[sim:seconds={10 if n else 25}]]")
        clock.now += 10
    assert sim.summary()["max_in_flight"] == 2


def test_ten_thousand_jobs_are_counted_exactly_as_they_come_and_go() -> None:
    clock = Clock()
    engine = Engine(Settings(seconds=60), clock=clock)
    order = Order("A city", "sora-2", 4, 720, 1280)
    for n in range(10_000):
        engine.create(f"video_{n}", order, parse(order.prompt))
        clock.now += 0.001
    assert engine.jobs.in_flight(clock.now) == engine.jobs.max_in_flight == 10_000
    clock.now += 60
    assert engine.jobs.in_flight(clock.now) == 0
    assert engine.jobs.charged_seconds(clock.now) == 40_000
