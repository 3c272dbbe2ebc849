import hashlib
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from providers.adapters.fal import FalQueue
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    AskNext,
    Canceled,
    CannotLookUp,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    Job,
    Listing,
    NoAnswer,
    NotCanceled,
    Notice,
    PollAnswer,
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    Standing,
    StartImage,
    SubmitOutcome,
    Unverified,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.recorded import names, recorded

ADAPTER = FalQueue()
ACCOUNT = Account("fal", "https://queue.fal.run", "fal-secret-key", "fal", "https://api.fal.ai/v1")
KEY = {"Authorization": "Key fal-secret-key"}
TEXT = "bytedance/seedance-2.5/text-to-video"
PICTURE = "bytedance/seedance-2.5/image-to-video"
OPTIONS = {"duration": "{}", "resolution": "720p", "inputs": {"generate_audio": True}}
INPUT = {
    "prompt": "A city at dusk",
    "duration": "8",
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "generate_audio": True,
}
ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
REQUEST = f"https://queue.fal.run/bytedance/seedance-2.5/requests/{ID}"
LINKS = {"status": f"{REQUEST}/status", "response": REQUEST, "cancel": f"{REQUEST}/cancel"}
JOB = Job(ID, TEXT, LINKS)
RESULT = AskNext(HttpCall("GET", REQUEST, secret_headers=KEY))

UNKNOWN_KEY = "Authentication is required to access this application."
FLAGGED = (
    "The content could not be processed because it contained material flagged by a content checker."
)
ITS_OWN_ERROR = "The provider had an error of its own."

SUBMITS: dict[str, SubmitOutcome] = {
    "queued": Accepted(ID, links=LINKS),
    "without_links": Accepted(ID),
    "invalid_key": Rejected(Failure(Code.UNAUTHORIZED, f"{UNKNOWN_KEY} Key 1f2e3d4c-aaaa: …", 401)),
    "locked": Rejected(
        Failure(
            Code.QUOTA_EXCEEDED,
            "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
            403,
        )
    ),
    "forbidden": Rejected(Failure(Code.FORBIDDEN, "Forbidden", 403)),
    "no_such_endpoint": Rejected(
        Failure(Code.DEPENDENCY_ERROR, "Application 'seedance-9' not found", 404, gone=True)
    ),
    "validation": Rejected(
        Failure(
            Code.VALIDATION_ERROR,
            "Input should be '4', '5' or '6'",
            422,
            provider_code="literal_error",
        )
    ),
    "moderated": Rejected(
        Failure(Code.CONTENT_POLICY, FLAGGED, 422, provider_code="content_policy_violation")
    ),
    "queue_is_full": Rejected(Failure(Code.RATE_LIMITED, "Queue is full", 429, retry_after=7)),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "timed_out": Ambiguous(
        Failure(Code.SERVER_ERROR, "Request timed out", 504, provider_code="request_timeout")
    ),
    "timed_out_408": Ambiguous(Failure(Code.TIMEOUT, "Request timeout", 408)),
}
UNREADABLE_SUBMITS = {
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
    "teapot": "HTTP 418",
}
POLLS: dict[str, PollAnswer] = {
    "in_queue": Working(),
    "in_progress": Working(),
    "completed": RESULT,
    "completed_with_an_error": RESULT,
    "unknown_request": NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, "Request not found", 404), gone=True
    ),
    "invalid_key": NoAnswer(Failure(Code.UNAUTHORIZED, UNKNOWN_KEY, 401)),
    "rate_limited": NoAnswer(Failure(Code.RATE_LIMITED, "Too many requests", 429, retry_after=3)),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'RENDERING'",
    "without_status": "None",
    "cut_json": "no JSON object",
}


def failed(code: Code, message: str, status: int, provider_code: str = "") -> Failed:
    return Failed(Failure(code, message, status, provider_code=provider_code))


