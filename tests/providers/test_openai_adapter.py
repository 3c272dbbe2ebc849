import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from providers.adapters.openai import OpenAIVideos
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    Job,
    NoAnswer,
    Notice,
    PollOutcome,
    Rejected,
    Standing,
    StartImage,
    SubmitOutcome,
    Unverified,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.test_signatures import SECRET, signed

WIRE = Path(__file__).parent.parent / "wire" / "openai"
ADAPTER = OpenAIVideos()
ACCOUNT = Account("openai", "https://relay.example/v1/", "sk-secret-key", "openai")
URL = "https://relay.example/v1/videos"
KEY = {"Authorization": "Bearer sk-secret-key"}
FIELDS = {"prompt": "A city at dusk", "model": "sora-2", "seconds": "8", "size": "1280x720"}

MODERATED = "Your request was blocked by our moderation system."
INTEGER = (
    "Invalid type for 'seconds': expected one of '4', '8', or '12', but got an integer instead."
)
BAD_KEY = "Incorrect API key provided: …. You can find your API key at …"
NO_QUOTA = "You exceeded your current quota, please check your plan and billing details."
NO_BALANCE = "Your balance is too low for this request."
COUNTRY = "Country, region, or territory not supported"
GONE = "The model is gone: The model 'sora-2' does not exist or you do not have access to it."
SIZE = "Input should be '720x1280' or '1280x720'"
REDIRECTED = "The base URL redirects to another one: set that one."
ITS_OWN_ERROR = "The provider had an error of its own."
UNKNOWN_ADDRESS = "The provider does not know this address: the model or service is gone."

SUBMITS: dict[str, SubmitOutcome] = {
    "queued": Accepted("video_69a1f0c2"),
    "accepted_202_with_long_id": Accepted(
        "eyJtb2RlbCI6InNvcmEtMiIsImlkIjoidmlkZW9fNjlhMSJ9Qchannel2679"
    ),
    "failed_job_in_an_error_status": Accepted("video_69a1f0c2"),
    "moderated": Rejected(
        Failure(Code.CONTENT_POLICY, MODERATED, 400, provider_code="moderation_blocked")
    ),
    "integer_seconds": Rejected(
        Failure(Code.VALIDATION_ERROR, INTEGER, 400, provider_code="invalid_type")
    ),
    "invalid_key": Rejected(
        Failure(Code.UNAUTHORIZED, BAD_KEY, 401, provider_code="invalid_api_key")
    ),
    "out_of_quota": Rejected(
        Failure(Code.QUOTA_EXCEEDED, NO_QUOTA, 429, provider_code="insufficient_quota")
    ),
    "no_balance": Rejected(
        Failure(Code.QUOTA_EXCEEDED, NO_BALANCE, 402, provider_code="insufficient_balance")
    ),
    "no_user_quota_as_403": Rejected(
        Failure(Code.QUOTA_EXCEEDED, "预扣费额度失败", 403, provider_code="insufficient_user_quota")
    ),
    "forbidden": Rejected(
        Failure(Code.FORBIDDEN, COUNTRY, 403, provider_code="unsupported_country_region_territory")
    ),
    "rate_limited": Rejected(
        Failure(
            Code.RATE_LIMITED, "Rate limit reached for sora-2.", 429, 11.5, "rate_limit_exceeded"
        )
    ),
    "model_gone": Rejected(
        Failure(Code.DEPENDENCY_ERROR, GONE, 404, provider_code="model_not_found", gone=True)
    ),
    "no_such_route": Rejected(Failure(Code.DEPENDENCY_ERROR, "Not Found", 404, gone=True)),
    "fastapi_validation": Rejected(Failure(Code.VALIDATION_ERROR, SIZE, 422)),
    "too_large_html": Rejected(
        Failure(Code.VALIDATION_ERROR, "The provider refused the request.", 413)
    ),
    "redirected": Rejected(Failure(Code.DEPENDENCY_ERROR, REDIRECTED, 308)),
    "timed_out_408": Ambiguous(
        Failure(Code.TIMEOUT, "The request timed out.", 408, provider_code="server_error")
    ),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "overloaded": Ambiguous(
        Failure(Code.SERVER_ERROR, "The server is overloaded.", 503, 30, "server_error")
    ),
}
UNREADABLE_SUBMITS = {
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
    "teapot": "HTTP 418",
}
POLLS: dict[str, PollOutcome] = {
    "queued": Working(0, retry_after=2.5),
    "in_progress": Working(42),
    "progress_as_text": Working(30),
    "progress_unknown": Working(None),
    "progress_beyond_the_end": Working(100),
    "completed": Finished(),
    "failed_moderation": Failed(
        Failure(
            Code.CONTENT_POLICY,
            'Blocked: "…" shows a real person.',
            provider_code="moderation_blocked",
        )
    ),
    "failed_server_error": Failed(
        Failure(
            Code.SERVER_ERROR,
            "The server had an error while processing your request.",
            provider_code="server_error",
        )
    ),
    "failed_rate_limit": Failed(
        Failure(Code.RATE_LIMITED, "Too many jobs.", provider_code="rate_limit_exceeded")
    ),
    "failed_unknown_code": Failed(
        Failure(Code.UNKNOWN_ERROR, "The stars were wrong.", provider_code="5003")
    ),
    "failed_without_a_reason": Failed(
        Failure(Code.UNKNOWN_ERROR, "The provider says that the job failed.")
    ),
    "failed_job_in_an_error_status": Failed(
        Failure(Code.SERVER_ERROR, "Engine core died.", provider_code="internal_error")
    ),
    "not_found": NoAnswer(
        Failure(
            Code.DEPENDENCY_ERROR,
            "Video with id 'video_69a1f0c2' not found.",
            404,
            provider_code="invalid_request_error",
        ),
        gone=True,
    ),
    "gone": NoAnswer(Failure(Code.DEPENDENCY_ERROR, UNKNOWN_ADDRESS, 410), gone=True),
    "invalid_key": NoAnswer(
        Failure(
            Code.UNAUTHORIZED, "Incorrect API key provided.", 401, provider_code="invalid_api_key"
        )
    ),
    "forbidden": NoAnswer(
        Failure(
            Code.FORBIDDEN,
            "You are not allowed to do this.",
            403,
            provider_code="invalid_request_error",
        )
    ),
    "rate_limited_until_a_date": NoAnswer(
        Failure(Code.RATE_LIMITED, "Slow down.", 429, 45, "rate_limit_exceeded")
    ),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'rendering'",
    "without_status": "None",
    "error_with_status_200": "None",
    "cut_json": "no JSON object",
}
STANDINGS: dict[str, Standing | Failure] = {
    "models": Standing("lists 2 models", models=("sora-2", "gpt-5.1")),
    "none_listed": Standing("lists 0 models", models=()),
    "invalid_key": Failure(Code.UNAUTHORIZED, BAD_KEY, 401, provider_code="invalid_api_key"),
    "no_such_route": Failure(Code.DEPENDENCY_ERROR, "Not Found", 404, gone=True),
}
UNREADABLE_STANDINGS = {"page_of_a_website": "no list"}


