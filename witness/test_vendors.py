"""Each vendor's own client against the dialect of its vendor: it submits, waits, downloads, and meets a refusal."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import fal_client.client as fal
import openai
import pytest
import replicate
import replicate.exceptions
import runwayml
from conftest import KEY, FarEnd
from openrouter import OpenRouter
from openrouter import errors as openrouter_errors

IsVideo = Callable[[bytes], bool]


@contextmanager
def told(sent: list[tuple[dict[str, str], bytes]]) -> Iterator[str]:
    """An address that keeps what is posted to it."""

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/notices"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def downloaded(url: str) -> bytes:
    """A file at an address of its own, without a key."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        content: bytes = answer.read()
    return content


# ---- OpenAI ------------------------------------------------------------------------------------------


def openai_client(far_end: FarEnd, key: str = KEY) -> openai.OpenAI:
    # By default it sends a submit up to three times, and each may be billed.
    return openai.OpenAI(api_key=key, base_url=far_end.url("/openai/v1"), max_retries=0)


def test_openai_makes_a_video(far_end: FarEnd, is_video: IsVideo) -> None:
    client = openai_client(far_end)
    video = client.videos.create_and_poll(
        prompt="A city at dusk", model="sora-2", seconds="4", size="1280x720", poll_interval_ms=50
    )
    assert (video.status, video.progress, video.seconds, video.size) == (
        "completed",
        100,
        "4",
        "1280x720",
    )
    assert is_video(client.videos.download_content(video.id).read())
    assert [found.id for found in client.videos.list(limit=10, order="desc")] == [video.id]
    assert client.videos.delete(video.id).deleted
    assert len(far_end.posts()) == 1


def test_openai_is_told_of_a_job_that_failed(far_end: FarEnd) -> None:
    video = openai_client(far_end).videos.create_and_poll(
        prompt="A city [[sim:fail=moderation_blocked]]", model="sora-2", poll_interval_ms=50
    )
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == "moderation_blocked"


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("moderation", openai.BadRequestError),
        ("429", openai.RateLimitError),
        ("insufficient_quota", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("404", openai.NotFoundError),
        ("drop_before_create", openai.APIConnectionError),
    ],
)
def test_openai_knows_a_refusal(far_end: FarEnd, directive: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        openai_client(far_end).videos.create(prompt=f"A city [[sim:submit={directive}]]")
    assert len(far_end.posts()) == 1


def test_openai_knows_a_wrong_key(far_end: FarEnd) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai_client(far_end, key="sk-wrong").videos.create(prompt="A city")


# ---- fal ---------------------------------------------------------------------------------------------

SEEDANCE = "bytedance/seedance-2.5/text-to-video"


@pytest.fixture
def fal_of(far_end: FarEnd, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], fal.SyncClient]:
    monkeypatch.setattr(fal, "QUEUE_URL_FORMAT", far_end.url("/fal/queue/"))
    # It sends a submit up to ten times, and each may be billed; no argument of its own changes that.
    monkeypatch.setattr(fal, "MAX_ATTEMPTS", 1)
    return lambda key: fal.SyncClient(key=key)


FalOf = Callable[[str], fal.SyncClient]


def test_fal_makes_a_video(far_end: FarEnd, fal_of: FalOf, is_video: IsVideo) -> None:
    given = {"prompt": "A city at dusk", "duration": "4", "resolution": "720p"}
    request = fal_of(KEY).submit(SEEDANCE, given)
    assert isinstance(request.status(), fal.Queued | fal.InProgress)
    result = request.get(interval=0.05)
    assert is_video(downloaded(result["video"]["url"]))
    # By endpoint and id alone, as a person would who has only those.
    again = fal_of(KEY).get_handle(SEEDANCE, request.request_id)
    assert isinstance(again.status(with_logs=True), fal.Completed)
    assert len(far_end.posts()) == 1


def test_fal_cancels_what_waits(fal_of: FalOf) -> None:
    given = {"prompt": "A city [[sim:seconds=60]]", "duration": "4"}
    request = fal_of(KEY).submit(SEEDANCE, given)
    request.cancel()
    assert isinstance(request.status(), fal.Completed)
    with pytest.raises(fal.FalClientHTTPError) as caught:
        request.get(interval=0.05)
    assert caught.value.error_type == "client_cancelled"


