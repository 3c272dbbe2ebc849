from datetime import UTC, datetime
from typing import Any

import pytest

from providers.adapters.ark import Ark
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
    Unverified,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.recorded import names, recorded

ADAPTER = Ark()
BASE = "https://ark.ap-southeast.bytepluses.com/api/v3"
TASKS = f"{BASE}/contents/generations/tasks"
ACCOUNT = Account("ark", BASE, "ark-secret-key", "ark")
BEIJING = Account("ark", "https://ark.cn-beijing.volces.com/api/v3", "ark-secret-key", "ark")
KEY = {"Authorization": "Bearer ark-secret-key"}
ID = "cgt-20261122100000-7kq2m"
MODEL = "dreamina-seedance-2-5-260628"
TEXT = {"type": "text", "text": "A city at dusk"}
BODY = {
    "model": MODEL,
    "content": [TEXT],
    "resolution": "720p",
    "ratio": "16:9",
    "duration": 8,
    "safety_identifier": "att_1",
}

REQUEST_ID = " Request id: 02179534160012345"
ITS_OWN_ERROR = "The provider had an error of its own."
FAILED = "The provider says that the job failed."
WITHOUT = "The provider says that the job is finished, without a video."
INTERNAL = "The service encountered an unexpected internal error."
BAD_KEY = "The API key in the request is missing or invalid." + REQUEST_ID
TOO_OFTEN = "The requests per minute are exceeded." + REQUEST_ID
NOT_FOUND = "The specified resource is not found." + REQUEST_ID


def refused(code: Code, text: str, status: int, word: str, **more: Any) -> Rejected:
    return Rejected(Failure(code, text + REQUEST_ID, status, provider_code=word, **more))


