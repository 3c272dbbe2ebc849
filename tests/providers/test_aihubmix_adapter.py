from datetime import UTC, datetime
from typing import Any

import pytest

from providers.adapters.aihubmix import AIHubMix
from providers.base import (
    Accepted,
    Account,
    Ambiguous,
    Failed,
    Finished,
    GenerationRequest,
    HttpCall,
    Job,
    PollOutcome,
    Rejected,
    Search,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from tests.providers.recorded import names, recorded

ADAPTER = AIHubMix()
BASE = "https://aihubmix.com/v1"
ACCOUNT = Account("aihubmix", BASE, "sk-secret-key", "aihubmix")
KEY = {"Authorization": "Bearer sk-secret-key"}
ID = (
    "eyJtb2RlbCI6InNvcmEtMiIsImlkIjoidmlkZW9fNjk2MjYxMTdmMDU0ODE5MDlhZTA0M2I5ZWM3MGFjN2IifQ"
    "channel2679"
)
PICTURE = StartImage(content=b"\xff\xd8", mime_type="image/jpeg")
DATA_URL = "data:image/jpeg;base64,/9g="
KIND = "Aihubmix_api_error"

SUBMITS: dict[str, SubmitOutcome] = {
    "opaque_id": Accepted(ID),
    "video_id": Accepted(ID),
    "nested": Accepted(ID),
    "no_channel": Rejected(
        Failure(
            Code.DEPENDENCY_ERROR,
            "no_valid_channel_error (tid: 2026053101460281782277174636336)",
            500,
            provider_code=KIND,
            gone=True,
        )
    ),
    "another_500": Ambiguous(
        Failure(
            Code.SERVER_ERROR,
            "upstream error (tid: 2026053101460281782277174636337)",
            500,
            provider_code=KIND,
        )
    ),
    "no_quota": Rejected(
        Failure(
            Code.QUOTA_EXCEEDED,
            "预扣费额度失败, 用户剩余额度: $0.000000",
            403,
            provider_code="insufficient_user_quota",
        )
    ),
    "moderated_in_chinese": Rejected(
        Failure(Code.CONTENT_POLICY, "此内容可能违反了我们的内容政策。", 400, provider_code=KIND)
    ),
    "bad_token": Rejected(Failure(Code.UNAUTHORIZED, "无效的令牌", 401, provider_code=KIND)),
}
POLLS: dict[str, PollOutcome] = {
    "state_and_percentage": Working(42),
    "completed_sora": Finished(),
    "succeeded_elsewhere": Finished({"url": "https://cdn.example/v.mp4"}),
    "completed_at_its_own_host": Finished({"url": "https://aihubmix.com/v1/videos/a/file.mp4"}),
    "completed_at_no_web_address": Finished(),
    "failed_in_chinese": Failed(Failure(Code.CONTENT_POLICY, "当前不支持上传包含写实人物的图像。")),
    "failed_message_of_the_error": Failed(
        Failure(
            Code.UNKNOWN_ERROR,
            "Video generation failed",
            provider_code="video_generation_error",
        )
    ),
    "failed_status_message": Failed(Failure(Code.UNKNOWN_ERROR, "The server had an error")),
}


def submitted(family: str | None = None, **more: Any) -> HttpCall:
    options = more.pop("options", {}) | ({"family": family} if family else {})
    wanted: dict[str, Any] = {
        "token": "att_1",
        "model": "a-model",
        "prompt": "A city at dusk",
        "seconds": 8,
        "resolution": "vertical",
        "is_pro": False,
        "segment_index": 1,
        "take": 1,
        "options": options,
    }
    call = ADAPTER.submit(ACCOUNT, GenerationRequest(**(wanted | more)))
    assert isinstance(call, HttpCall)
    assert (call.method, call.url, call.secret_headers) == ("POST", f"{BASE}/videos", KEY)
    return call


# ---- a body for each family ----------------------------------------------------------------------


def test_sora_has_the_body_of_the_protocol() -> None:
    assert submitted().json == {
        "prompt": "A city at dusk",
        "model": "a-model",
        "seconds": "8",
        "size": "720x1280",
    }
    call = submitted("sora", image=PICTURE)
    assert call.files == {"input_reference": ("start.jpg", b"\xff\xd8", "image/jpeg")}


def test_seedance_has_a_ratio_a_label_and_content() -> None:
    text = {"type": "text", "text": "A city at dusk"}
    body = {
        "model": "a-model",
        "prompt": "A city at dusk",
        "duration": 8,
        "ratio": "9:16",
        "resolution": "720p",
        "content": [text],
    }
    assert submitted("seedance").json == body
    image = {"type": "image_url", "image_url": {"url": DATA_URL}, "role": "first_frame"}
    assert submitted("seedance", image=PICTURE).json == body | {"content": [text, image]}


def test_veo_takes_a_number_of_seconds_and_no_picture() -> None:
    body = {"model": "a-model", "prompt": "A city at dusk", "seconds": 8, "size": "720p"}
    assert submitted("veo", resolution="horizontal").json == body
    with pytest.raises(ValueError, match="no start image"):
        submitted("veo", image=PICTURE)


def test_wan_has_its_prompt_inside() -> None:
    body = {
        "model": "a-model",
        "input": {"prompt": "A city at dusk"},
        "parameters": {"resolution": "720P", "ratio": "9:16", "duration": 8},
    }
    assert submitted("wan").json == body
    media = [{"type": "first_frame", "url": "https://pictures.example/a.png"}]
    call = submitted("wan", image=StartImage(url="https://pictures.example/a.png"))
    assert call.json == body | {"input": {"prompt": "A city at dusk", "media": media}}


def test_a_model_with_a_suffix_is_another_row_of_the_same_model() -> None:
    body = submitted("seedance", model="seedance-2#1080p", options={"resolution": "1080p"}).json
    assert (body["model"], body["resolution"]) == ("seedance-2", "1080p")


def test_a_family_that_is_not_known_is_not_sent() -> None:
    with pytest.raises(ValueError, match="sora, seedance, veo, wan"):
        submitted("dada")


# ---- what is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBMITS)
def test_an_answer_to_a_submit(name: str) -> None:
    assert ADAPTER.read_submit(recorded("aihubmix", f"submit_{name}")) == SUBMITS[name]


def test_an_acceptance_without_an_id_raises() -> None:
    with pytest.raises(UnexpectedReply, match="no usable id"):
        ADAPTER.read_submit(recorded("aihubmix", "submit_without_id"))


@pytest.mark.parametrize("name", POLLS)
def test_an_answer_to_a_poll(name: str) -> None:
    answer = recorded("aihubmix", f"poll_{name}")
    assert ADAPTER.read_poll(ACCOUNT, Job(ID), answer) == POLLS[name]


def test_every_recorded_answer_is_read() -> None:
    submits = {f"submit_{name}" for name in SUBMITS} | {"submit_without_id"}
    assert names("aihubmix") == submits | {f"poll_{name}" for name in POLLS}


def test_a_long_id_is_quoted_and_never_parsed() -> None:
    poll = ADAPTER.poll(ACCOUNT, Job("eyJ+b/2==Qchannel1"))
    assert poll.url == f"{BASE}/videos/eyJ%2Bb%2F2%3D%3DQchannel1"


def test_the_key_goes_to_no_other_origin() -> None:
    elsewhere = ADAPTER.fetch(ACCOUNT, Job(ID), {"url": "https://cdn.example/v.mp4"})
    assert elsewhere.secret_headers == {}
    own = ADAPTER.fetch(ACCOUNT, Job(ID), {"url": "https://aihubmix.com/v1/videos/a/file.mp4"})
    assert own.secret_headers == KEY
    content = ADAPTER.fetch(ACCOUNT, Job(ID), {})
    assert (content.url, content.secret_headers) == (f"{BASE}/videos/{ID}/content", KEY)


def test_it_has_no_list_and_no_cancel() -> None:
    search = Search("sora-2", datetime(2026, 11, 22, tzinfo=UTC))
    assert ADAPTER.look_up(ACCOUNT, search, None) is None
    assert ADAPTER.cancel(ACCOUNT, Job(ID)) is None
