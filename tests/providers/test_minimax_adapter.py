from datetime import UTC, datetime
from typing import Any

import pytest

from providers.adapters.minimax import MiniMax
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
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    Standing,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.recorded import names, recorded

ADAPTER = MiniMax()
BASE = "https://api.minimax.io"
SUBMIT, QUERY = f"{BASE}/v2/video_generation", f"{BASE}/v2/query/video_generation"
ACCOUNT = Account("minimax", BASE, "mm-secret-key", "minimax")
KEY = {"Authorization": "Bearer mm-secret-key"}
ID = "424010985738629"
TEXT = {"type": "text", "text": "A city at dusk"}
BODY = {
    "model": "MiniMax-H3",
    "content": [TEXT],
    "resolution": "768P",
    "ratio": "16:9",
    "duration": 8,
}

ITS_OWN_ERROR = "The provider had an error of its own."
FAILED = "The provider says that the job failed."
WITHOUT = "The provider says that the job is finished, without a video."
UNKNOWN_ADDRESS = "The provider does not know this address: the model or service is gone."
TOO_OFTEN = "rate limit, please retry later (1002)"


def refused(code: Code, text: str, status: int | None, number: str) -> Rejected:
    return Rejected(Failure(code, text, status, provider_code=number))


SUBMITS: dict[str, SubmitOutcome] = {
    "created": Accepted(ID),
    "created_with_base_resp": Accepted(ID),
    "invalid": refused(
        Code.VALIDATION_ERROR,
        "invalid params, content must include a non-empty text item (2013)",
        400,
        "2013",
    ),
    "invalid_key": refused(
        Code.UNAUTHORIZED,
        "login fail: Please carry the API secret key in the 'Authorization' field of the request header (1004)",
        401,
        "1004",
    ),
    "no_balance": refused(Code.QUOTA_EXCEEDED, "insufficient balance (1008)", 402, "1008"),
    "sensitive": refused(
        Code.CONTENT_POLICY, "video description contains sensitive content (1026)", 422, "1026"
    ),
    "sensitive_without_number": refused(
        Code.CONTENT_POLICY, "sensitive content", 422, "unprocessable_entity_error"
    ),
    "rate_limited": refused(Code.RATE_LIMITED, TOO_OFTEN, 429, "1002"),
    "no_such_route": Rejected(Failure(Code.DEPENDENCY_ERROR, UNKNOWN_ADDRESS, 404, gone=True)),
    "rate_limited_inside_200": refused(Code.RATE_LIMITED, "rate limit", None, "1002"),
    "no_balance_inside_200": refused(Code.QUOTA_EXCEEDED, "insufficient balance", None, "1008"),
    "invalid_key_inside_200": refused(Code.UNAUTHORIZED, "invalid api key", None, "2049"),
    "sensitive_inside_200": refused(Code.CONTENT_POLICY, "视频描述涉及敏感内容", None, "1026"),
    "unknown_error_inside_200": Ambiguous(
        Failure(Code.SERVER_ERROR, "unknown error", provider_code="1000")
    ),
    "internal": Ambiguous(
        Failure(Code.SERVER_ERROR, "internal error (1000)", 500, provider_code="1000")
    ),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "timed_out_408": Ambiguous(
        Failure(Code.TIMEOUT, "timed out (1001)", 408, provider_code="1001")
    ),
}
UNREADABLE_SUBMITS = {
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
    "teapot": "HTTP 418",
}
VIDEO = "https://cdn.hailuoai.example/prod/1.mp4?Expires=1795345200"
POLLS: dict[str, PollOutcome] = {
    "queued": Working(),
    "running": Working(cancelable=False),
    "succeeded": Finished({"url": VIDEO}),
    "succeeded_without_a_video": Failed(Failure(Code.SERVER_ERROR, WITHOUT)),
    "failed_sensitive_output": Failed(
        Failure(
            Code.CONTENT_POLICY,
            "the generated video contains sensitive content",
            provider_code="1027",
            output_refused=True,
        )
    ),
    "failed_sensitive_prompt": Failed(
        Failure(Code.CONTENT_POLICY, "视频描述涉及敏感内容，请调整", provider_code="1026")
    ),
    "failed_with_the_number_behind": Failed(
        Failure(
            Code.CONTENT_POLICY,
            "output sensitive (1027)",
            provider_code="1027",
            output_refused=True,
        )
    ),
    "failed_internal": Failed(Failure(Code.SERVER_ERROR, "internal error", provider_code="1000")),
    "failed_unknown_code": Failed(
        Failure(Code.UNKNOWN_ERROR, "The stars were wrong.", provider_code="4711")
    ),
    "failed_without_a_reason": Failed(Failure(Code.UNKNOWN_ERROR, FAILED)),
    "cancelled": Failed(Failure(Code.CANCELED, "The job was canceled at the provider.")),
    "expired": Failed(Failure(Code.TIMEOUT, "The job expired at the provider.")),
    "unknown_task": NoAnswer(
        Failure(Code.SERVER_ERROR, "record not found (1000)", 500, provider_code="1000"),
        gone=True,
    ),
    "internal": NoAnswer(
        Failure(Code.SERVER_ERROR, "internal error (1000)", 500, provider_code="1000")
    ),
    "error_inside_200": NoAnswer(
        Failure(Code.RATE_LIMITED, "rate limit", 200, provider_code="1002")
    ),
    "invalid_key": NoAnswer(
        Failure(Code.UNAUTHORIZED, "login fail (1004)", 401, provider_code="1004")
    ),
    "rate_limited": NoAnswer(
        Failure(Code.RATE_LIMITED, TOO_OFTEN, 429, retry_after=4, provider_code="1002")
    ),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'rendering'",
    "without_status": "None",
    "without_task": "no task",
    "cut_json": "no task",
}
LOOK_UPS = {
    "page": Listing(
        (
            SeenJob(ID, 1795341600.0, {"model": "MiniMax-H3", "duration": "8"}),
            SeenJob("2", 1795341500.0, {"model": "MiniMax-H3-Max", "duration": "5"}),
        ),
        "3",
    ),
    "little_told": Listing((SeenJob("3", 1795341600.0, {"model": "", "duration": ""}),)),
    "no_such_route": CannotLookUp(),
    "error_inside_200": NoAnswer(
        Failure(Code.UNAUTHORIZED, "login fail", 200, provider_code="1004")
    ),
    "html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 200)),
}
CANCELS = {"canceled": Canceled(), "deleted": NotCanceled(), "running": NotCanceled()}
STANDINGS: dict[str, Standing | Failure] = {
    "tasks": Standing("The key is good; 12 tasks in the last seven days."),
    "nothing_yet": Standing("The key is good; 0 tasks in the last seven days."),
    "invalid_key": Failure(Code.UNAUTHORIZED, "login fail (1004)", 401, provider_code="1004"),
}


