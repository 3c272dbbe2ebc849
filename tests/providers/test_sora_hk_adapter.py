from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from providers.adapters.sora_hk import SoraHK
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    CannotLookUp,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    Listing,
    LookUpOutcome,
    NoAnswer,
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    Standing,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.connections import prepare
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.recorded import names, recorded

ADAPTER = SoraHK()
BASE = "https://api.sora.hk/v1"
ACCOUNT = Account("sora_hk", BASE, "sora-secret-key", "sora_hk")
KEY = {"Authorization": "Bearer sora-secret-key"}
ID = "550e8400-e29b-41d4-a716-446655440000"
URL = (
    "https://oss-sora-hk.aicook.fun/az/files/00000000-6110-7284-9b86-90defc1e6cf5%2Fraw"
    "?se=2026-01-13T00%3A00%3A00Z&sp=r&sig=wBk%3D"
)
NUDITY = "此内容可能违反关于裸露、性内容或色情内容的相关规定。"
NO_KEY = "未授权（API Key 无效或已禁用）"
ITS_OWN_ERROR = "服务器内部错误"
WITHOUT = "The provider says that the job is finished, without a video."
MADE_AT = datetime(2026, 1, 11, 7, 8, 35, 407000, tzinfo=UTC).timestamp()
FACTS = {
    "prompt": "A city at dusk",
    "duration": "10",
    "resolution": "horizontal",
    "is_pro": "False",
}


def told(code: Code, message: str, word: str) -> Failure:
    """An error in the body of HTTP 200."""
    return Failure(code, message, provider_code=word)


SUBMITS: dict[str, SubmitOutcome] = {
    "pending": Accepted(ID),
    "bad_parameter": Rejected(told(Code.VALIDATION_ERROR, "参数错误", "1001")),
    "no_balance": Rejected(told(Code.QUOTA_EXCEEDED, "余额不足", "1012")),
    "key_disabled": Rejected(told(Code.UNAUTHORIZED, NO_KEY, "401")),
    "key_refused_by_http": Rejected(Failure(Code.UNAUTHORIZED, NO_KEY, 401, provider_code="401")),
    "server_error_in_the_body": Ambiguous(told(Code.SERVER_ERROR, ITS_OWN_ERROR, "500")),
    "rate_limited": Rejected(Failure(Code.RATE_LIMITED, "请求过于频繁", 429, 7, "429")),
    "bad_gateway_html": Ambiguous(
        Failure(Code.SERVER_ERROR, "The provider had an error of its own.", 502)
    ),
}
UNREADABLE_SUBMITS = {
    "without_task_id": "no usable id",
    "no_envelope": "no code that is known",
    "unknown_code": "no code that is known",
}
POLLS: dict[str, PollOutcome] = {
    "pending": Working(0),
    "processing": Working(37),
    "completed": Finished({"url": URL}),
    "completed_without_a_video": Failed(Failure(Code.SERVER_ERROR, WITHOUT)),
    "failed_moderation": Failed(Failure(Code.CONTENT_POLICY, NUDITY)),
    "failed_for_no_known_reason": Failed(Failure(Code.UNKNOWN_ERROR, "生成失败，请稍后重试")),
    "failed_without_a_reason": Failed(
        Failure(Code.UNKNOWN_ERROR, "The provider says that the job failed.")
    ),
    "server_error_in_the_body": NoAnswer(told(Code.SERVER_ERROR, ITS_OWN_ERROR, "500")),
    "key_disabled": NoAnswer(told(Code.UNAUTHORIZED, "未授权", "401")),
    "not_found": NoAnswer(
        Failure(Code.DEPENDENCY_ERROR, "任务不存在", 404, provider_code="404"), gone=True
    ),
    "not_found_in_the_body": NoAnswer(told(Code.DEPENDENCY_ERROR, "任务不存在", "404"), gone=True),
}
UNREADABLE_POLLS = {"unknown_status": "'rendering'", "no_envelope": "no envelope"}
LISTS: dict[str, LookUpOutcome] = {
    "page": Listing((SeenJob(ID, MADE_AT, FACTS),)),
    "bare": Listing(
        (
            SeenJob(
                ID,
                datetime(2025, 10, 19, 12, tzinfo=UTC).timestamp(),
                {"prompt": "A city at dusk"},
            ),
        )
    ),
    "without_prompts": CannotLookUp(),
    "key_disabled": NoAnswer(told(Code.UNAUTHORIZED, "未授权", "401")),
    "gone": CannotLookUp(),
}
UNREADABLE_LISTS = {"without_a_time": "when it was made", "is_none": "no list"}
STANDINGS: dict[str, Standing | Failure] = {
    "balance": Standing("has 50.00 USD", balance=Decimal(50), currency="USD"),
    "key_disabled": told(Code.UNAUTHORIZED, "未授权", "401"),
}
UNREADABLE_STANDINGS = {"without_a_balance": "no balance"}


