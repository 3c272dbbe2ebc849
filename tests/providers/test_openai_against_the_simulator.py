import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from providers.adapters.openai import OpenAIVideos
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    Job,
    NoAnswer,
    PollOutcome,
    Rejected,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.errors import Code, UnexpectedReply
from providers.http import DownloadError, PollClient, SentNoAnswer, Transport
from tests.providers.downloading import downloaded
from tests.providers.simulated import Simulator, simulator

ADAPTER = OpenAIVideos()
TRANSPORT = Transport(timeout=10)


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with simulator(seconds=0.05, api_key="sk-right") as running:
        yield running


@pytest.fixture
def far(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture(scope="module")
def polls() -> Iterator[PollClient]:
    client = PollClient()
    yield client
    client.close()


def account(far: Simulator, key: str = "sk-right") -> Account:
    return Account("openai", far.base_url, key, "openai")


def submit(
    far: Simulator, prompt: str, *, key: str = "sk-right", timeout: float = 10, **more: Any
) -> SubmitOutcome | SentNoAnswer:
    wanted: dict[str, Any] = {"model": "sora-2", "seconds": 4, "resolution": "horizontal"} | more
    request = GenerationRequest(
        token="att_1", prompt=prompt, is_pro=False, segment_index=1, take=1, **wanted
    )
    call = ADAPTER.submit(account(far, key), request)
    answer = Transport(timeout=timeout).submit(call)
    if isinstance(answer, SentNoAnswer):
        return answer
    assert isinstance(answer, HttpAnswer)
    return ADAPTER.read_submit(answer)


def accepted(far: Simulator, prompt: str, **more: Any) -> str:
    outcome = submit(far, prompt, **more)
    assert isinstance(outcome, Accepted)
    return outcome.job_id


def poll(far: Simulator, polls: PollClient, job_id: str) -> PollOutcome:
    [answer] = polls.ask([ADAPTER.poll(account(far), Job(job_id))], timeout=10)
    if isinstance(answer, NoAnswer):
        return answer
    outcome: PollOutcome = ADAPTER.read_poll(account(far), Job(job_id), answer)
    return outcome


def ended(far: Simulator, polls: PollClient, job_id: str) -> PollOutcome:
    while isinstance(outcome := poll(far, polls, job_id), Working):
        time.sleep(0.02)
    return outcome


# ---- submits -------------------------------------------------------------------------------------


def test_a_take_is_ordered_watched_and_fetched(
    far: Simulator, polls: PollClient, tmp_path: Path
) -> None:
    job_id = accepted(far, "A city at dusk")
    assert isinstance(poll(far, polls, job_id), Working | Finished)
    assert ended(far, polls, job_id) == Finished()
    target = tmp_path / "take.mp4"
    call = ADAPTER.fetch(account(far), Job(job_id), {})
    done = downloaded(TRANSPORT, call, target)
    content = target.read_bytes()
    assert content[4:8] == b"ftyp"
    assert (done.bytes, done.content_type) == (len(content), "video/mp4")
    assert done.sha256 == hashlib.sha256(content).hexdigest()
    assert far.ledger()["counts"]["posts"] == 1


def test_a_start_image_arrives_as_it_was_sent(far: Simulator) -> None:
    file = io.BytesIO()
    Image.new("RGB", (720, 1280)).save(file, "JPEG")
    image = StartImage(content=file.getvalue(), mime_type="image/jpeg")
    accepted(far, "一座城市", model="sora-2-pro", resolution="vertical", image=image)
    [post] = far.ledger()["posts"]
    assert post["prompt"] == "一座城市"
    assert post["image_sha256"] == hashlib.sha256(file.getvalue()).hexdigest()


def test_a_start_image_elsewhere_arrives_as_its_address(far: Simulator) -> None:
    accepted(far, "dusk", image=StartImage(url="https://pictures.example/a.png"))
    [post] = far.ledger()["posts"]
    assert post["image_url"] == "https://pictures.example/a.png"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("moderation", Code.CONTENT_POLICY),
        ("401", Code.UNAUTHORIZED),
        ("402", Code.QUOTA_EXCEEDED),
        ("403", Code.FORBIDDEN),
        ("404", Code.DEPENDENCY_ERROR),
        ("429:7", Code.RATE_LIMITED),
        ("insufficient_quota", Code.QUOTA_EXCEEDED),
    ],
)
def test_a_refusal_is_a_rejection_and_made_no_job(far: Simulator, fault: str, code: Code) -> None:
    outcome = submit(far, f"dusk [[sim:submit={fault}]]")
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code is code
    assert outcome.failure.retry_after == (7 if fault == "429:7" else None)
    assert posts_and_jobs(far) == (1, 0)


def test_a_wrong_key_is_a_rejection(far: Simulator) -> None:
    outcome = submit(far, "dusk", key="sk-wrong-key")
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code is Code.UNAUTHORIZED
    assert "wrong-key" not in outcome.failure.message


def test_an_unknown_length_is_a_rejection(far: Simulator) -> None:
    outcome = submit(far, "dusk", seconds=10)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code is Code.VALIDATION_ERROR


