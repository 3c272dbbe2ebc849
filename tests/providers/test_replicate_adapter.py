import json
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.adapters.replicate import Replicate
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
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
from tests.providers.test_signatures import SECRET, signed

ADAPTER = Replicate()
BASE = "https://api.replicate.com/v1"
ACCOUNT = Account("replicate", BASE, "r8_secret_key", "replicate")
KEY = {"Authorization": "Bearer r8_secret_key"}
OPTIONS = {"image_field": "first_frame_image", "ratio_field": "ratio", "resolution": "768P"}
INPUT = {"prompt": "A city at dusk", "duration": 8, "ratio": "16:9", "resolution": "768P"}
ID = "gm3qorzdhgbfurvjtvhg6dckhu"
JOB = Job(ID, "minimax/h3")

UNKNOWN_KEY = "You did not pass a valid authentication token"
NOT_FOUND = "The requested resource could not be found."
SENSITIVE = (
    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
)
ITS_OWN_ERROR = "The provider had an error of its own."
THROTTLED = "Request was throttled. Your rate limit resets in ~{}s."

SUBMITS: dict[str, SubmitOutcome] = {
    "starting": Accepted(ID),
    "accepted_202": Accepted(ID),
    "invalid_key": Rejected(Failure(Code.UNAUTHORIZED, UNKNOWN_KEY, 401)),
    "no_credit": Rejected(
        Failure(
            Code.QUOTA_EXCEEDED,
            "You have insufficient credit to run this model. Go to … to purchase credit.",
            402,
        )
    ),
    "forbidden": Rejected(
        Failure(Code.FORBIDDEN, "You do not have permission to perform this action.", 403)
    ),
    "no_such_model": Rejected(Failure(Code.DEPENDENCY_ERROR, NOT_FOUND, 404, gone=True)),
    "validation": Rejected(
        Failure(
            Code.VALIDATION_ERROR,
            "- input.duration: duration must be less than or equal to 15",
            422,
        )
    ),
    "sensitive": Rejected(Failure(Code.CONTENT_POLICY, SENSITIVE, 422)),
    "throttled": Rejected(Failure(Code.RATE_LIMITED, THROTTLED.format(30), 429, retry_after=30)),
    "throttled_with_a_header": Rejected(
        Failure(Code.RATE_LIMITED, THROTTLED.format(30), 429, retry_after=12)
    ),
    "throttled_in_other_words": Rejected(Failure(Code.RATE_LIMITED, "Slow down.", 429)),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "unavailable": Ambiguous(Failure(Code.SERVER_ERROR, "Try again later.", 503, retry_after=30)),
    "timed_out_408": Ambiguous(Failure(Code.TIMEOUT, "Request timeout", 408)),
}
UNREADABLE_SUBMITS = {
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
    "teapot": "HTTP 418",
}
WITHOUT = Failed(
    Failure(Code.SERVER_ERROR, "The provider says that the job is finished, without a video.")
)
CANCELED = Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
VIDEO = Finished({"url": "https://replicate.delivery/xezq/tmp1.mp4"})
POLLS: dict[str, PollOutcome] = {
    "starting": Working(),
    "processing": Working(),
    "succeeded": VIDEO,
    "succeeded_with_a_list": VIDEO,
    "succeeded_without_output": WITHOUT,
    "succeeded_with_an_empty_list": WITHOUT,
    "erased": Failed(
        Failure(
            Code.SERVER_ERROR,
            "The prediction's files are erased, as Replicate does an hour after its end.",
        )
    ),
    "failed_sensitive": Failed(
        Failure(Code.CONTENT_POLICY, f"{SENSITIVE} (rq8K2)", provider_code="E005")
    ),
    "failed_out_of_memory": Failed(
        Failure(
            Code.SERVER_ERROR, "Prediction failed: out of memory (E1001)", provider_code="E1001"
        )
    ),
    "failed_timeout": Failed(
        Failure(Code.UNKNOWN_ERROR, "Prediction interrupted; please retry (code: PA)")
    ),
    "failed_quoting_the_prompt": Failed(Failure(Code.UNKNOWN_ERROR, 'Cannot make "…" from this.')),
    "failed_without_a_reason": Failed(
        Failure(Code.UNKNOWN_ERROR, "The provider says that the job failed.")
    ),
    "canceled": CANCELED,
    "aborted": CANCELED,
    "not_found": NoAnswer(Failure(Code.DEPENDENCY_ERROR, NOT_FOUND, 404), gone=True),
    "invalid_key": NoAnswer(Failure(Code.UNAUTHORIZED, UNKNOWN_KEY, 401)),
    "throttled": NoAnswer(Failure(Code.RATE_LIMITED, THROTTLED.format(2), 429, retry_after=2)),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'rendering'",
    "without_status": "None",
    "cut_json": "no JSON object",
}
LISTED = {"prompt": "A city at dusk", "duration": 8, "aspect_ratio": "16:9", "resolution": "768P"}
LOOK_UPS = {
    "page": Listing(
        (
            SeenJob(
                ID,
                1795341600.0,
                {"input": json.dumps(LISTED), "model": "minimax/h3", "version": "hidden"},
            ),
            SeenJob("b2", 1795341599.25, {"input": "{}", "model": "me/film", "version": "5c7d"}),
        ),
        "created_after=2026-11-22T09%3A58%3A00Z&cursor=cD0yMDI2",
    ),
    "last_page": Listing(()),
    "no_such_route": CannotLookUp(),
    "invalid_key": NoAnswer(Failure(Code.UNAUTHORIZED, UNKNOWN_KEY, 401)),
    "html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 200)),
}
UNREADABLE_LOOK_UPS = {"without_time": "no id or no time", "with_a_strange_time": "no time"}
CANCELS = {
    "canceled": Canceled(),
    "aborted": Canceled(),
    "still_running": NotCanceled(),
    "too_late": NotCanceled(),
    "not_found": NotCanceled(),
}
STANDINGS: dict[str, Standing | Failure] = {
    "user": Standing("The key works."),
    "invalid_key": Failure(Code.UNAUTHORIZED, UNKNOWN_KEY, 401),
}


