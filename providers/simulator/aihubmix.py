"""AIHubMix: a body for each family of models, opaque ids, Chinese reasons, a 500 for a model that nobody makes.

Facts: real calls of January 2026; nexu-io/open-design (its tests of AIHubMix).
"""

import base64
import json
import secrets
from typing import Any, ClassVar

from aiohttp import web

from providers.simulator import orders
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE
from providers.simulator.jobs import Job, Order
from providers.simulator.refusals import Words, refuse
from providers.simulator.videos import WORDS, Videos

PREFIX = "/aihubmix/v1"

_KIND = "Aihubmix_api_error"
_NO_CHANNEL = Words(
    500, "no_valid_channel_error (tid: 2026053101460281782277174636336)", kind=_KIND
)
_NO_QUOTA = Words(403, "预扣费额度失败, 用户剩余额度: $0.000000", "insufficient_user_quota", _KIND)
_REFUSED = Words(400, "此内容可能违反了我们的内容政策。", kind=_KIND)

_SIZES = {"16:9": (1280, 720), "9:16": (720, 1280)}


class AIHubMix(Videos):
    words = {
        **WORDS,
        "400": _REFUSED,
        "moderation": _REFUSED,
        "validation": Words(400, "seconds is not valid for this model", "invalid_value", _KIND),
        "401": Words(401, "无效的令牌", kind=_KIND),
        "402": _NO_QUOTA,
        "balance": _NO_QUOTA,
        "insufficient_quota": _NO_QUOTA,
        "404": _NO_CHANNEL,
        "no_channel": _NO_CHANNEL,
    }
    failures: ClassVar = {
        "moderation": (None, "此内容可能违反关于裸露、性内容或色情内容的相关规定。"),
        "server_error": ("server_error", "Video generation failed"),
    }
    models = frozenset({"sora-2", "sora-2-pro", "doubao-seedance-2-0-260128"})
    lists = False
    posts_cancels = False

    def envelope(self, words: Words) -> dict[str, object]:
        named = {"message": words.message, "type": words.kind}
        return {"error": {**named, **({"code": words.code} if words.code else {})}, "type": "error"}

    def new_id(self, order: Order) -> str:
        inner = {"model": order.model, "id": f"video_{secrets.token_hex(16)}"}
        text = json.dumps(inner, separators=(",", ":"))
        return f"{base64.b64encode(text.encode()).decode()}Qchannel2679"

    async def read_order(self, request: web.Request) -> Order:
        fields = await orders.fields_of(request)
        model = orders.model_of(fields)
        if "seedance" in model:
            return _seedance(model, fields)
        if model.startswith("veo"):
            return _veo(model, fields)
        if model.startswith(("wan", "happyhorse")):
            return _wan(model, fields)
        return orders.openai_order(fields, models=())

    def video(self, request: web.Request, job: Job) -> dict[str, Any]:
        shown = super().video(request, job)
        if _is_sora(job):
            # Its file is at the content endpoint alone.
            return {**shown, "prompt": ""}
        done = job.status(request.config_dict[ENGINE].now()) == "succeeded"
        return {
            "id": job.id,
            "state": shown["status"],
            "percentage": shown["progress"],
            "video_url": link(request, job) if done else None,
            **self._why(job, failed=shown["status"] == "failed"),
        }

    def _why(self, job: Job, *, failed: bool) -> dict[str, Any]:
        """Some families name a reason of their own, and others an error."""
        if not failed:
            return {}
        error = self.failure(job)
        return {"error": error} if error["code"] else {"failure_reason": error["message"]}

    def accepted(self, request: web.Request, job: Job) -> dict[str, Any]:
        return self.video(request, job) if _is_sora(job) else {"video_id": job.id}


def _is_sora(job: Job) -> bool:
    return "sora" in job.order.model


def _seedance(model: str, fields: dict[str, Any]) -> Order:
    prompt = orders.prompt_of(fields)
    if fields.get("resolution") not in ("480p", "720p", "1080p"):
        raise refuse(400, f"resolution {fields.get('resolution')} is not valid")
    content = fields.get("content")
    match content:
        case [{"type": "text", "text": str(text)}] if text == prompt:
            address = None
        case [{"type": "text", "text": str(text)}, {"image_url": {"url": address}}] if (
            text == prompt
        ):
            pass
        case _:
            raise refuse(400, "content must hold the text and at most one image")
    if not isinstance(fields.get("duration"), int):
        raise refuse(400, "duration must be an integer")
    width, height = _size(fields.get("ratio"))
    picture = orders.text_or_file(address)
    return Order(prompt, model, fields["duration"], width, height, picture.sha256, picture.url)


def _veo(model: str, fields: dict[str, Any]) -> Order:
    """Always wide; a picture is not taken."""
    if "input_reference" in fields or "image" in fields:
        raise refuse(400, "`inlineData` isn't supported by this model")
    if fields.get("seconds") not in (4, 6, 8):
        raise refuse(400, "durationSeconds out of bound")
    return Order(orders.prompt_of(fields), model, fields["seconds"], 1280, 720)


def _wan(model: str, fields: dict[str, Any]) -> Order:
    try:
        prompt = orders.prompt_of(fields["input"])
        wanted = fields["parameters"]
        width, height = _size(wanted.get("ratio", "16:9"))
        media = fields["input"].get("media") or [{}]
        picture = orders.text_or_file(media[0].get("url"))
        seconds = orders.whole_seconds(wanted.get("duration", 5))
    except (KeyError, AttributeError, TypeError) as error:
        raise refuse(400, "input and parameters are required") from error
    return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)


def _size(ratio: Any) -> tuple[int, int]:
    if ratio not in _SIZES:
        raise refuse(400, f"ratio {ratio} is not valid")
    return _SIZES[ratio]


build_app = AIHubMix().build_app