WITHOUT = Failed(
    Failure(Code.SERVER_ERROR, "The provider says that the job is finished, without a video.")
)
RESULTS: dict[str, PollOutcome] = {
    "video": Finished({"url": "https://v3b.fal.media/files/b/0a8f/kQ9_out.mp4"}),
    "without_video": WITHOUT,
    "with_an_empty_address": WITHOUT,
    "moderated": failed(Code.CONTENT_POLICY, FLAGGED, 422, "content_policy_violation"),
    "picture_not_loaded": failed(
        Code.VALIDATION_ERROR,
        "Failed to download the file. Please check if the URL is accessible and try again.",
        422,
        "file_download_error",
    ),
    "refused_in_words": failed(Code.VALIDATION_ERROR, "Unexpected image mode", 400),
    "nothing_was_made": failed(
        Code.SERVER_ERROR,
        "The model did not generate the expected output for the given input.",
        422,
        "no_media_generated",
    ),
    "timed_out": failed(Code.SERVER_ERROR, "Request timed out", 504, "request_timeout"),
    "runner_lost": failed(Code.SERVER_ERROR, "Runner disconnected", 503, "runner_disconnected"),
    "models_own_error": failed(
        Code.SERVER_ERROR, "Internal Server Error", 500, "internal_server_error"
    ),
    "canceled": failed(
        Code.CANCELED, "Request was cancelled by the client", 499, "client_cancelled"
    ),
    # What may be the gateway's own trouble throws no paid video away.
    "bare_server_error": NoAnswer(Failure(Code.SERVER_ERROR, "Internal Server Error", 500)),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "invalid_key": NoAnswer(Failure(Code.UNAUTHORIZED, UNKNOWN_KEY, 401)),
    "account_locked": NoAnswer(
        Failure(Code.QUOTA_EXCEEDED, "User is locked. Reason: Exhausted balance.", 403)
    ),
    "unknown_request": NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, "Request not found", 404), gone=True
    ),
    "rate_limited": NoAnswer(Failure(Code.RATE_LIMITED, "Too many requests", 429, retry_after=3)),
}
SEEN = (
    SeenJob(
        ID,
        1795341600.0,
        {
            "input": json.dumps(
                {
                    "prompt": "A city at dusk",
                    "duration": "8",
                    "aspect_ratio": "16:9",
                    "resolution": "720p",
                }
            )
        },
    ),
    SeenJob("b2", 1795341599.25, {"input": "{}"}),
)
LOOK_UPS = {
    "page": Listing(SEEN, "Mg=="),
    "last_page": Listing(()),
    "no_such_route": CannotLookUp(),
    "invalid_key": NoAnswer(
        Failure(
            Code.UNAUTHORIZED, "Authentication required", 401, provider_code="authorization_error"
        )
    ),
    "html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 200)),
}
UNREADABLE_LOOK_UPS = {"without_time": "no id or no time", "with_a_strange_time": "no time"}
STANDINGS: dict[str, Standing | Failure] = {
    "admin": Standing("The key works.", Decimal("24.5"), "USD"),
    "without_credits": Standing("The key works."),
    "ordinary_key": Standing("The key is known; only an admin's key may read the balance."),
    "invalid_key": Failure(
        Code.UNAUTHORIZED, "Authentication required", 401, provider_code="authorization_error"
    ),
}
CANCELS = {
    "removed": Canceled(),
    "requested": NotCanceled(),
    "too_late": NotCanceled(),
    "unknown": NotCanceled(),
}


def answer(name: str) -> HttpAnswer:
    return recorded("fal", name)


