import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.adapters.openrouter import OpenRouter
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
from tests.providers.recorded import names, recorded

ADAPTER = OpenRouter()
BASE = "https://openrouter.ai/api/v1"
ACCOUNT = Account("openrouter", f"{BASE}/", "sk-or-secret-key", "openrouter")
KEY = {"Authorization": "Bearer sk-or-secret-key"}
ID = "gen-vid-1795341600-q7Zk2mXw9RtYb4Ln8PcV"
LINKS = {"polling_url": f"/api/v1/videos/{ID}"}
CONTENT = f"{BASE}/videos/{ID}/content?index=0"
SIGNED = "https://storage.openrouter.example/out/1.mp4?sig=9f2c&exp=1795428000"
BODY = {
    "model": "bytedance/seedance-2.5",
    "prompt": "A city at dusk",
    "duration": 8,
    "resolution": "720p",
    "aspect_ratio": "16:9",
    "session_id": "att_1",
}

NO_CREDITS = "Insufficient credits. Add more using …"
SENSITIVE = (
    "The request failed because the output video may contain sensitive information. "
    "Request id: 0217882536596960"
)
FAILED = "The provider says that the job failed."
WITHOUT = "The provider says that the job is finished, without a video."
ITS_OWN_ERROR = "The provider had an error of its own."


def refused(code: Code, text: str, status: int, **more: Any) -> Rejected:
    return Rejected(Failure(code, text, status, provider_code=str(status), **more))


SUBMITS: dict[str, SubmitOutcome] = {
    "pending": Accepted(ID, links=LINKS),
    "without_polling_url": Accepted(ID),
    "invalid": refused(
        Code.VALIDATION_ERROR, "duration: Invalid input: expected one of 4, 6, 8", 400
    ),
    "invalid_key": refused(Code.UNAUTHORIZED, "No auth credentials found", 401),
    "no_credits": refused(Code.QUOTA_EXCEEDED, NO_CREDITS, 402),
    "flagged": refused(Code.CONTENT_POLICY, "The input was flagged by moderation.", 403),
    "forbidden": refused(Code.FORBIDDEN, "Key limit exceeded (total limit).", 403),
    "no_such_model": refused(
        Code.DEPENDENCY_ERROR, "No endpoints found for bytedance/seedance-9.", 404, gone=True
    ),
    "too_large": refused(Code.VALIDATION_ERROR, "The request is too large.", 413),
    "rate_limited": refused(Code.RATE_LIMITED, "Rate limit exceeded.", 429, retry_after=7),
    "timed_out_408": Ambiguous(
        Failure(Code.TIMEOUT, "Your request timed out.", 408, provider_code="408")
    ),
    "internal": Ambiguous(
        Failure(Code.SERVER_ERROR, "Internal Server Error", 500, provider_code="500")
    ),
    "unavailable": Ambiguous(
        Failure(
            Code.SERVER_ERROR, "No provider is available.", 503, retry_after=30, provider_code="503"
        )
    ),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_SUBMITS = {
    "client_closed_499": "HTTP 499",
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
}
POLLS: dict[str, PollOutcome] = {
    "pending": Working(retry_after=12),
    "in_progress": Working(),
    "completed": Finished({"url": CONTENT}, Decimal("1.8490")),
    "completed_signed_alone": Finished({"url": SIGNED}),
    "completed_elsewhere_alone": Finished({"url": "https://cdn.example/out/1.mp4"}),
    "completed_without_a_video": Failed(Failure(Code.SERVER_ERROR, WITHOUT)),
    "failed_sensitive": Failed(Failure(Code.CONTENT_POLICY, SENSITIVE, output_refused=True)),
    "failed_internal": Failed(Failure(Code.SERVER_ERROR, "Internal server error")),
    "failed_timeout": Failed(Failure(Code.TIMEOUT, "Upstream request timed out")),
    "failed_in_other_words": Failed(Failure(Code.UNKNOWN_ERROR, "Could not generate this.")),
    "failed_without_a_reason": Failed(Failure(Code.UNKNOWN_ERROR, FAILED)),
    "cancelled": Failed(Failure(Code.CANCELED, "The job was canceled at the provider.")),
    "expired": Failed(Failure(Code.TIMEOUT, "The job expired at the provider.")),
    "not_found": NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, "No such video job.", 404, provider_code="404"), gone=True
    ),
    "invalid_key": NoAnswer(
        Failure(Code.UNAUTHORIZED, "User not found.", 401, provider_code="401")
    ),
    "rate_limited": NoAnswer(
        Failure(Code.RATE_LIMITED, "Rate limit exceeded.", 429, retry_after=5, provider_code="429")
    ),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'rendering'",
    "without_status": "None",
    "cut_json": "no JSON object",
}
STANDINGS: dict[str, Standing | Failure] = {
    "limited": Standing(
        "The key has spent 37.50 US dollars and may spend 12.50 more.", Decimal("12.5000"), "USD"
    ),
    "unlimited": Standing(
        "The key has spent 37.50 US dollars and has no limit of its own.", currency="USD"
    ),
    "invalid_key": Failure(Code.UNAUTHORIZED, "User not found.", 401, provider_code="401"),
}