SUBMITS: dict[str, SubmitOutcome] = {
    "created": Accepted(ID),
    "created_with_identifier": Accepted(ID),
    "invalid": refused(
        Code.VALIDATION_ERROR,
        "The parameter `duration` specified in the request is not valid.",
        400,
        "InvalidParameter",
    ),
    "sensitive_text": refused(
        Code.CONTENT_POLICY,
        "The request failed because the input text may contain sensitive information.",
        400,
        "InputTextSensitiveContentDetected",
    ),
    "real_face": refused(
        Code.CONTENT_POLICY,
        "The request failed because the input image may contain real person.",
        400,
        "InputImageSensitiveContentDetected.PrivacyInformation",
    ),
    "invalid_key": Rejected(
        Failure(Code.UNAUTHORIZED, BAD_KEY, 401, provider_code="AuthenticationError")
    ),
    "overdue": refused(
        Code.QUOTA_EXCEEDED,
        "The request failed because your account has an overdue balance.",
        403,
        "AccountOverdueError",
    ),
    "forbidden": refused(
        Code.FORBIDDEN, "You do not have access to the requested resource.", 403, "AccessDenied"
    ),
    "model_not_open": refused(
        Code.FORBIDDEN,
        "Your account has not activated the model dreamina-seedance-2-5.",
        404,
        "ModelNotOpen",
    ),
    "no_such_model": refused(
        Code.DEPENDENCY_ERROR,
        "The model or endpoint x does not exist or you do not have access to it.",
        404,
        "InvalidEndpointOrModel.NotFound",
        gone=True,
    ),
    "rate_limited": Rejected(
        Failure(
            Code.RATE_LIMITED,
            TOO_OFTEN,
            429,
            provider_code="RateLimitExceeded.EndpointRPMExceeded",
        )
    ),
    "quota_exceeded": refused(
        Code.RATE_LIMITED, "The number of running tasks is exceeded.", 429, "QuotaExceeded"
    ),
    "overloaded": refused(
        Code.RATE_LIMITED,
        "The service is overloaded.",
        429,
        "ServerOverloaded",
        retry_after=20,
    ),
    "internal": Ambiguous(
        Failure(Code.SERVER_ERROR, INTERNAL + REQUEST_ID, 500, provider_code="InternalServiceError")
    ),
    "bad_gateway_html": Ambiguous(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
    "timed_out_408": Ambiguous(
        Failure(
            Code.TIMEOUT,
            "The request timed out." + REQUEST_ID,
            408,
            provider_code="RequestTimeout",
        )
    ),
}
UNREADABLE_SUBMITS = {
    "without_id": "no usable id",
    "id_that_climbs": "no usable id",
    "cut_json": "no JSON object",
    "teapot": "HTTP 418",
}
VIDEO = (
    "https://ark-content-generation.tos-ap-southeast-1.bytepluses.example/1.mp4?X-Tos-Expires=86400"
)
SENSITIVE_OUTPUT = "The request failed because the output video may contain sensitive information."
SENSITIVE_INPUT = "The request failed because the input image may contain sensitive information."
POLLS: dict[str, PollOutcome] = {
    "queued": Working(),
    "running": Working(cancelable=False),
    "succeeded": Finished({"url": VIDEO}),
    "succeeded_without_a_video": Failed(Failure(Code.SERVER_ERROR, WITHOUT)),
    "succeeded_after_a_day": Failed(Failure(Code.SERVER_ERROR, WITHOUT)),
    "failed_sensitive_output": Failed(
        Failure(
            Code.CONTENT_POLICY,
            SENSITIVE_OUTPUT,
            provider_code="OutputVideoSensitiveContentDetected",
            output_refused=True,
        )
    ),
    "failed_sensitive_input": Failed(
        Failure(
            Code.CONTENT_POLICY,
            SENSITIVE_INPUT,
            provider_code="InputImageSensitiveContentDetected",
        )
    ),
    "failed_internal": Failed(
        Failure(Code.SERVER_ERROR, INTERNAL, provider_code="InternalServiceError")
    ),
    "failed_unknown_code": Failed(
        Failure(Code.UNKNOWN_ERROR, "The stars were wrong.", provider_code="StarsWereWrong")
    ),
    "failed_without_a_reason": Failed(Failure(Code.UNKNOWN_ERROR, FAILED)),
    "cancelled": Failed(Failure(Code.CANCELED, "The job was canceled at the provider.")),
    "expired": Failed(Failure(Code.TIMEOUT, "The job expired at the provider.")),
    "not_found": NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, NOT_FOUND, 404, provider_code="ResourceNotFound"), gone=True
    ),
    "invalid_key": NoAnswer(
        Failure(Code.UNAUTHORIZED, BAD_KEY, 401, provider_code="AuthenticationError")
    ),
    "rate_limited": NoAnswer(
        Failure(
            Code.RATE_LIMITED,
            TOO_OFTEN,
            429,
            retry_after=3,
            provider_code="RateLimitExceeded.EndpointRPMExceeded",
        )
    ),
    "bad_gateway_html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 502)),
}
UNREADABLE_POLLS = {
    "unknown_status": "'rendering'",
    "without_status": "None",
    "cut_json": "no JSON object",
}
OURS = SeenJob(ID, 1795341600.0, {"safety_identifier": "att_1"})
LOOK_UPS = {
    "page": Listing((OURS, SeenJob("cgt-b", 1795341500.0, {"safety_identifier": ""})), "3"),
    "last_page": Listing((OURS,), "3"),
    "past_the_end": Listing(()),
    "without_total": Listing((OURS,), "3"),
    "no_such_route": CannotLookUp(),
    "invalid_key": NoAnswer(
        Failure(Code.UNAUTHORIZED, BAD_KEY, 401, provider_code="AuthenticationError")
    ),
    "html": NoAnswer(Failure(Code.SERVER_ERROR, ITS_OWN_ERROR, 200)),
}
UNREADABLE_LOOK_UPS = ("without_time", "in_milliseconds")
CANCELS = {"canceled": Canceled(), "running": NotCanceled(), "not_found": NotCanceled()}
STANDINGS: dict[str, Standing | Failure] = {
    "tasks": Standing("The key is good; 12 tasks in the last seven days."),
    "invalid_key": Failure(Code.UNAUTHORIZED, BAD_KEY, 401, provider_code="AuthenticationError"),
}


def answer(name: str) -> HttpAnswer:
    return recorded("ark", name)


