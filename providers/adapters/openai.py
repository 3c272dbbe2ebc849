"""The protocol of OpenAI's video API, as OpenAI had it and as those speak it who copied it.

`OPENAI_BASE_URL` says whose server it is, `OPENAI_DIALECT` which of these it speaks. Facts and a model's
`options`: `providers.videos`; of each speaker: beside it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from providers.base import Account, Adapter, Notice, Unverified
from providers.replies import json_object
from providers.signatures import check_standard_webhook
from providers.videos import STATES, Cancel, Profile, State, Videos


class OpenAIVideos(Videos):
    """OpenAI's own, and whoever says to be a drop-in for it; some of those have a cancel."""

    profile: ClassVar = Profile(cancel=Cancel.POST)

    def read_notice(
        self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        """`{"type": "video.completed" or "video.failed", "data": {"id"}}`, of a project's webhook."""
        event_id = check_standard_webhook(secret, headers, body, now)
        match json_object(body):
            case {"data": {"id": str(video)}}:
                return Notice(video, event_id)
        raise Unverified("the notice names no video")


def _api_key(account: Account) -> dict[str, str]:
    return {"api-key": account.key}


class Azure(Videos):
    """Azure OpenAI, v1: `https://{resource}.openai.azure.com/openai/v1`; a model is the name of a deployment.

    Facts: MicrosoftDocs/azure-ai-docs, `openai/concepts/video-generation.md`. Its jobs do not tell the
    deployment's name.
    """

    profile: ClassVar = Profile(secrets=_api_key, facts=("prompt", "seconds", "size"))


class NewAPI(Videos):
    """New API (QuantumNous/new-api) and its kin: relays, whose own errors stand in another envelope.

    Facts: its `router/video-router.go`, `relay/common/relay_info.go`, `dto/openai_video.go`. Decodes numbers
    and strings alike. No list, no cancel. Its distributor refuses with a 503 before it has asked anybody.
    """

    profile: ClassVar = Profile(
        image_value=str,
        ids=("id", "task_id"),
        states={**STATES, "unknown": State.WORKING},  # not started yet
        links=(("metadata", "url"), ("result_url",), ("url",)),
        reasons=(("fail_reason",),),
        unknown_job=frozenset({"task_not_exist"}),
        nothing_made=frozenset({"model_not_found", "get_channel_failed", "model_price_error"}),
        lists=False,
    )


class SGLang(Videos):
    """SGLang Diffusion on one's own machines.

    Facts: sglang 0.5.23, `multimodal_gen/runtime/entrypoints/openai/video_api.py`. `seconds` is a number; the
    object form of `input_reference` is refused. Its list has no prompts, and sizes and seconds as they came
    out; a restart forgets every job. A DELETE forgets a job and does not end it.
    """

    tells_apart = False
    profile: ClassVar = Profile(
        seconds=int,
        image_field="reference_url",
        image_value=str,
        links=(("url",),),
        states={**STATES, "deleted": State.CANCELED},
        facts=(),
    )


def _image_reference(link: str) -> str:
    return json.dumps({"image_url": link})


class VLLMOmni(Videos):
    """vLLM-Omni on one's own machines.

    Facts: vllm_omni 0.30.0, `entrypoints/openai/api_server.py` and `protocol/videos.py`. Forms only; a failed
    job comes with an error status around it; a DELETE ends a running job.
    """

    profile: ClassVar = Profile(
        form_only=True,
        image_field="image_reference",
        image_value=_image_reference,
        cancel=Cancel.DELETE,
    )


class LiteLLM(Videos):
    """A LiteLLM proxy, and through it Runway, fal, Ark, MiniMax, DashScope and more.

    Facts: litellm 1.109.1, `proxy/video_endpoints`. Long ids of its own; its list wants to know whose jobs,
    and most of those behind it have none. No DELETE.
    """

    profile: ClassVar = Profile(lists=False)


DIALECTS: Mapping[str, Adapter] = {
    "openai": OpenAIVideos(),
    "azure": Azure(),
    "newapi": NewAPI(),
    "sglang": SGLang(),
    "vllm_omni": VLLMOmni(),
    "litellm": LiteLLM(),
}