def recorded(name: str) -> HttpAnswer:
    found = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    body = found["text"] if "text" in found else json.dumps(found["body"])
    return HttpAnswer(found["status"], found.get("headers", {}), body.encode())


def order(resolution: str = "horizontal", image: StartImage | None = None) -> GenerationRequest:
    return GenerationRequest(
        token="att_1",
        model="sora-2",
        prompt="A city at dusk",
        seconds=8,
        resolution=resolution,
        is_pro=False,
        segment_index=1,
        take=1,
        image=image,
    )


# ---- what is asked -------------------------------------------------------------------------------


# For servers that honour it; the others do not mind.
TOKEN = {"Idempotency-Key": "att_1"}


def test_a_submit_is_json_with_the_seconds_as_text() -> None:
    expected = HttpCall("POST", URL, TOKEN, KEY, json=FIELDS)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


def test_a_vertical_shot_has_a_vertical_size() -> None:
    assert ADAPTER.submit(ACCOUNT, order("vertical")).json["size"] == "720x1280"
    assert ADAPTER.image_size(order("vertical")) == (720, 1280)


def test_a_start_image_that_we_hold_goes_along_as_a_file() -> None:
    image = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
    files = {"input_reference": ("start.jpg", b"\xff\xd8", "image/jpeg")}
    expected = HttpCall("POST", URL, TOKEN, KEY, form=FIELDS, files=files)
    assert ADAPTER.submit(ACCOUNT, order(image=image)) == expected