def order(**more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {"model": MODEL, "resolution": "horizontal", "is_pro": False}
    return GenerationRequest(
        token="att_1",
        prompt="A city at dusk",
        seconds=8,
        segment_index=1,
        take=1,
        **(wanted | more),
    )


# ---- what is asked -------------------------------------------------------------------------------


def test_a_submit_tells_our_token_where_the_list_shows_it_again() -> None:
    headers = {"X-Client-Request-Id": "att_1"}
    expected = HttpCall("POST", TASKS, headers, KEY, json=BODY)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


def test_beijing_has_names_of_its_own_for_the_same_models() -> None:
    assert ADAPTER.submit(BEIJING, order()).json["model"] == "doubao-seedance-2-5-260628"
    endpoint = order(model="ep-20260801-x7k2p")
    assert ADAPTER.submit(BEIJING, endpoint).json["model"] == "ep-20260801-x7k2p"


def test_a_vertical_shot_has_a_vertical_ratio_and_picture() -> None:
    assert ADAPTER.submit(ACCOUNT, order(resolution="vertical")).json["ratio"] == "9:16"
    assert ADAPTER.image_size(order(resolution="vertical")) == (720, 1280)


def test_the_options_of_a_model_are_fields_of_its_task() -> None:
    options = {"resolution": "1080p", "generate_audio": False, "service_tier": "flex"}
    body = ADAPTER.submit(ACCOUNT, order(model=f"{MODEL}#1080p", options=options)).json
    assert body == BODY | options


def test_an_option_of_another_kind_is_not_sent() -> None:
    with pytest.raises(ValueError, match="option watermark"):
        ADAPTER.submit(ACCOUNT, order(options={"watermark": 1}))


@pytest.mark.parametrize(
    ("image", "url"),
    [
        (StartImage(content=b"\xff\xd8", mime_type="image/jpeg"), "data:image/jpeg;base64,/9g="),
        (StartImage(url="https://pictures.example/a.png"), "https://pictures.example/a.png"),
    ],
)
def test_a_start_image_is_a_part_of_the_content(image: StartImage, url: str) -> None:
    body = ADAPTER.submit(ACCOUNT, order(image=image)).json
    part = {"type": "image_url", "image_url": {"url": url}, "role": "first_frame"}
    assert body == BODY | {"content": [TEXT, part]}


def test_its_unsigned_callbacks_are_neither_asked_for_nor_believed() -> None:
    assert ADAPTER.submit(ACCOUNT, order(callback_url="https://film.example/n/1")).json == BODY
    with pytest.raises(Unverified):
        ADAPTER.read_notice("secret", {}, b"{}", datetime.now(UTC))


def test_a_job_is_asked_for_canceled_and_fetched_by_its_id() -> None:
    job = Job("cgt/1")
    assert ADAPTER.poll(ACCOUNT, job) == HttpCall("GET", f"{TASKS}/cgt%2F1", secret_headers=KEY)
    cancel = HttpCall("DELETE", f"{TASKS}/cgt%2F1", secret_headers=KEY)
    assert ADAPTER.cancel(ACCOUNT, job) == cancel
    assert ADAPTER.fetch(ACCOUNT, job, {"url": VIDEO}) == HttpCall("GET", VIDEO)


def test_the_list_is_read_by_pages_and_not_by_models() -> None:
    search = Search(MODEL, datetime.now(UTC))
    first = HttpCall("GET", f"{TASKS}?page_num=1&page_size=100", secret_headers=KEY)
    assert ADAPTER.look_up(ACCOUNT, search, None) == first
    assert "page_num=3&" in ADAPTER.look_up(ACCOUNT, search, "3").url


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


@pytest.mark.parametrize("name", UNREADABLE_LOOK_UPS)
def test_a_task_of_unknown_age_proves_nothing(name: str) -> None:
    with pytest.raises(UnexpectedReply, match="when it was made"):
        ADAPTER.read_look_up(answer(f"look_up_{name}"), None)


def test_a_job_is_ours_by_our_token_alone() -> None:
    assert ADAPTER.tells_apart
    assert ADAPTER.matches(order(model="ep-another-name"), OURS)
    for other in ("", "att_2"):
        assert not ADAPTER.matches(order(), SeenJob(ID, 0.0, {"safety_identifier": other}))


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
        "look_up": [*LOOK_UPS, *UNREADABLE_LOOK_UPS],
        "cancel": [*CANCELS],
        "standing": [*STANDINGS, "strange"],
    }
    assert names("ark") == {f"{kind}_{name}" for kind, found in read.items() for name in found}
