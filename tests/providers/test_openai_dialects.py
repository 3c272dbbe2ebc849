"""What the speakers of OpenAI's protocol say otherwise than OpenAI did, in bytes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.adapters.openai import DIALECTS
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    Canceled,
    CannotLookUp,
    Failed,
    Finished,
    GenerationRequest,
    HttpCall,
    Job,
    Listing,
    NoAnswer,
    NotCanceled,
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.connections import prepare
from providers.errors import Code, Failure, UnexpectedReply
from providers.videos import Videos
from tests.providers.recorded import names, recorded

BASE = "https://relay.example/v1"
ACCOUNT = Account("openai", BASE, "sk-secret-key", "newapi")
BEARER = {"Authorization": "Bearer sk-secret-key"}
PICTURE = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
LONG_ID = "video_bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVyOnJ1bndheW1sO21vZGVsX2lkOmE7dmlkZW9faWQ6Yg=="
UUID = "1f0c69a2-0d3e-4c5b-9c1a-2b7e5d4f8a90"
GEN_ID = "video_gen_9f0c69a20d3e4c5b9c1a2b7e5d4f8a90"
CANCELED = Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))


def rejected(code: Code, message: str, status: int, word: str = "", **more: Any) -> Rejected:
    return Rejected(Failure(code, message, status, provider_code=word, **more))


def failed(code: Code, message: str, word: str = "", **more: Any) -> Failed:
    return Failed(Failure(code, message, provider_code=word, **more))


NO_CHANNEL = "The model is gone: 当前分组 default 下对于模型 sora-2 无可用渠道（distributor）"
NO_PRICE = "The model is gone: 模型 sora-2 倍率或价格未配置"
NO_QUOTA = "预扣费额度失败, 用户剩余额度: $0.309854, 需要预扣费额度: $0.800000"
OBJECT = "Invalid request body: input_reference: Input should be a valid string"
SENSITIVE = "The output video may contain sensitive information."

SUBMITS: dict[tuple[str, str], SubmitOutcome] = {
    ("azure", "queued"): Accepted("video_69a1f0c2"),
    ("azure", "filtered"): rejected(
        Code.CONTENT_POLICY,
        "Your request was blocked by our content filter.",
        400,
        "contentFilter",
    ),
    ("azure", "no_deployment"): rejected(
        Code.DEPENDENCY_ERROR,
        "The API deployment for this resource does not exist.",
        404,
        "DeploymentNotFound",
        gone=True,
    ),
    ("newapi", "not_started"): Accepted("task_aQ7d"),
    ("newapi", "task_id_alone"): Accepted("task_aQ7d"),
    ("newapi", "in_an_envelope"): Accepted("task_aQ7d"),
    # Refused before anybody was asked, although the status is a server's error.
    ("newapi", "no_channel"): rejected(
        Code.DEPENDENCY_ERROR, NO_CHANNEL, 503, "model_not_found", gone=True
    ),
    ("newapi", "price_not_set"): rejected(
        Code.DEPENDENCY_ERROR, NO_PRICE, 500, "model_price_error", gone=True
    ),
    ("newapi", "upstream_failed"): Ambiguous(
        Failure(Code.SERVER_ERROR, "do request failed", 500, provider_code="do_request_failed")
    ),
    ("newapi", "no_quota"): rejected(Code.QUOTA_EXCEEDED, NO_QUOTA, 403, "insufficient_user_quota"),
    ("newapi", "no_quota_without_a_code"): rejected(
        Code.QUOTA_EXCEEDED, "预扣费额度失败", 403, "new_api_error"
    ),
    ("newapi", "invalid_size"): rejected(
        Code.VALIDATION_ERROR, "sora-2 size is invalid", 400, "invalid_size"
    ),
    ("newapi", "saturated"): rejected(
        Code.RATE_LIMITED, "当前分组上游负载已饱和，请稍后再试", 429, "do_response_failed"
    ),
    ("newapi", "bad_token"): rejected(
        Code.UNAUTHORIZED, "无效的令牌 (request id: 2026)", 401, "new_api_error"
    ),
    ("sglang", "queued"): Accepted(UUID),
    ("sglang", "object_reference"): rejected(Code.VALIDATION_ERROR, OBJECT, 400),
    ("sglang", "validation"): rejected(
        Code.VALIDATION_ERROR, "Input should be a valid integer", 422
    ),
    ("vllm_omni", "queued"): Accepted(GEN_ID),
    ("vllm_omni", "other_model"): rejected(
        Code.VALIDATION_ERROR, "Model mismatch: the server runs Wan2.2.", 400
    ),
    ("vllm_omni", "json"): rejected(Code.VALIDATION_ERROR, "Field required", 422),
    ("litellm", "processing"): Accepted(LONG_ID),
    ("litellm", "no_key"): rejected(
        Code.UNAUTHORIZED,
        "Authentication Error, Invalid proxy server token passed.",
        401,
        "auth_error",
    ),
    ("litellm", "no_budget"): rejected(
        Code.QUOTA_EXCEEDED,
        "Budget has been exceeded! Current cost: 10.0, Max budget: 10.0",
        400,
        "budget_exceeded",
    ),
    ("litellm", "moderated"): rejected(
        Code.CONTENT_POLICY,
        "litellm.BadRequestError: litellm.ContentPolicyViolationError: refused",
        400,
        "400",
    ),
}
POLLS: dict[tuple[str, str], PollOutcome] = {
    ("azure", "cancelled"): CANCELED,
    ("newapi", "not_started"): Working(0),
    ("newapi", "in_progress"): Working(30),
    ("newapi", "in_an_envelope"): Working(30),
    ("newapi", "completed"): Finished({"url": "https://cdn.example/v.mp4?sig=a%2Fb"}),
    ("newapi", "completed_without_a_link"): Finished(),
    ("newapi", "completed_in_an_envelope"): Finished({"url": "https://cdn.example/v.mp4"}),
    ("newapi", "failed_in_an_envelope"): failed(Code.CONTENT_POLICY, "图片中包含名人，请重新上传"),
    ("newapi", "failed_output_refused"): failed(
        Code.CONTENT_POLICY,
        SENSITIVE,
        "OutputVideoSensitiveContentDetected",
        output_refused=True,
    ),
    ("newapi", "unknown_task"): NoAnswer(
        Failure(Code.VALIDATION_ERROR, "task_not_exist", 400, provider_code="task_not_exist"),
        gone=True,
    ),
    ("sglang", "almost_done"): Working(99),
    ("sglang", "completed"): Finished(),
    ("sglang", "completed_in_the_cloud"): Finished({"url": "https://bucket.example/a.mp4"}),
    ("sglang", "failed_without_a_code"): failed(Code.UNKNOWN_ERROR, "CUDA out of memory."),
    ("sglang", "restarted"): NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, "Video not found", 404), gone=True
    ),
    ("sglang", "deleted"): CANCELED,
    ("vllm_omni", "completed"): Finished(),
    # A failed job, and not a server that has trouble for the moment.
    ("vllm_omni", "failed_in_an_error_status"): failed(
        Code.SERVER_ERROR, "EngineCore encountered an issue.", "500"
    ),
    ("vllm_omni", "failed_by_its_request"): failed(
        Code.VALIDATION_ERROR, "num_frames is too large", "400"
    ),
    ("vllm_omni", "not_found"): NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, "Video not found", 404), gone=True
    ),
    ("litellm", "processing"): Working(0),
    ("litellm", "cancelled"): CANCELED,
    ("litellm", "failed"): failed(
        Code.CONTENT_POLICY, "The output was refused.", "SAFETY.OUTPUT.VIDEO", output_refused=True
    ),
}


def adapter(dialect: str) -> Videos:
    found = DIALECTS[dialect]
    assert isinstance(found, Videos)
    return found


def order(**more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {
        "token": "att_1",
        "model": "sora-2",
        "prompt": "A city at dusk",
        "seconds": 8,
        "resolution": "horizontal",
        "is_pro": False,
        "segment_index": 1,
        "take": 1,
    }
    return GenerationRequest(**(wanted | more))


def submitted(dialect: str, **more: Any) -> HttpCall:
    call = adapter(dialect).submit(ACCOUNT, order(**more))
    assert isinstance(call, HttpCall)
    return call


def body_of(call: HttpCall) -> Mapping[str, Any]:
    body: Mapping[str, Any] = call.json or call.form or {}
    return body


# ---- what is asked -------------------------------------------------------------------------------


def test_azure_gets_its_key_in_a_header_of_its_own() -> None:
    key = {"api-key": "sk-secret-key"}
    azure = adapter("azure")
    calls = [submitted("azure"), azure.poll(ACCOUNT, Job("a")), azure.fetch(ACCOUNT, Job("a"), {})]
    assert [call.secret_headers for call in calls] == [key] * 3


@pytest.mark.parametrize(
    ("dialect", "seconds"),
    [("azure", "8"), ("newapi", "8"), ("sglang", 8), ("vllm_omni", "8"), ("litellm", "8")],
)
def test_seconds_are_of_the_type_that_the_speaker_takes(dialect: str, seconds: object) -> None:
    sent = body_of(submitted(dialect))
    assert (sent["seconds"], type(sent["seconds"])) == (seconds, type(seconds))


@pytest.mark.parametrize(
    ("dialect", "field", "value"),
    [
        ("openai", "input_reference", {"image_url": "https://pictures.example/a.png"}),
        ("newapi", "input_reference", "https://pictures.example/a.png"),
        ("sglang", "reference_url", "https://pictures.example/a.png"),
        ("vllm_omni", "image_reference", '{"image_url": "https://pictures.example/a.png"}'),
    ],
)
def test_the_address_of_a_picture_stands_where_the_speaker_looks_for_it(
    dialect: str, field: str, value: object
) -> None:
    call = submitted(dialect, image=StartImage(url="https://pictures.example/a.png"))
    assert body_of(call)[field] == value


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_picture_that_we_hold_goes_along_as_a_file(dialect: str) -> None:
    call = submitted(dialect, image=PICTURE)
    assert call.files == {"input_reference": ("start.jpg", b"\xff\xd8", "image/jpeg")}
    assert call.json is None


def test_a_form_without_a_file_is_multipart_all_the_same() -> None:
    call = submitted("vllm_omni")
    request = prepare(call)
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert isinstance(request.body, bytes)
    assert b'name="prompt"\r\n\r\nA city at dusk\r\n' in request.body
    assert b"filename" not in request.body


def test_a_model_may_have_sizes_and_fields_of_its_own() -> None:
    options = {
        "sizes": {"horizontal": "832x480", "vertical": "480x832"},
        "extra": {"negative_prompt": "rain", "seed": 7, "prompt": "not this one"},
    }
    call = submitted("sglang", options=options, resolution="vertical")
    assert call.json == {
        "prompt": "A city at dusk",
        "model": "sora-2",
        "seconds": 8,
        "size": "480x832",
        "negative_prompt": "rain",
        "seed": 7,
    }
    assert adapter("sglang").image_size(order(options=options)) == (832, 480)


@pytest.mark.parametrize(
    "options", [{"sizes": {"horizontal": "wide"}}, {"sizes": "832x480"}, {"extra": [1]}]
)
def test_options_that_are_wrong_are_not_sent(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="option"):
        submitted("sglang", options=options)


def test_a_form_carries_what_is_no_text_as_json() -> None:
    call = submitted("vllm_omni", options={"extra": {"seed": 7, "lora": {"name": "a"}}})
    assert call.form is not None
    assert (call.form["seed"], call.form["lora"]) == ("7", '{"name": "a"}')


def test_the_key_goes_along_to_links_of_the_own_origin_only() -> None:
    newapi = adapter("newapi")
    own = newapi.fetch(ACCOUNT, Job("a"), {"url": "https://relay.example:443/files/a.mp4"})
    assert own.secret_headers == BEARER
    for url in (
        "https://cdn.example/a.mp4",
        "http://relay.example/a.mp4",
        "https://relay.example:8443/a.mp4",
        "https://relay.example.evil.example/a.mp4",
        "https://relay.example@evil.example/a.mp4",
    ):
        assert newapi.fetch(ACCOUNT, Job("a"), {"url": url}).secret_headers == {}


# ---- what is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "name"), SUBMITS)
def test_an_answer_to_a_submit(dialect: str, name: str) -> None:
    assert (
        adapter(dialect).read_submit(recorded(dialect, f"submit_{name}")) == SUBMITS[dialect, name]
    )


@pytest.mark.parametrize(("dialect", "name"), POLLS)
def test_an_answer_to_a_poll(dialect: str, name: str) -> None:
    answer = recorded(dialect, f"poll_{name}")
    assert adapter(dialect).read_poll(ACCOUNT, Job("a"), answer) == POLLS[dialect, name]


def test_every_recorded_answer_is_read() -> None:
    found = {
        (dialect, name) for dialect in DIALECTS if dialect != "openai" for name in names(dialect)
    }
    read = {(dialect, f"submit_{name}") for dialect, name in SUBMITS}
    read |= {(dialect, f"poll_{name}") for dialect, name in POLLS}
    read |= {("sglang", "list_without_prompts"), ("vllm_omni", "list_one")}
    read |= {("vllm_omni", "cancel_deleted"), ("vllm_omni", "cancel_still_canceling")}
    assert found == read


def test_not_started_is_a_state_of_new_api_alone() -> None:
    answer = recorded("newapi", "poll_not_started")
    with pytest.raises(UnexpectedReply, match="'unknown'"):
        adapter("openai").read_poll(ACCOUNT, Job("a"), answer)


# ---- lost jobs, cancels --------------------------------------------------------------------------

SEARCH = Search("Wan2.2", datetime(2026, 11, 22, tzinfo=UTC))


def test_some_have_no_list() -> None:
    listing = {name for name in DIALECTS if adapter(name).look_up(ACCOUNT, SEARCH, None)}
    assert listing == {"openai", "azure", "sglang", "vllm_omni"}


def test_a_list_finds_the_job_of_a_request() -> None:
    vllm = adapter("vllm_omni")
    facts = {"prompt": "A city at dusk", "model": "Wan2.2", "seconds": "4", "size": "832x480"}
    seen = SeenJob(GEN_ID, 1768112345.0, facts)
    assert vllm.read_look_up(recorded("vllm_omni", "list_one"), None) == Listing((seen,))
    sizes = {"sizes": {"horizontal": "832x480"}}
    wanted = order(model="Wan2.2", seconds=4, options=sizes)
    assert vllm.matches(wanted, seen)
    assert not vllm.matches(order(model="Wan2.2", seconds=8, options=sizes), seen)


def test_a_list_without_prompts_tells_nothing_apart() -> None:
    answer = recorded("sglang", "list_without_prompts")
    assert adapter("openai").read_look_up(answer, None) == CannotLookUp()
    sglang = adapter("sglang")
    listing = sglang.read_look_up(answer, None)
    assert listing == Listing((SeenJob(UUID, 1768112345.0, {}),))
    assert not sglang.tells_apart


def test_a_listed_job_without_a_time_is_not_taken_for_an_old_one() -> None:
    answer = recorded("vllm_omni", "list_one")
    body = json.loads(answer.body)
    body["data"][0]["created_at"] = 0
    timeless = type(answer)(200, {}, json.dumps(body).encode())
    with pytest.raises(UnexpectedReply, match="when it was made"):
        adapter("vllm_omni").read_look_up(timeless, None)


def test_a_job_is_ended_as_its_server_does_it() -> None:
    calls = {name: adapter(name).cancel(ACCOUNT, Job("a")) for name in DIALECTS}
    assert {name: (call.method, call.url) for name, call in calls.items() if call} == {
        "openai": ("POST", f"{BASE}/videos/a/cancel"),
        "vllm_omni": ("DELETE", f"{BASE}/videos/a"),
    }
    vllm = adapter("vllm_omni")
    assert vllm.read_cancel(recorded("vllm_omni", "cancel_deleted")) == Canceled()
    assert vllm.read_cancel(recorded("vllm_omni", "cancel_still_canceling")) == NotCanceled()