def order(**more: Any) -> GenerationRequest:
    wanted: dict[str, Any] = {
        "token": "att_1",
        "model": "sora2",
        "prompt": "A city at dusk",
        "seconds": 10,
        "resolution": "horizontal",
        "is_pro": False,
        "segment_index": 1,
        "take": 1,
    }
    return GenerationRequest(**(wanted | more))


BODY = {
    "prompt": "A city at dusk",
    "is_pro": False,
    "duration": 10,
    "resolution": "horizontal",
}


# ---- what is asked -------------------------------------------------------------------------------


def test_a_submit_is_json_in_the_segments_own_words() -> None:
    expected = HttpCall("POST", f"{BASE}/create", secret_headers=KEY, json=BODY)
    assert ADAPTER.submit(ACCOUNT, order()) == expected


@pytest.mark.parametrize(
    ("model", "is_pro", "told"),
    [
        ("sora2", False, False),
        ("sora2", True, True),
        ("sora2-pro", False, True),
        ("sora2-pro", True, True),
    ],
)
def test_pro_is_told_for_a_pro_model_or_a_pro_segment(model: str, is_pro: bool, told: bool) -> None:
    assert ADAPTER.submit(ACCOUNT, order(model=model, is_pro=is_pro)).json["is_pro"] is told


def test_a_start_image_is_an_address_and_nothing_else() -> None:
    assert ADAPTER.image_inputs == (ImageInput.URL,)
    url = "https://pictures.example/a.png"
    assert ADAPTER.submit(ACCOUNT, order(image=StartImage(url=url))).json == BODY | {
        "image_url": url
    }
    with pytest.raises(ValueError, match="not its bytes"):
        ADAPTER.submit(ACCOUNT, order(image=StartImage(content=b"\xff\xd8")))


def test_quality_and_watermark_are_options() -> None:
    options = {"quality": "high", "remove_watermark": False}
    assert ADAPTER.submit(ACCOUNT, order(options=options)).json == BODY | options
    with pytest.raises(ValueError, match="remove_watermark must be bool"):
        ADAPTER.submit(ACCOUNT, order(options={"remove_watermark": "no"}))


def test_the_video_is_fetched_exactly_as_its_address_is_written_and_without_a_key() -> None:
    call = ADAPTER.fetch(ACCOUNT, Job(ID), {"url": URL})
    assert call == HttpCall("GET", URL)
    assert str(prepare(call).url) == URL


def test_the_key_is_in_no_repr() -> None:
    calls = [ADAPTER.submit(ACCOUNT, order()), ADAPTER.poll(ACCOUNT, Job(ID)), ACCOUNT]
    assert "secret-key" not in repr(calls)


# ---- what is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBMITS)
def test_an_answer_to_a_submit(name: str) -> None:
    assert ADAPTER.read_submit(recorded("sora_hk", f"submit_{name}")) == SUBMITS[name]


@pytest.mark.parametrize("name", UNREADABLE_SUBMITS)
def test_a_submit_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_SUBMITS[name]):
        ADAPTER.read_submit(recorded("sora_hk", f"submit_{name}"))


