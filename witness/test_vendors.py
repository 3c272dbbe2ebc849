"""Each vendor's own client against the dialect of its vendor: it submits, waits, downloads, and meets a refusal."""

import time
import urllib.request
from collections.abc import Callable
from functools import cached_property

import fal_client
import httpx
import openai
import pytest
import replicate
from conftest import KEY, FarEnd
from openrouter import OpenRouter
from openrouter import errors as openrouter_errors
from replicate.exceptions import ReplicateError

IsVideo = Callable[[bytes], bool]


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


class ToTheFarEnd(httpx.HTTPTransport):
    """The client knows one host; what is meant for it goes to the simulator."""

    def __init__(self, far_end: FarEnd) -> None:
        super().__init__(retries=0)
        self.far_end = far_end

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "queue.fal.run":
            path = request.url.raw_path.decode()
            request.url = httpx.URL(self.far_end.url(f"/fal/queue{path}"))
            request.headers["Host"] = f"127.0.0.1:{self.far_end.port}"
        return super().handle_request(request)


class Fal(fal_client.SyncClient):
    """With a connection of ours, which also does not turn to the backup domain and submit there again."""

    far_end: FarEnd

    @cached_property
    def _client(self) -> httpx.Client:
        headers = {"Authorization": self._auth.header_value}
        return httpx.Client(
            transport=ToTheFarEnd(self.far_end), headers=headers, follow_redirects=True
        )


def fal(far_end: FarEnd, key: str = KEY) -> Fal:
    client = Fal(key=key)
    object.__setattr__(client, "far_end", far_end)
    return client


def download(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        content: bytes = answer.read()
    return content


def test_fal_makes_a_video(far_end: FarEnd, is_video: IsVideo) -> None:
    arguments = {"prompt": "A city at dusk", "duration": "5", "aspect_ratio": "16:9"}
    handle = fal(far_end).submit(SEEDANCE, arguments=arguments)
    assert isinstance(
        handle.status(), fal_client.Queued | fal_client.InProgress | fal_client.Completed
    )
    result = handle.get(interval=0.05)
    assert is_video(download(result["video"]["url"]))
    assert len(far_end.posts()) == 1


def test_fal_cancels(far_end: FarEnd) -> None:
    arguments = {"prompt": "A city [[sim:seconds=60]]", "duration": "5"}
    handle = fal(far_end).submit(SEEDANCE, arguments=arguments)
    handle.cancel()
    assert len(far_end.posts()) == 1


def test_fal_is_told_of_a_refused_prompt(far_end: FarEnd) -> None:
    arguments = {"prompt": "A city [[sim:fail=content_policy_violation]]", "duration": "5"}
    handle = fal(far_end).submit(SEEDANCE, arguments=arguments)
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        handle.get(interval=0.05)
    assert refused.value.status_code == 422


def test_fal_knows_a_wrong_key(far_end: FarEnd) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        fal(far_end, key="wrong").submit(SEEDANCE, arguments={"prompt": "A city", "duration": "5"})
    assert refused.value.status_code == 401


# ---- Replicate ---------------------------------------------------------------------------------------

H3 = "minimax/h3"


def replicate_client(far_end: FarEnd, key: str = KEY) -> replicate.Client:
    # It adds the version of its API by itself.
    return replicate.Client(api_token=key, base_url=far_end.url("/replicate"))


def test_replicate_makes_a_video(far_end: FarEnd, is_video: IsVideo) -> None:
    client = replicate_client(far_end)
    prompt = {"prompt": "A city at dusk", "duration": 6, "resolution": "768P"}
    prediction = client.predictions.create(model=H3, input=prompt)
    while prediction.status not in ("succeeded", "failed", "canceled"):
        time.sleep(0.05)
        prediction.reload()
    assert (prediction.status, prediction.error) == ("succeeded", None)
    output = prediction.output if isinstance(prediction.output, str) else prediction.output[0]
    assert is_video(download(output))
    assert [found.id for found in client.predictions.list()] == [prediction.id]
    assert len(far_end.posts()) == 1


def test_replicate_cancels(far_end: FarEnd) -> None:
    prompt = {"prompt": "A city [[sim:seconds=3]]", "duration": 6}
    prediction = replicate_client(far_end).predictions.create(model=H3, input=prompt)
    while (
        prediction.status == "starting"
    ):  # before that it would be "aborted", which this client does not know
        time.sleep(0.05)
        prediction.reload()
    prediction.cancel()
    assert prediction.status == "canceled"


@pytest.mark.parametrize(("directive", "status"), [("402", 402), ("404", 404)])
def test_replicate_knows_a_refusal(far_end: FarEnd, directive: str, status: int) -> None:
    prompt = {"prompt": f"A city [[sim:submit={directive}]]", "duration": 6}
    with pytest.raises(ReplicateError) as refused:
        replicate_client(far_end).predictions.create(model=H3, input=prompt)
    assert refused.value.status == status
    assert len(far_end.posts()) == 1


def test_replicate_knows_a_wrong_key(far_end: FarEnd) -> None:
    with pytest.raises(ReplicateError) as refused:
        replicate_client(far_end, "r8_wrong").predictions.create(
            model=H3, input={"prompt": "A city"}
        )
    assert refused.value.status == 401


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
