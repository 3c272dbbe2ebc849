"""A New API relay: ids of its own, the file's address in `metadata.url`, two envelopes for errors.

Facts: QuantumNous/new-api, `router/video-router.go`, `dto/openai_video.go`, `types/error.go`.
"""

import secrets
from typing import Any

from aiohttp import web

from providers.simulator import orders
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE
from providers.simulator.jobs import Job, Order
from providers.simulator.refusals import (
    Refused,
    Words,
    bare_envelope,
    openai_envelope,
    refuse,
)
from providers.simulator.videos import WORDS, Videos

PREFIX = "/newapi/v1"

_KIND = "new_api_error"
_NO_QUOTA = Words(
    403,
    "预扣费额度失败, 用户剩余额度: $0.309854, 需要预扣费额度: $0.800000",
    "insufficient_user_quota",
    _KIND,
)
_SENSITIVE = Words(400, "user sensitive words detected", "sensitive_words_detected", _KIND)
_NO_CHANNEL = Words(
    503, "当前分组 default 下对于模型无可用渠道（distributor）", "model_not_found", _KIND
)


def _envelope(words: Words) -> dict[str, object]:
    """The middleware for keys and quota words an error as OpenAI does, the task routes as nobody else."""
    return openai_envelope(words) if words.kind == _KIND else bare_envelope(words)


class NewAPI(Videos):
    words = {
        **WORDS,
        "400": _SENSITIVE,
        "moderation": _SENSITIVE,
        "validation": Words(400, "sora-2 size is invalid", "invalid_size"),
        "401": Words(401, "无效的令牌", None, _KIND),
        "402": _NO_QUOTA,
        "balance": _NO_QUOTA,
        "insufficient_quota": _NO_QUOTA,
        "404": _NO_CHANNEL,
        "no_channel": _NO_CHANNEL,
        "429": Words(429, "当前分组上游负载已饱和，请稍后再试", "do_response_failed"),
    }
    statuses = {**Videos.statuses, "queued": "unknown"}
    failures = {
        "moderation": (None, "此内容可能违反了我们的内容政策。"),
        "server_error": ("server_error", "upstream error"),
    }
    lists = False
    posts_cancels = False

    def envelope(self, words: Words) -> dict[str, object]:
        return _envelope(words)

    def new_id(self, order: Order) -> str:
        return f"task_{secrets.token_urlsafe(24)}"

    async def read_order(self, request: web.Request) -> Order:
        """Numbers and strings alike; the picture is a file, or a string."""
        fields = await orders.fields_of(request)
        prompt, model = orders.prompt_of(fields), orders.model_of(fields)
        width, height = orders.pixels_of(fields.get("size", "720x1280"))
        seconds = orders.whole_seconds(fields.get("seconds") or fields.get("duration") or 4)
        picture = orders.text_or_file(fields.get("input_reference"))
        return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)

    def video(self, request: web.Request, job: Job) -> dict[str, Any]:
        shown = super().video(request, job)
        for name in ("prompt", "quality", "remixed_from_video_id", "expires_at"):
            del shown[name]
        done = job.status(request.config_dict[ENGINE].now()) == "succeeded"
        return {
            **shown,
            "task_id": job.id,
            "completed_at": shown["completed_at"] or 0,
            "metadata": {"url": link(request, job)} if done else None,
        }

    def not_found(self, job_id: str) -> Refused:
        return refuse(400, "task_not_exist", code="task_not_exist")


build_app = NewAPI().build_app
