from decimal import Decimal
from typing import Any

import pytest

from providers.adapters.runway import Runway
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    Canceled,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    Job,
    NoAnswer,
    NotCanceled,
    PollOutcome,
    Rejected,
    Standing,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.recorded import names, recorded

ADAPTER = Runway()
BASE = "https://api.dev.runwayml.com"
ACCOUNT = Account("runway", BASE, "key_secret_of_ours", "runway")
KEY = {"Authorization": "Bearer key_secret_of_ours"}
HEAD = {"X-Runway-Version": "2024-11-06"}
BODY = {"model": "gen4.5", "promptText": "A city at dusk", "duration": 8, "ratio": "1280:720"}
ID = "17f20503-6c24-4c16-946b-35dbbce2af2f"
JOB = Job(ID, "gen4.5")

ITS_OWN_ERROR = "The provider had an error of its own."


def rejected(code: Code, message: str, status: int, **more: Any) -> Rejected:
    return Rejected(Failure(code, message, status, **more))


SUBMITS: dict[str, SubmitOutcome] = {
    "accepted": Accepted(ID),
    "invalid_key": rejected(Code.UNAUTHORIZED, "The API key you supplied is invalid. Key: …", 401),
    "no_version": rejected(Code.VALIDATION_ERROR, "The X-Runway-Version header is required.", 400),
    "validation": rejected(Code.VALIDATION_ERROR, "Validation of body failed", 400),
    "moderated": rejected(
        Code.CONTENT_POLICY, "Your prompt was rejected by our content moderation system.", 400
    ),
    "no_credits": rejected(
        Code.QUOTA_EXCEEDED, "You do not have enough credits to run this task.", 400
    ),
    "forbidden": rejected(Code.FORBIDDEN, "Model variant veo3.1 is not available.", 403),
    "no_such_route": rejected(Code.DEPENDENCY_ERROR, "Not found", 404, gone=True),
    "method_not_allowed": rejected(Code.VALIDATION_ERROR, "Method not allowed", 405),
    "daily_cap": rejected(
        Code.RATE_LIMITED, "You have reached your daily task limit.", 429, retry_after=3600
    ),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "unavailable": Ambiguous(
        Failure(Code.SERVER_ERROR, "Service unavailable", 503, retry_after=30)
    ),
    "timed_out_408": Ambiguous(Failure(Code.TIMEOUT, "Request timeout", 408)),
}
UNREADABLE_SUBMITS = {
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
    "teapot": "HTTP 418",
}


def failed(code: Code, message: str, word: str, **more: Any) -> Failed:
    return Failed(Failure(code, message, provider_code=word, **more))


INTERNAL = "An internal error occurred."
POLLS: dict[str, PollOutcome] = {
    "pending": Working(),
    "throttled": Working(),
    "running": Working(41),
    "running_at_the_end": Working(100),
    "running_without_progress": Working(),
    "succeeded": Finished(
        {"url": "https://dnznrvs05pmza.cloudfront.net/17f2/out.mp4?_jwt=abc"}, Decimal("0.6")
    ),
    "succeeded_without_output": Failed(
        Failure(Code.SERVER_ERROR, "The provider says that the job is finished, without a video.")
    ),
    "failed_safety_input": failed(
        Code.CONTENT_POLICY, "The input was flagged by moderation.", "SAFETY.INPUT.TEXT"
    ),
    "failed_safety_output": failed(
        Code.CONTENT_POLICY,
        "The output was flagged by moderation.",
        "SAFETY.OUTPUT.VIDEO",
        output_refused=True,
    ),
    # Before the plainer rule of what goes wrong in preprocessing.
    "failed_safety_in_preprocessing": failed(
        Code.CONTENT_POLICY, "The prompt was flagged.", "INPUT_PREPROCESSING.SAFETY.TEXT"
    ),
    "failed_third_party_safety": failed(
        Code.CONTENT_POLICY,
        "The provider refused the input.",
        "INPUT_PREPROCESSING.SAFETY.THIRD_PARTY",
    ),
    "failed_preprocessing": failed(Code.SERVER_ERROR, INTERNAL, "INPUT_PREPROCESSING.INTERNAL"),
    "failed_asset": failed(Code.VALIDATION_ERROR, "The asset could not be used.", "ASSET.INVALID"),
    "failed_third_party_validation": failed(
        Code.VALIDATION_ERROR, "Invalid input.", "THIRD_PARTY.INPUT_VALIDATION"
    ),
    "failed_third_party": failed(
        Code.SERVER_ERROR, "The model is unavailable.", "THIRD_PARTY.UNAVAILABLE"
    ),
    "failed_bad_output": failed(
        Code.SERVER_ERROR, "The output was of poor quality.", "INTERNAL.BAD_OUTPUT.CODE01"
    ),
    "failed_internal": failed(Code.SERVER_ERROR, INTERNAL, "INTERNAL"),
    "failed_unknown_code": failed(Code.UNKNOWN_ERROR, "The stars were wrong.", "STARS.WRONG"),
    "failed_without_a_code": failed(Code.UNKNOWN_ERROR, "An unexpected error occurred.", ""),
    "cancelled": Failed(Failure(Code.CANCELED, "The job was canceled at the provider.")),
    "not_found": NoAnswer(Failure(Code.DEPENDENCY_ERROR, "Task not found", 404), gone=True),
    "invalid_key": NoAnswer(
        Failure(Code.UNAUTHORIZED, "The API key you supplied is invalid.", 401)
    ),
    "rate_limited": NoAnswer(Failure(Code.RATE_LIMITED, "Too many requests", 429, retry_after=5)),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'RENDERING'",
    "without_status": "None",
    "cut_json": "no JSON object",
}
CANCELS = {"done": Canceled(), "not_found": NotCanceled(), "refused": NotCanceled()}
STANDINGS: dict[str, Standing | Failure] = {
    "organization": Standing("The key works.", Decimal("123.45"), "USD", ("gen4.5", "veo3.1")),
    "without_balance": Standing("The key works.", None, "USD"),
    "invalid_key": Failure(Code.UNAUTHORIZED, "The API key you supplied is invalid.", 401),
}