def order(model: str = TEXT, **more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {"resolution": "horizontal", "options": OPTIONS} | more
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


def test_a_submit_goes_to_the_models_own_address() -> None:
    expected = HttpCall("POST", f"https://queue.fal.run/{TEXT}", secret_headers=KEY, json=INPUT)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


@pytest.mark.parametrize(
    ("form", "written"), [("{}", "8"), ("{}s", "8s"), (None, 8)], ids=["text", "with s", "number"]
)
def test_a_length_is_written_as_the_model_wants_it(form: str | None, written: object) -> None:
    options = {"duration": form} if form else {}
    sent = ADAPTER.submit(ACCOUNT, order(options=options)).json
    assert sent == {"prompt": "A city at dusk", "duration": written, "aspect_ratio": "16:9"}


def test_a_vertical_shot_is_named_in_the_field_that_the_model_has_for_it() -> None:
    options = {"ratio_field": "ratio", "ratios": {"horizontal": "wide", "vertical": "tall"}}
    sent = ADAPTER.submit(ACCOUNT, order(options=options, resolution="vertical")).json
    assert sent == {"prompt": "A city at dusk", "duration": 8, "ratio": "tall"}


def test_a_start_image_stands_in_the_models_own_field() -> None:
    options = {"image_field": "start_image_url", "ratio_field": None, "duration": "{}"}
    held = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
    call = ADAPTER.submit(ACCOUNT, order(PICTURE, options=options, image=held))
    start = "data:image/jpeg;base64,/9g="
    assert call.url == f"https://queue.fal.run/{PICTURE}"
    assert call.json == {"prompt": "A city at dusk", "duration": "8", "start_image_url": start}
    linked = StartImage(url="https://pictures.example/a.png")
    call = ADAPTER.submit(ACCOUNT, order(PICTURE, options=options, image=linked))
    assert call.json["start_image_url"] == "https://pictures.example/a.png"


def test_a_variant_is_the_same_endpoint_with_other_options() -> None:
    call = ADAPTER.submit(ACCOUNT, order(f"{TEXT}#1080p", options={"resolution": "1080p"}))
    assert call.url == f"https://queue.fal.run/{TEXT}"
    assert call.json["resolution"] == "1080p"
    assert ADAPTER.image_size(order(options={"resolution": "1080p"})) == (1920, 1080)
    assert ADAPTER.image_size(order(options={}, resolution="vertical")) == (720, 1280)


@pytest.mark.parametrize(
    "options", [{"imagefield": "a"}, {"duration": "8"}, {"ratios": {"horizontal": "16:9"}}]
)
def test_an_option_that_is_none_is_not_sent_along(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        ADAPTER.submit(ACCOUNT, order(options=options))


def test_where_it_may_tell_us_goes_along_in_the_query() -> None:
    call = ADAPTER.submit(ACCOUNT, order(callback_url="https://us.example/hooks?token=a&b=c"))
    callback = "https%3A%2F%2Fus.example%2Fhooks%3Ftoken%3Da%26b%3Dc"
    assert call.url == f"https://queue.fal.run/{TEXT}?fal_webhook={callback}"


def test_a_request_is_asked_for_where_its_acceptance_said() -> None:
    assert ADAPTER.poll(ACCOUNT, JOB) == HttpCall("GET", LINKS["status"], secret_headers=KEY)
    assert ADAPTER.cancel(ACCOUNT, JOB) == HttpCall("PUT", LINKS["cancel"], secret_headers=KEY)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (TEXT, "bytedance/seedance-2.5"),
        ("fal-ai/veo3.1/fast/image-to-video", "fal-ai/veo3.1"),
        ("fal-ai/veo3.1#1080p", "fal-ai/veo3.1"),
        ("workflows/me/film/a", "workflows/me/film"),
    ],
)
def test_without_links_the_addresses_are_made_of_endpoint_and_id(model: str, path: str) -> None:
    job = Job("a/b?c", model)
    base = f"https://queue.fal.run/{path}/requests/a%2Fb%3Fc"
    assert ADAPTER.poll(ACCOUNT, job).url == f"{base}/status"
    assert ADAPTER.cancel(ACCOUNT, job).url == f"{base}/cancel"
    assert ADAPTER.read_poll(ACCOUNT, job, answer("poll_completed")) == AskNext(
        HttpCall("GET", base, secret_headers=KEY)
    )