@pytest.mark.parametrize(
    ("directive", "status"), [("moderation", 422), ("balance", 403), ("404", 404), ("500", 500)]
)
def test_fal_knows_a_refusal(far_end: FarEnd, fal_of: FalOf, directive: str, status: int) -> None:
    given = {"prompt": f"A city [[sim:submit={directive}]]", "duration": "4"}
    with pytest.raises(fal.FalClientHTTPError) as caught:
        fal_of(KEY).submit(SEEDANCE, given)
    assert caught.value.status_code == status
    assert len(far_end.posts()) == 1


def test_fal_learns_from_the_result_that_a_request_failed(fal_of: FalOf) -> None:
    given = {"prompt": "A city [[sim:fail=moderation]]", "duration": "4"}
    request = fal_of(KEY).submit(SEEDANCE, given)
    with pytest.raises(fal.FalClientHTTPError) as caught:
        request.get(interval=0.05)
    assert caught.value.response.json()["detail"][0]["type"] == "content_policy_violation"


def test_fal_knows_a_wrong_key(fal_of: FalOf) -> None:
    with pytest.raises(fal.FalClientHTTPError) as caught:
        fal_of("wrong").submit(SEEDANCE, {"prompt": "A city", "duration": "4"})
    assert caught.value.status_code == 401


# ---- Replicate ---------------------------------------------------------------------------------------

H3 = ("minimax", "h3")


def replicate_client(far_end: FarEnd, key: str = KEY) -> replicate.Client:
    """It sends no POST twice."""
    return replicate.Client(api_token=key, base_url=far_end.url("/replicate"))


def test_replicate_makes_a_video(far_end: FarEnd, is_video: IsVideo) -> None:
    client = replicate_client(far_end)
    given = {"prompt": "A city at dusk", "duration": 4, "ratio": "16:9", "resolution": "768P"}
    prediction = client.models.predictions.create(H3, input=given)
    assert (prediction.status, prediction.input) == ("starting", given)
    prediction.wait()
    assert prediction.status == "succeeded"
    assert is_video(downloaded(prediction.output))
    assert [found.id for found in client.predictions.list()] == [prediction.id]
    assert client.accounts.current().username == "simulated"
    assert len(far_end.posts()) == 1


def test_replicate_cancels(far_end: FarEnd) -> None:
    given = {"prompt": "A city [[sim:seconds=60]]", "duration": 4}
    prediction = replicate_client(far_end).models.predictions.create(H3, input=given)
    prediction.cancel()
    prediction.reload()
    assert prediction.status == "canceled"


def test_replicate_is_told_of_a_prediction_that_failed(far_end: FarEnd) -> None:
    given = {"prompt": "A city [[sim:fail=moderation]]", "duration": 4}
    prediction = replicate_client(far_end).models.predictions.create(H3, input=given)
    prediction.wait()
    assert prediction.status == "failed"
    assert "(E005)" in (prediction.error or "")


@pytest.mark.parametrize(
    ("directive", "status"),
    [("validation", 422), ("balance", 402), ("404", 404), ("429", 429), ("500", 500)],
)
def test_replicate_knows_a_refusal(far_end: FarEnd, directive: str, status: int) -> None:
    given = {"prompt": f"A city [[sim:submit={directive}]]", "duration": 4}
    with pytest.raises(replicate.exceptions.ReplicateError) as caught:
        replicate_client(far_end).models.predictions.create(H3, input=given)
    assert caught.value.status == status
    assert len(far_end.posts()) == 1


def test_replicate_believes_a_notice_that_is_signed(far_end: FarEnd) -> None:
    """Its own client verifies what the simulator sends."""
    sent: list[tuple[dict[str, str], bytes]] = []
    with told(sent) as url:
        given = {"prompt": "A city [[sim:seconds=0]]", "duration": 4}
        client = replicate_client(far_end)
        prediction = client.models.predictions.create(H3, input=given, webhook=url)
        until = time.monotonic() + 20
        while not sent and time.monotonic() < until:
            time.sleep(0.05)
    ((headers, body),) = sent
    secret = client.webhooks.default.secret()
    replicate.webhook.Webhooks.validate(
        headers=headers, body=body.decode(), secret=secret, tolerance=300
    )
    assert json.loads(body)["id"] == prediction.id


# ---- Runway ------------------------------------------------------------------------------------------


def runway_client(far_end: FarEnd, key: str = KEY) -> runwayml.RunwayML:
    # By default it sends a submit up to three times, and each may be billed.
    return runwayml.RunwayML(api_key=key, base_url=far_end.url("/runway"), max_retries=0)