def answer(name: str) -> HttpAnswer:
    return recorded("runway", name)


def order(model: str = "gen4.5", **more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {"resolution": "horizontal", "options": {}} | more
    return GenerationRequest(
        token="att_1",
        model=model,
        prompt="A city at dusk",
        seconds=8,
        is_pro=False,
        segment_index=1,
        take=1,
        **wanted,
    )


# ---- what is asked -------------------------------------------------------------------------------


def test_a_text_has_an_address_and_each_request_its_version() -> None:
    expected = HttpCall("POST", f"{BASE}/v1/text_to_video", HEAD, KEY, json=BODY)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


def test_a_picture_has_another_address() -> None:
    held = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
    call = ADAPTER.submit(ACCOUNT, order(image=held))
    assert call.url == f"{BASE}/v1/image_to_video"
    assert call.json == BODY | {"promptImage": "data:image/jpeg;base64,/9g="}
    linked = StartImage(url="https://pictures.example/a.png")
    call = ADAPTER.submit(ACCOUNT, order(image=linked))
    assert call.json["promptImage"] == "https://pictures.example/a.png"


def test_a_shape_is_a_pair_of_pixels_and_the_picture_gets_it() -> None:
    options = {"ratios": {"horizontal": "1920:1080", "vertical": "1080:1920"}}
    vertical = order("seedance2_5#1080p", options=options, resolution="vertical")
    assert ADAPTER.submit(ACCOUNT, vertical).json["ratio"] == "1080:1920"
    assert ADAPTER.submit(ACCOUNT, vertical).json["model"] == "seedance2_5"
    assert ADAPTER.image_size(vertical) == (1080, 1920)
    assert ADAPTER.image_size(order()) == (1280, 720)
    named = {"ratios": {"horizontal": "16:9", "vertical": "9:16"}, "resolution": "768p"}
    assert ADAPTER.image_size(order("hailuo3", options=named)) == (1366, 768)


def test_a_job_id_is_quoted_wherever_it_becomes_a_path() -> None:
    job = Job("a/b?c", "gen4.5")
    url = f"{BASE}/v1/tasks/a%2Fb%3Fc"
    assert ADAPTER.poll(ACCOUNT, job) == HttpCall("GET", url, HEAD, KEY)
    assert ADAPTER.cancel(ACCOUNT, job) == HttpCall("DELETE", url, HEAD, KEY)


def test_the_video_is_fetched_without_the_key() -> None:
    url = "https://dnznrvs05pmza.cloudfront.net/17f2/out.mp4?_jwt=abc"
    assert ADAPTER.fetch(ACCOUNT, JOB, {"url": url}) == HttpCall("GET", url)
    home = f"{BASE}/v1/files/a"
    assert ADAPTER.fetch(ACCOUNT, JOB, {"url": home}) == HttpCall("GET", home, secret_headers=KEY)


# ---- what is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBMITS)
def test_an_answer_to_a_submit(name: str) -> None:
    assert ADAPTER.read_submit(answer(f"submit_{name}")) == SUBMITS[name]


@pytest.mark.parametrize("name", UNREADABLE_SUBMITS)
def test_a_submit_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_SUBMITS[name]):
        ADAPTER.read_submit(answer(f"submit_{name}"))


@pytest.mark.parametrize("name", POLLS)
def test_an_answer_to_a_poll(name: str) -> None:
    assert ADAPTER.read_poll(ACCOUNT, JOB, answer(f"poll_{name}")) == POLLS[name]


@pytest.mark.parametrize("name", UNREADABLE_POLLS)
def test_a_poll_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_POLLS[name]):
        ADAPTER.read_poll(ACCOUNT, JOB, answer(f"poll_{name}"))


@pytest.mark.parametrize("name", CANCELS)
def test_an_answer_to_a_cancel(name: str) -> None:
    assert ADAPTER.read_cancel(answer(f"cancel_{name}")) == CANCELS[name]


@pytest.mark.parametrize("name", STANDINGS)
def test_how_the_account_stands(name: str) -> None:
    assert ADAPTER.standing(ACCOUNT) == HttpCall("GET", f"{BASE}/v1/organization", HEAD, KEY)
    assert ADAPTER.read_standing(answer(f"standing_{name}")) == STANDINGS[name]


def test_every_recorded_answer_is_read() -> None:
    read = {f"submit_{name}" for name in SUBMITS | UNREADABLE_SUBMITS}
    read |= {f"poll_{name}" for name in POLLS | UNREADABLE_POLLS}
    read |= {f"cancel_{name}" for name in CANCELS} | {f"standing_{name}" for name in STANDINGS}
    assert names("runway") == read