def test_a_link_to_somebody_else_gets_no_key() -> None:
    """A relay in front of fal, say, whose answers name fal's own addresses."""
    relay = Account("fal", "https://relay.example/fal", "fal-secret-key", "fal")
    expected = f"https://relay.example/fal/bytedance/seedance-2.5/requests/{ID}/status"
    assert ADAPTER.poll(relay, JOB).url == expected


def test_the_video_is_fetched_without_the_key() -> None:
    url = "https://v3b.fal.media/files/b/out.mp4"
    assert ADAPTER.fetch(ACCOUNT, JOB, {"url": url}) == HttpCall("GET", url)


@pytest.mark.parametrize(("model", "limit"), [(TEXT, 100), (f"{PICTURE}#1080p", 8)])
def test_lost_requests_are_looked_for_in_the_history_of_their_endpoint(
    model: str, limit: int
) -> None:
    since = datetime(2026, 11, 22, 10, tzinfo=UTC)
    url = (
        "https://api.fal.ai/v1/models/requests/by-endpoint?"
        f"endpoint_id={model.partition('#')[0].replace('/', '%2F')}&start=2026-11-22T10%3A00%3A00Z"
        f"&expand=payloads&limit={limit}"
    )
    search = Search(model, since)
    assert ADAPTER.look_up(ACCOUNT, search, None) == HttpCall("GET", url, secret_headers=KEY)
    second = ADAPTER.look_up(ACCOUNT, search, "Mg==")
    assert second is not None
    assert second.url == f"{url}&cursor=Mg%3D%3D"


def test_without_the_second_address_nothing_is_looked_up() -> None:
    bare = Account("fal", "https://queue.fal.run", "fal-secret-key", "fal")
    assert ADAPTER.look_up(bare, Search(TEXT, datetime.now(UTC)), None) is None
    assert ADAPTER.standing(bare) is None


def test_a_request_is_known_again_by_all_of_its_input_but_the_picture() -> None:
    def made_from(given: dict[str, Any]) -> bool:
        return ADAPTER.matches(order(), SeenJob("a", 0.0, {"input": json.dumps(given)}))

    assert made_from(INPUT)
    assert made_from(INPUT | {"image_url": "data:image/png;base64,AAAA"})
    assert not made_from(INPUT | {"duration": "9"})
    assert not made_from(INPUT | {"seed": 7})
    assert not made_from({})


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


@pytest.mark.parametrize("name", RESULTS)
def test_how_a_request_ended_is_in_its_result(name: str) -> None:
    assert ADAPTER.read_result(ACCOUNT, JOB, answer(f"result_{name}")) == RESULTS[name]


def test_a_result_that_cannot_be_read_raises() -> None:
    with pytest.raises(UnexpectedReply, match="no JSON object"):
        ADAPTER.read_result(ACCOUNT, JOB, answer("result_cut_json"))


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_page_of_the_history(name: str) -> None:
    assert ADAPTER.read_look_up(answer(f"look_up_{name}"), None) == LOOK_UPS[name]


@pytest.mark.parametrize("name", UNREADABLE_LOOK_UPS)
def test_a_history_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_LOOK_UPS[name]):
        ADAPTER.read_look_up(answer(f"look_up_{name}"), None)


@pytest.mark.parametrize("name", CANCELS)
def test_only_what_left_the_queue_is_surely_canceled(name: str) -> None:
    assert ADAPTER.read_cancel(answer(f"cancel_{name}")) == CANCELS[name]


@pytest.mark.parametrize("name", STANDINGS)
def test_how_the_account_stands(name: str) -> None:
    assert ADAPTER.read_standing(answer(f"standing_{name}")) == STANDINGS[name]