def test_runway_makes_a_video(far_end: FarEnd, is_video: IsVideo) -> None:
    client = runway_client(far_end)
    created = client.text_to_video.create(
        model="gen4.5", prompt_text="A city at dusk", ratio="1280:720", duration=4
    )
    assert created.estimated_cost.credits == 48
    task = client.tasks.retrieve(created.id)
    while task.status in ("PENDING", "RUNNING"):
        time.sleep(0.05)
        task = client.tasks.retrieve(created.id)
    assert task.status == "SUCCEEDED"
    assert task.cost.credits == 48
    assert is_video(downloaded(task.output[0]))
    assert client.organization.retrieve().credit_balance > 0
    assert len(far_end.posts()) == 1


def test_runway_cancels(far_end: FarEnd) -> None:
    client = runway_client(far_end)
    created = client.text_to_video.create(
        model="veo3.1", prompt_text="A city [[sim:seconds=60]]", ratio="720:1280", duration=4
    )
    client.tasks.delete(created.id)
    with pytest.raises(runwayml.NotFoundError):
        client.tasks.retrieve(created.id)


def test_runway_is_told_of_a_task_that_failed(far_end: FarEnd) -> None:
    client = runway_client(far_end)
    created = client.text_to_video.create(
        model="gen4.5",
        prompt_text="A city [[sim:fail=moderation]] [[sim:seconds=0]]",
        ratio="1280:720",
        duration=4,
    )
    task = client.tasks.retrieve(created.id)
    assert task.status == "FAILED"
    assert task.failure_code == "SAFETY.OUTPUT.VIDEO"


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("moderation", runwayml.BadRequestError),
        ("balance", runwayml.BadRequestError),
        ("429", runwayml.RateLimitError),
        ("500", runwayml.InternalServerError),
        ("drop_before_create", runwayml.APIConnectionError),
    ],
)
def test_runway_knows_a_refusal(far_end: FarEnd, directive: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        runway_client(far_end).text_to_video.create(
            model="gen4.5",
            prompt_text=f"A city [[sim:submit={directive}]]",
            ratio="1280:720",
            duration=4,
        )
    assert len(far_end.posts()) == 1


def test_runway_knows_a_wrong_key(far_end: FarEnd) -> None:
    with pytest.raises(runwayml.AuthenticationError):
        runway_client(far_end, key="wrong").organization.retrieve()


# ---- OpenRouter --------------------------------------------------------------------------------------

VEO = "google/veo-3.1-fast"


def open_router(far_end: FarEnd, key: str = KEY) -> OpenRouter:
    # By default it sends a submit again, for up to an hour, whenever it is answered with an error of the server.
    url = far_end.url("/openrouter/api/v1")
    return OpenRouter(api_key=key, server_url=url, retry_config=None)


def test_openrouter_makes_a_video(far_end: FarEnd, is_video: IsVideo) -> None:
    client = open_router(far_end)
    job = client.video_generation.generate(
        model=VEO, prompt="A city at dusk", duration=8, aspect_ratio="16:9", resolution="720p"
    )
    while job.status not in ("completed", "failed", "cancelled", "expired"):
        time.sleep(0.05)
        job = client.video_generation.get_generation(job_id=job.id)
    assert (job.status, job.error) == ("completed", None)
    assert job.usage is not None
    content = client.video_generation.get_video_content(job_id=job.id)
    assert is_video(content.read())
    assert len(far_end.posts()) == 1


def test_openrouter_lists_its_models(far_end: FarEnd) -> None:
    models = open_router(far_end).video_generation.list_videos_models().data
    assert VEO in {model.id for model in models}


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("402", openrouter_errors.PaymentRequiredResponseError),
        ("429", openrouter_errors.TooManyRequestsResponseError),
        ("500", openrouter_errors.InternalServerResponseError),
    ],
)
def test_openrouter_knows_a_refusal(
    far_end: FarEnd, directive: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        open_router(far_end).video_generation.generate(
            model=VEO, prompt=f"A city [[sim:submit={directive}]]", duration=8
        )
    assert len(far_end.posts()) == 1


def test_openrouter_knows_a_wrong_key(far_end: FarEnd) -> None:
    with pytest.raises(openrouter_errors.UnauthorizedResponseError):
        open_router(far_end, "sk-or-wrong").video_generation.generate(
            model=VEO, prompt="A city", duration=8
        )