def answer(name: str) -> HttpAnswer:
    return recorded("openrouter", name)


def order(**more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {
        "model": "bytedance/seedance-2.5",
        "resolution": "horizontal",
        "is_pro": False,
    }
    return GenerationRequest(
        token="att_1",
        prompt="A city at dusk",
        seconds=8,
        segment_index=1,
        take=1,
        **(wanted | more),
    )


# ---- what is asked -------------------------------------------------------------------------------


def test_a_submit_is_json_and_tells_our_token() -> None:
    expected = HttpCall("POST", f"{BASE}/videos", secret_headers=KEY, json=BODY)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


def test_a_vertical_shot_has_a_vertical_ratio_and_picture() -> None:
    assert ADAPTER.submit(ACCOUNT, order(resolution="vertical")).json["aspect_ratio"] == "9:16"
    assert ADAPTER.image_size(order(resolution="vertical")) == (720, 1280)


def test_the_options_of_a_model_reach_its_maker() -> None:
    provider = {"options": {"google-vertex": {"personGeneration": "allow_adult"}}}
    options = {"resolution": "1080p", "generate_audio": False, "provider": provider}
    wanted = order(model="google/veo-3.1#1080p", options=options)
    body = ADAPTER.submit(ACCOUNT, wanted).json
    assert body == BODY | options | {"model": "google/veo-3.1"}
    assert ADAPTER.image_size(wanted) == (1920, 1080)


@pytest.mark.parametrize("options", [{"generate_audio": "yes"}, {"resolution": 720}])
def test_an_option_of_another_kind_is_not_sent(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="option"):
        ADAPTER.submit(ACCOUNT, order(options=options))


def test_a_start_image_that_we_hold_stands_in_the_body() -> None:
    image = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
    (frame,) = ADAPTER.submit(ACCOUNT, order(image=image)).json["frame_images"]
    assert frame == {
        "type": "image_url",
        "image_url": {"url": "data:image/jpeg;base64,/9g="},
        "frame_type": "first_frame",
    }


def test_a_start_image_elsewhere_goes_along_as_its_address() -> None:
    image = StartImage(url="https://pictures.example/a.png")
    (frame,) = ADAPTER.submit(ACCOUNT, order(image=image)).json["frame_images"]
    assert frame["image_url"] == {"url": "https://pictures.example/a.png"}


def test_it_is_told_where_to_tell_us() -> None:
    body = ADAPTER.submit(ACCOUNT, order(callback_url="https://film.example/n/1")).json
    assert body == BODY | {"callback_url": "https://film.example/n/1"}


OWN = f"{BASE}/videos/{ID}"


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("", OWN),
        (f"/api/v1/videos/{ID}", OWN),
        (f"{BASE}/videos/{ID}?fresh=1", f"{OWN}?fresh=1"),
        ("https://evil.example/api/v1/videos/1", OWN),
        ("//evil.example/api/v1/videos/1", OWN),
        ("https://openrouter.ai.evil.example/api/v1/", OWN),
        ("http://openrouter.ai/api/v1/videos/1", OWN),
        ("/admin", OWN),
        ("http://[", OWN),
    ],
)
def test_the_key_polls_only_below_our_own_address(link: str, asked: str) -> None:
    call = ADAPTER.poll(ACCOUNT, Job(ID, links={"polling_url": link}))
    assert call == HttpCall("GET", asked, secret_headers=KEY)


def test_the_key_fetches_its_own_content_and_no_signed_address() -> None:
    own = ADAPTER.fetch(ACCOUNT, Job(ID), {"url": CONTENT})
    assert own == HttpCall("GET", CONTENT, secret_headers=KEY)
    assert ADAPTER.fetch(ACCOUNT, Job(ID), {"url": SIGNED}) == HttpCall("GET", SIGNED)