def answer(name: str) -> HttpAnswer:
    return recorded("minimax", name)


def order(**more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {"model": "MiniMax-H3", "resolution": "horizontal", "is_pro": False}
    return GenerationRequest(
        token="att_1",
        prompt="A city at dusk",
        seconds=8,
        segment_index=1,
        take=1,
        **(wanted | more),
    )


# ---- what is asked -------------------------------------------------------------------------------


def test_a_submit_is_json() -> None:
    expected = HttpCall("POST", SUBMIT, secret_headers=KEY, json=BODY)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


def test_a_pro_shot_is_a_model_in_a_finer_picture() -> None:
    wanted = order(
        model="MiniMax-H3#2K", options={"resolution": "2K", "aigc_watermark": False}, is_pro=True
    )
    body = ADAPTER.submit(ACCOUNT, wanted).json
    assert body == BODY | {"resolution": "2K", "aigc_watermark": False}
    assert ADAPTER.image_size(wanted) == (2560, 1440)


def test_a_start_image_has_the_aspect_that_the_video_shall_have() -> None:
    assert ADAPTER.image_size(order(resolution="vertical")) == (768, 1366)
    image = StartImage(url="https://pictures.example/a.png")
    body = ADAPTER.submit(ACCOUNT, order(image=image)).json
    url = {"url": "https://pictures.example/a.png"}
    part = {"type": "image_url", "image_url": url, "role": "first_frame"}
    assert body == BODY | {"content": [TEXT, part]}


def test_a_job_is_asked_for_canceled_and_fetched_by_its_id() -> None:
    job = Job("4/2")
    assert ADAPTER.poll(ACCOUNT, job) == HttpCall("GET", f"{QUERY}/4%2F2", secret_headers=KEY)
    cancel = HttpCall("DELETE", f"{SUBMIT}/4%2F2", secret_headers=KEY)
    assert ADAPTER.cancel(ACCOUNT, job) == cancel
    assert ADAPTER.fetch(ACCOUNT, job, {"url": VIDEO}) == HttpCall("GET", VIDEO)


def test_the_list_is_read_by_pages() -> None:
    call = ADAPTER.look_up(ACCOUNT, Search("MiniMax-H3", datetime.now(UTC)), "2")
    assert call == HttpCall("GET", f"{QUERY}?page_num=2&page_size=100", secret_headers=KEY)


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


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_page_of_the_list(name: str) -> None:
    assert ADAPTER.read_look_up(answer(f"look_up_{name}"), "2") == LOOK_UPS[name]


def test_a_task_of_unknown_age_proves_nothing() -> None:
    with pytest.raises(UnexpectedReply, match="when it was made"):
        ADAPTER.read_look_up(answer("look_up_without_time"), None)


@pytest.mark.parametrize(
    ("model", "duration", "may_be_ours"),
    [
        ("MiniMax-H3", "8", True),
        ("minimax-h3", "8", True),
        ("", "", True),
        ("MiniMax-H3-Max", "8", False),
        ("MiniMax-H3", "6", False),
    ],
)
def test_a_job_may_be_ours_where_nothing_speaks_against_it(
    model: str, duration: str, may_be_ours: bool
) -> None:
    assert not ADAPTER.tells_apart
    job = SeenJob(ID, 0.0, {"model": model, "duration": duration})
    assert ADAPTER.matches(order(model="MiniMax-H3#2K"), job) == may_be_ours


@pytest.mark.parametrize("name", CANCELS)
def test_an_answer_to_a_cancel(name: str) -> None:
    assert ADAPTER.read_cancel(answer(f"cancel_{name}")) == CANCELS[name]


@pytest.mark.parametrize("name", STANDINGS)
def test_an_answer_about_the_account(name: str) -> None:
    assert ADAPTER.read_standing(answer(f"standing_{name}")) == STANDINGS[name]


def test_a_standing_that_cannot_be_read_raises() -> None:
    with pytest.raises(UnexpectedReply):
        ADAPTER.read_standing(answer("standing_strange"))


def test_every_recorded_answer_is_read() -> None:
    read = {
        "submit": [*SUBMITS, *UNREADABLE_SUBMITS],
        "poll": [*POLLS, *UNREADABLE_POLLS],
        "look_up": [*LOOK_UPS, "without_time"],
        "cancel": [*CANCELS],
        "standing": [*STANDINGS, "strange"],
    }
    assert names("minimax") == {f"{kind}_{name}" for kind, found in read.items() for name in found}