def test_a_start_image_elsewhere_goes_along_as_its_address() -> None:
    call = ADAPTER.submit(ACCOUNT, order(image=StartImage(url="https://pictures.example/a.png")))
    reference = {"input_reference": {"image_url": "https://pictures.example/a.png"}}
    assert call == HttpCall("POST", URL, TOKEN, KEY, json=FIELDS | reference)


def test_a_job_id_is_quoted_wherever_it_becomes_a_path() -> None:
    poll = ADAPTER.poll(ACCOUNT, Job("a/b+c=?d"))
    assert poll == HttpCall("GET", f"{URL}/a%2Fb%2Bc%3D%3Fd", secret_headers=KEY)
    fetch = ADAPTER.fetch(ACCOUNT, Job("a/b+c=?d"), {})
    assert (fetch.method, fetch.url) == ("GET", f"{URL}/a%2Fb%2Bc%3D%3Fd/content")
    assert (fetch.secret_headers, set(fetch.headers)) == (KEY, {"Accept"})


def test_the_key_is_in_no_repr() -> None:
    calls = [ADAPTER.submit(ACCOUNT, order()), ADAPTER.poll(ACCOUNT, Job("a")), ACCOUNT]
    assert "secret-key" not in repr(calls)


# ---- what is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBMITS)
def test_an_answer_to_a_submit(name: str) -> None:
    assert ADAPTER.read_submit(recorded(f"submit_{name}")) == SUBMITS[name]


@pytest.mark.parametrize("name", UNREADABLE_SUBMITS)
def test_a_submit_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_SUBMITS[name]):
        ADAPTER.read_submit(recorded(f"submit_{name}"))


@pytest.mark.parametrize("name", POLLS)
def test_an_answer_to_a_poll(name: str) -> None:
    assert ADAPTER.read_poll(ACCOUNT, Job("a"), recorded(f"poll_{name}")) == POLLS[name]


@pytest.mark.parametrize("name", UNREADABLE_POLLS)
def test_a_poll_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_POLLS[name]):
        ADAPTER.read_poll(ACCOUNT, Job("a"), recorded(f"poll_{name}"))


def test_the_free_request_lists_the_models() -> None:
    url = "https://relay.example/v1/models"
    assert ADAPTER.standing(ACCOUNT) == HttpCall("GET", url, secret_headers=KEY)


@pytest.mark.parametrize("name", STANDINGS)
def test_an_answer_to_the_free_request(name: str) -> None:
    assert ADAPTER.read_standing(recorded(f"standing_{name}")) == STANDINGS[name]


@pytest.mark.parametrize("name", UNREADABLE_STANDINGS)
def test_a_free_answer_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_STANDINGS[name]):
        ADAPTER.read_standing(recorded(f"standing_{name}"))


def test_every_recorded_answer_is_read() -> None:
    submits = {f"submit_{name}" for name in SUBMITS | UNREADABLE_SUBMITS}
    polls = {f"poll_{name}" for name in POLLS | UNREADABLE_POLLS}
    standings = {f"standing_{name}" for name in STANDINGS | UNREADABLE_STANDINGS}
    assert {path.stem for path in WIRE.iterdir()} == submits | polls | standings


def test_no_status_without_a_body_is_an_acceptance() -> None:
    kinds: dict[type, set[int]] = {Rejected: set(), Ambiguous: set(), UnexpectedReply: set()}
    for status in range(100, 600):
        try:
            kinds[type(ADAPTER.read_submit(HttpAnswer(status, {}, b"")))].add(status)
        except UnexpectedReply:
            kinds[UnexpectedReply].add(status)
    moved = {301, 307, 308}
    refused = {400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 429}
    assert kinds[Rejected] == moved | refused
    assert kinds[Ambiguous] == {408, *range(500, 600)}


# ---- notices -------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_notice_of_a_video_that_is_signed_names_it() -> None:
    event = {"id": "evt_1", "object": "event", "type": "video.completed", "data": {"id": "video_1"}}
    body = json.dumps(event).encode()
    notice = ADAPTER.read_notice(SECRET, signed(body, NOW), body, NOW)
    assert notice == Notice("video_1", "msg_1")
    with pytest.raises(Unverified):
        ADAPTER.read_notice(SECRET, {}, body, NOW)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"data": {"id": 7}}'])
def test_a_notice_of_no_video_is_refused(body: bytes) -> None:
    with pytest.raises(Unverified, match="names no video"):
        ADAPTER.read_notice(SECRET, signed(body, NOW), body, NOW)
