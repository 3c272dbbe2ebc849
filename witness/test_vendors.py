"""Each vendor's own client against the dialect of its vendor: it submits, waits, downloads, and meets a refusal."""

from collections.abc import Callable

import openai
import pytest
from conftest import KEY, FarEnd

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