def test_the_standing_is_asked_of_the_key() -> None:
    assert ADAPTER.standing(ACCOUNT) == HttpCall("GET", f"{BASE}/key", secret_headers=KEY)


def test_there_is_no_list_and_no_cancel() -> None:
    assert ADAPTER.cancel(ACCOUNT, Job(ID)) is None


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
    assert ADAPTER.read_poll(ACCOUNT, Job(ID), answer(f"poll_{name}")) == POLLS[name]


@pytest.mark.parametrize("name", UNREADABLE_POLLS)
def test_a_poll_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_POLLS[name]):
        ADAPTER.read_poll(ACCOUNT, Job(ID), answer(f"poll_{name}"))


def test_a_content_address_of_another_origin_yields_to_the_signed_one() -> None:
    relay = Account("openrouter", "https://relay.example/v1", "sk", "openrouter")
    finished = ADAPTER.read_poll(relay, Job(ID), answer("poll_completed"))
    assert finished == Finished({"url": SIGNED}, Decimal("1.8490"))


@pytest.mark.parametrize("name", STANDINGS)
def test_an_answer_about_the_key(name: str) -> None:
    assert ADAPTER.read_standing(answer(f"standing_{name}")) == STANDINGS[name]


def test_a_standing_that_cannot_be_read_raises() -> None:
    with pytest.raises(UnexpectedReply):
        ADAPTER.read_standing(answer("standing_strange"))


def test_every_recorded_answer_is_read() -> None:
    submits = {f"submit_{name}" for name in SUBMITS | UNREADABLE_SUBMITS}
    polls = {f"poll_{name}" for name in POLLS | UNREADABLE_POLLS}
    standings = {f"standing_{name}" for name in [*STANDINGS, "strange"]}
    assert names("openrouter") == submits | polls | standings


# ---- what it tells by itself ---------------------------------------------------------------------

SECRET = "whk_8c1f"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
NOTICE = json.dumps(
    {"type": "video.generation.completed", "data": {"id": ID, "status": "completed"}}
).encode()


def signed(body: bytes = NOTICE, *, secret: str = SECRET, at: datetime = NOW) -> dict[str, str]:
    time = str(int(at.timestamp()))
    code = hmac.new(secret.encode(), f"{time},".encode() + body, hashlib.sha256).hexdigest()
    return {"x-openrouter-signature": f"t={time},v1={code}"}


def test_a_signed_notice_names_its_job_and_itself() -> None:
    headers = signed() | {"x-openrouter-idempotency-key": "job-1-completed"}
    assert ADAPTER.read_notice(SECRET, headers, NOTICE, NOW) == Notice(ID, "job-1-completed")


def test_a_notice_without_an_event_id_gets_the_same_one_each_time() -> None:
    assert ADAPTER.read_notice(SECRET, signed(), NOTICE, NOW) == Notice(ID, f"{ID}-completed")


def test_a_job_at_the_top_of_a_notice_is_read_as_well() -> None:
    body = json.dumps({"id": ID, "status": "failed", "error": "…"}).encode()
    assert ADAPTER.read_notice(SECRET, signed(body), body, NOW) == Notice(ID, f"{ID}-failed")


LATE = timedelta(seconds=301)
UNVERIFIED = {
    "another secret": (signed(secret="whk_other"), NOTICE, "signature is wrong"),
    "another body": (signed(), NOTICE + b" ", "signature is wrong"),
    "too old": (signed(at=NOW - LATE), NOTICE, "too old"),
    "from the future": (signed(at=NOW + LATE), NOTICE, "future"),
    "no signature": ({}, NOTICE, "not signed"),
    "half a signature": ({"x-openrouter-signature": "t=1795341600"}, NOTICE, "not signed"),
    "a time that is no number": (
        {"x-openrouter-signature": f"t=now,v1={'0' * 64}"},
        NOTICE,
        "not signed",
    ),
    "no job": (signed(b"{}"), b"{}", "names no job"),
    "no JSON": (signed(b"ok"), b"ok", "names no job"),
}


@pytest.mark.parametrize("name", UNVERIFIED)
def test_a_notice_that_cannot_be_trusted(name: str) -> None:
    headers, body, why = UNVERIFIED[name]
    with pytest.raises(Unverified, match=why):
        ADAPTER.read_notice(SECRET, headers, body, NOW)


def test_without_a_secret_no_notice_is_trusted() -> None:
    with pytest.raises(Unverified, match="no secret"):
        ADAPTER.read_notice("", signed(secret=""), NOTICE, NOW)