def answer(name: str) -> HttpAnswer:
    return recorded("replicate", name)


def order(model: str = "minimax/h3", **more: Any) -> GenerationRequest:
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


def test_a_prediction_is_made_of_a_model_by_its_name() -> None:
    url = f"{BASE}/models/minimax/h3/predictions"
    expected = HttpCall("POST", url, secret_headers=KEY, json={"input": INPUT})
    assert ADAPTER.submit(ACCOUNT, order()) == expected
    assert ADAPTER.submit(ACCOUNT, order("minimax/h3#2k")).url == url


def test_a_version_is_asked_for_by_its_id() -> None:
    call = ADAPTER.submit(ACCOUNT, order("me/film:5c7d"))
    assert (call.url, call.json) == (f"{BASE}/predictions", {"input": INPUT, "version": "5c7d"})


def test_a_start_image_stands_in_the_models_own_field() -> None:
    held = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
    sent = ADAPTER.submit(ACCOUNT, order(image=held)).json
    assert sent == {"input": INPUT | {"first_frame_image": "data:image/jpeg;base64,/9g="}}
    linked = StartImage(url="https://pictures.example/a.png")
    sent = ADAPTER.submit(ACCOUNT, order(image=linked)).json["input"]
    assert sent["first_frame_image"] == "https://pictures.example/a.png"
    assert ADAPTER.image_size(order(options={"resolution": "1080p"})) == (1920, 1080)


def test_where_it_may_tell_us_goes_along_for_the_end_alone() -> None:
    sent = ADAPTER.submit(ACCOUNT, order(callback_url="https://us.example/hooks?token=a")).json
    assert (sent["webhook"], sent["webhook_events_filter"]) == (
        "https://us.example/hooks?token=a",
        ["completed"],
    )


def test_a_job_id_is_quoted_wherever_it_becomes_a_path() -> None:
    job = Job("a/b?c", "minimax/h3")
    url = f"{BASE}/predictions/a%2Fb%3Fc"
    assert ADAPTER.poll(ACCOUNT, job) == HttpCall("GET", url, secret_headers=KEY)
    assert ADAPTER.cancel(ACCOUNT, job) == HttpCall("POST", f"{url}/cancel", secret_headers=KEY)