@pytest.mark.parametrize("name", POLLS)
def test_an_answer_to_a_poll(name: str) -> None:
    answer = recorded("sora_hk", f"poll_{name}")
    assert ADAPTER.read_poll(ACCOUNT, Job(ID), answer) == POLLS[name]


@pytest.mark.parametrize("name", UNREADABLE_POLLS)
def test_a_poll_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_POLLS[name]):
        ADAPTER.read_poll(ACCOUNT, Job(ID), recorded("sora_hk", f"poll_{name}"))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_jobs(name: str) -> None:
    assert ADAPTER.read_look_up(recorded("sora_hk", f"list_{name}"), None) == LISTS[name]


@pytest.mark.parametrize("name", UNREADABLE_LISTS)
def test_a_list_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_LISTS[name]):
        ADAPTER.read_look_up(recorded("sora_hk", f"list_{name}"), None)


def test_a_full_page_has_a_next_one() -> None:
    task = '{"task_id": "t", "prompt": "p", "created_at": "2026-01-11T15:08:35+08:00"}'
    tasks = ", ".join([task] * 100)
    answer = HttpAnswer(200, {}, f'{{"code": 200, "data": {{"list": [{tasks}]}}}}'.encode())
    listing = ADAPTER.read_look_up(answer, "3")
    assert isinstance(listing, Listing)
    assert listing.next_page == "4"
    search = Search("sora2", datetime(2026, 1, 11, tzinfo=UTC))
    call = ADAPTER.look_up(ACCOUNT, search, listing.next_page)
    assert call.url == f"{BASE}/tasks?page=4&page_size=100"


def test_a_listed_job_matches_by_as_much_as_it_tells() -> None:
    assert ADAPTER.matches(order(), SeenJob(ID, MADE_AT, FACTS))
    assert ADAPTER.matches(order(), SeenJob(ID, MADE_AT, {"prompt": "A city at dusk"}))
    assert not ADAPTER.matches(order(model="sora2-pro"), SeenJob(ID, MADE_AT, FACTS))
    assert not ADAPTER.matches(order(seconds=15), SeenJob(ID, MADE_AT, FACTS))
    assert not ADAPTER.matches(order(prompt="A river"), SeenJob(ID, MADE_AT, FACTS))


@pytest.mark.parametrize("name", STANDINGS)
def test_the_balance(name: str) -> None:
    assert ADAPTER.read_standing(recorded("sora_hk", f"standing_{name}")) == STANDINGS[name]


@pytest.mark.parametrize("name", UNREADABLE_STANDINGS)
def test_a_balance_that_cannot_be_read_raises(name: str) -> None:
    with pytest.raises(UnexpectedReply, match=UNREADABLE_STANDINGS[name]):
        ADAPTER.read_standing(recorded("sora_hk", f"standing_{name}"))


def test_every_recorded_answer_is_read() -> None:
    read = {f"submit_{name}" for name in SUBMITS | UNREADABLE_SUBMITS}
    read |= {f"poll_{name}" for name in POLLS | UNREADABLE_POLLS}
    read |= {f"list_{name}" for name in LISTS | UNREADABLE_LISTS}
    read |= {f"standing_{name}" for name in STANDINGS | UNREADABLE_STANDINGS}
    assert names("sora_hk") == read


def test_no_status_without_a_body_is_an_acceptance() -> None:
    kinds: dict[type, set[int]] = {Rejected: set(), Ambiguous: set(), UnexpectedReply: set()}
    for status in range(100, 600):
        try:
            kinds[type(ADAPTER.read_submit(HttpAnswer(status, {}, b"")))].add(status)
        except UnexpectedReply:
            kinds[UnexpectedReply].add(status)
    refused = {301, 307, 308, 400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 429}
    assert kinds[Rejected] == refused
    assert kinds[Ambiguous] == {408, *range(500, 600)}