@pytest.mark.parametrize(
    ("fault", "jobs"),
    [("408", 0), ("500", 0), ("502", 0), ("503", 0), ("500_after_create", 1)],
)
def test_an_error_of_the_server_is_ambiguous(far: Simulator, fault: str, jobs: int) -> None:
    assert isinstance(submit(far, f"dusk [[sim:submit={fault}]]"), Ambiguous)
    assert posts_and_jobs(far) == (1, jobs)


@pytest.mark.parametrize(
    ("fault", "jobs"), [("drop_before_create", 0), ("drop_after_create", 1), ("hang:30", 1)]
)
def test_a_lost_answer_to_the_paid_call_is_never_resent(
    far: Simulator, fault: str, jobs: int
) -> None:
    outcome = submit(far, f"dusk [[sim:submit={fault}]]", timeout=1 if "hang" in fault else 10)
    assert isinstance(outcome, SentNoAnswer)
    assert posts_and_jobs(far) == (1, jobs)


@pytest.mark.parametrize("fault", ["bad_json", "no_id"])
def test_a_success_that_cannot_be_read_raises(far: Simulator, fault: str) -> None:
    with pytest.raises(UnexpectedReply):
        submit(far, f"dusk [[sim:submit={fault}]]")
    assert posts_and_jobs(far) == (1, 1)


def posts_and_jobs(far: Simulator) -> tuple[int, int]:
    ledger = far.ledger()
    return len(ledger["posts"]), len(ledger["jobs"])


# ---- polls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "gone"),
    [
        ("401", Code.UNAUTHORIZED, False),
        ("404", Code.DEPENDENCY_ERROR, True),
        ("429", Code.RATE_LIMITED, False),
        ("500", Code.SERVER_ERROR, False),
        ("502", Code.SERVER_ERROR, False),
        ("drop", Code.DEPENDENCY_ERROR, False),
    ],
)
def test_a_poll_that_goes_wrong_says_nothing_about_the_job(
    far: Simulator, polls: PollClient, fault: str, code: Code, gone: bool
) -> None:
    job_id = accepted(far, f"dusk [[sim:poll={fault}*9]]")
    outcome = poll(far, polls, job_id)
    assert isinstance(outcome, NoAnswer)
    assert (outcome.failure.code, outcome.gone) == (code, gone)


@pytest.mark.parametrize("fault", ["unknown_status", "bad_json"])
def test_a_poll_that_cannot_be_read_raises(far: Simulator, polls: PollClient, fault: str) -> None:
    job_id = accepted(far, f"dusk [[sim:poll={fault}]]")
    with pytest.raises(UnexpectedReply):
        poll(far, polls, job_id)


def test_a_job_that_the_far_end_forgot_is_gone(far: Simulator, polls: PollClient) -> None:
    outcome = poll(far, polls, "video_never_made")
    assert isinstance(outcome, NoAnswer)
    assert outcome.gone


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("moderation_blocked", Code.CONTENT_POLICY),
        ("server_error", Code.SERVER_ERROR),
        ("bad_luck", Code.UNKNOWN_ERROR),
    ],
)
def test_a_failed_job_tells_why(far: Simulator, polls: PollClient, how: str, code: Code) -> None:
    outcome = ended(far, polls, accepted(far, f"dusk [[sim:fail={how}]]"))
    assert isinstance(outcome, Failed)
    assert outcome.failure.code is code


@pytest.mark.parametrize("how", ["none", "text", "backwards"])
def test_a_strange_progress_does_no_harm(far: Simulator, polls: PollClient, how: str) -> None:
    assert ended(far, polls, accepted(far, f"dusk [[sim:progress={how}]]")) == Finished()


# ---- downloads -----------------------------------------------------------------------------------


def finished(far: Simulator, polls: PollClient, prompt: str) -> str:
    job_id = accepted(far, prompt)
    assert ended(far, polls, job_id) == Finished()
    return job_id


def fetch(far: Simulator, job_id: str, target: Path) -> None:
    call = ADAPTER.fetch(account(far), Job(job_id), {})
    downloaded(TRANSPORT, call, target)


@pytest.mark.parametrize("fault", ["truncate*1", "drop*1", "truncate*2"])
def test_a_cut_download_is_made_whole(
    far: Simulator, polls: PollClient, tmp_path: Path, fault: str
) -> None:
    job_id = finished(far, polls, f"dusk [[sim:fetch={fault}]]")
    fetch(far, job_id, tmp_path / "cut.mp4")
    fetch(far, job_id, tmp_path / "whole.mp4")
    assert (tmp_path / "cut.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize(
    ("fault", "gone"),
    [("403", False), ("404", True), ("500", False), ("html", False), ("empty", False)],
)
def test_what_is_no_video_is_refused(
    far: Simulator, polls: PollClient, tmp_path: Path, fault: str, gone: bool
) -> None:
    job_id = finished(far, polls, f"dusk [[sim:fetch={fault}]]")
    with pytest.raises(DownloadError) as caught:
        fetch(far, job_id, tmp_path / "take.mp4")
    assert caught.value.gone is gone


def test_the_key_does_not_follow_to_another_origin(
    far: Simulator, polls: PollClient, tmp_path: Path
) -> None:
    job_id = finished(far, polls, "dusk [[sim:fetch=redirect_other_origin]]")
    fetch(far, job_id, tmp_path / "take.mp4")
    assert far.ledger()["redirected"] == [{"job_id": job_id, "authorization": False}]