def test_the_key_goes_along_only_for_a_file_at_the_api_itself() -> None:
    away = "https://replicate.delivery/xezq/tmp1.mp4"
    assert ADAPTER.fetch(ACCOUNT, JOB, {"url": away}) == HttpCall("GET", away)
    home = f"{BASE}/files/f1/download"
    assert ADAPTER.fetch(ACCOUNT, JOB, {"url": home}) == HttpCall("GET", home, secret_headers=KEY)


def test_lost_predictions_are_looked_for_by_time() -> None:
    search = Search("minimax/h3", datetime(2026, 11, 22, 10, tzinfo=UTC))
    first = f"{BASE}/predictions?created_after=2026-11-22T10%3A00%3A00Z"
    assert ADAPTER.look_up(ACCOUNT, search, None) == HttpCall("GET", first, secret_headers=KEY)
    assert ADAPTER.look_up(ACCOUNT, search, "cursor=b").url == f"{BASE}/predictions?cursor=b"


def test_a_prediction_is_known_again_by_its_model_and_all_of_its_input_but_the_picture() -> None:
    def made_from(given: dict[str, Any], *, model: str = "minimax/h3", version: str = "x") -> bool:
        facts = {"input": json.dumps(given), "model": model, "version": version}
        wanted = f"me/film:{version}" if version == "5c7d" else "minimax/h3#2k"
        return ADAPTER.matches(order(wanted), SeenJob("a", 0.0, facts))

    assert made_from(INPUT)
    assert made_from(INPUT | {"first_frame_image": "data:image/png;base64,AAAA"})
    assert made_from(INPUT, model="me/film", version="5c7d")
    assert not made_from(INPUT, model="minimax/h3-max")
    assert not made_from(INPUT | {"duration": 9})
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


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_page_of_the_list(name: str) -> None:
    assert ADAPTER.read_look_up(answer(f"look_up_{name}"), None) == LOOK_UPS[name]


@pytest.mark.parametrize("name", UNREADABLE_LOOK_UPS)
def test_a_list_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_LOOK_UPS[name]):
        ADAPTER.read_look_up(answer(f"look_up_{name}"), None)


@pytest.mark.parametrize("name", CANCELS)
def test_an_answer_to_a_cancel(name: str) -> None:
    assert ADAPTER.read_cancel(answer(f"cancel_{name}")) == CANCELS[name]


@pytest.mark.parametrize("name", STANDINGS)
def test_how_the_account_stands(name: str) -> None:
    call = HttpCall("GET", f"{BASE}/account", secret_headers=KEY)
    assert ADAPTER.standing(ACCOUNT) == call
    assert ADAPTER.read_standing(answer(f"standing_{name}")) == STANDINGS[name]


def test_every_recorded_answer_is_read() -> None:
    read = {f"submit_{name}" for name in SUBMITS | UNREADABLE_SUBMITS}
    read |= {f"poll_{name}" for name in POLLS | UNREADABLE_POLLS}
    read |= {f"look_up_{name}" for name in LOOK_UPS | UNREADABLE_LOOK_UPS}
    read |= {f"cancel_{name}" for name in CANCELS} | {f"standing_{name}" for name in STANDINGS}
    assert names("replicate") == read


# ---- notices -------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_notice_is_a_prediction_that_is_signed() -> None:
    body = json.dumps({"id": ID, "status": "succeeded"}).encode()
    assert ADAPTER.read_notice(SECRET, signed(body, NOW), body, NOW) == Notice(ID, "msg_1")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"id": 7}'])
def test_a_notice_of_no_prediction_is_refused(body: bytes) -> None:
    with pytest.raises(Unverified, match="names no prediction"):
        ADAPTER.read_notice(SECRET, signed(body, NOW), body, NOW)


def test_a_notice_that_is_not_signed_is_refused() -> None:
    body = json.dumps({"id": ID}).encode()
    with pytest.raises(Unverified):
        ADAPTER.read_notice(SECRET, {}, body, NOW)