def test_every_recorded_answer_is_read() -> None:
    read = {f"submit_{name}" for name in SUBMITS | UNREADABLE_SUBMITS}
    read |= {f"poll_{name}" for name in POLLS | UNREADABLE_POLLS}
    read |= {f"result_{name}" for name in RESULTS} | {"result_cut_json"}
    read |= {f"look_up_{name}" for name in LOOK_UPS | UNREADABLE_LOOK_UPS}
    read |= {f"cancel_{name}" for name in CANCELS} | {f"standing_{name}" for name in STANDINGS}
    assert names("fal") == read


def test_no_status_without_a_body_is_an_acceptance() -> None:
    kinds: dict[type, set[int]] = {Rejected: set(), Ambiguous: set(), UnexpectedReply: set()}
    for status in range(100, 600):
        try:
            kinds[type(ADAPTER.read_submit(HttpAnswer(status, {}, b"")))].add(status)
        except UnexpectedReply:
            kinds[UnexpectedReply].add(status)
    assert kinds[Ambiguous] == {408, *range(500, 600)}
    refused = {400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 429}
    assert kinds[Rejected] == {301, 307, 308} | refused


# ---- notices -------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BODY = json.dumps(
    {"request_id": ID, "gateway_request_id": ID, "status": "OK", "payload": {}}
).encode()


def published(*signers: Ed25519PrivateKey) -> str:
    keys = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": urlsafe_b64encode(each.public_key().public_bytes_raw()).decode().rstrip("="),
        }
        for each in signers
    ]
    return json.dumps({"keys": keys})


def signed(body: bytes = BODY, *, at: float = NOW.timestamp()) -> dict[str, str]:
    head = {
        "x-fal-webhook-request-id": "evt-1",
        "x-fal-webhook-user-id": "github|1",
        "x-fal-webhook-timestamp": str(int(at)),
    }
    text = "\n".join([*head.values(), hashlib.sha256(body).hexdigest()])
    return head | {"x-fal-webhook-signature": SIGNER.sign(text.encode()).hex()}


def test_a_notice_that_is_signed_names_its_request() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    notice = ADAPTER.read_notice(published(other, SIGNER), signed(), BODY, NOW)
    assert notice == Notice(ID, "evt-1")


@pytest.mark.parametrize(
    ("keys", "headers", "body"),
    [
        (published(), signed(), BODY),
        (published(Ed25519PrivateKey.from_private_bytes(bytes(32))), signed(), BODY),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A"}, 7]}', signed(), BODY),
        ('{"keys": null}', signed(), BODY),
        ("<html>", signed(), BODY),
        (published(SIGNER), signed(), BODY + b" "),
        (published(SIGNER), signed() | {"x-fal-webhook-user-id": "github|2"}, BODY),
        (published(SIGNER), signed() | {"x-fal-webhook-signature": "zz"}, BODY),
        (published(SIGNER), signed() | {"x-fal-webhook-signature": ""}, BODY),
        (published(SIGNER), signed() | {"x-fal-webhook-timestamp": ""}, BODY),
        (published(SIGNER), signed(at=NOW.timestamp() - 301), BODY),
        (published(SIGNER), signed(at=NOW.timestamp() + 301), BODY),
        (published(SIGNER), signed(b"{}"), b"{}"),
        (published(SIGNER), {}, BODY),
    ],
)
def test_any_other_notice_is_refused(keys: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Unverified):
        ADAPTER.read_notice(keys, headers, body, NOW)


def test_the_keys_of_notices_are_asked_for_without_ours() -> None:
    at_vendor = HttpCall("GET", "https://rest.fal.ai/.well-known/jwks.json")
    assert ADAPTER.signing_keys(ACCOUNT) == at_vendor
    elsewhere = Account("fal", "http://127.0.0.1:9/q", "k", "fal", "http://127.0.0.1:9/api/v1")
    expected = HttpCall("GET", "http://127.0.0.1:9/api/v1/.well-known/jwks.json")
    assert ADAPTER.signing_keys(elsewhere) == expected
