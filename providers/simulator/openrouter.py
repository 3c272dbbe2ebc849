"""OpenRouter's video API, as of 2026-10: many makers' models behind one key."""

import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from providers.simulator import envelope, pictures
from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.downloads import send_clip
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE
from providers.simulator.envelope import Refused, Words
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job, Order
from providers.simulator.openrouter_models import MODELS
from providers.simulator.webhooks import Subscription, timed

PREFIX = "/openrouter/api/v1"
# What the simulator bills for a second of any model, in US dollars.
DOLLARS_A_SECOND = 0.05

_STORED_SECONDS = 24 * 3600
_FIELDS = {
    *("model", "prompt", "duration", "resolution", "aspect_ratio", "size", "frame_images"),
    *("input_references", "generate_audio", "seed", "callback_url", "previous_job_id"),
    *("session_id", "user", "trace", "provider", "creativity", "upscale_factor"),
}
_SHORT_SIDE = {
    "360p": 360,
    "480p": 480,
    "720p": 720,
    "768p": 768,
    "1080p": 1080,
    "1K": 720,
    "2K": 1440,
    "4K": 2160,
}
_STATUS = {
    "queued": "pending",
    "running": "in_progress",
    "succeeded": "completed",
    "failed": "failed",
    "canceled": "cancelled",
}
_MESSAGES = {
    400: "The request is not valid.",
    401: "No auth credentials found",
    402: "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
    403: "Your key is not allowed to do this.",
    404: "No such video job.",
    408: "Your request timed out.",
    413: "The request is too large.",
    429: "Rate limit exceeded.",
    499: "The client closed the request.",
}
_FAILURES = {
    "moderation": "The request failed because the output video may contain sensitive information.",
    "server_error": "Internal server error",
}
# States of their own that a job may end in.
_ENDS = ("expired", "cancelled")


class _Envelope(Words):
    def error(self, fault: Fault, model: str = "") -> Refused:
        match fault.name:
            case "moderation":
                return _flagged()
            case "balance":
                return _error(402, _MESSAGES[402])
            case "validation":
                return self.bad("duration: Invalid input: expected one of 4, 6, 8")
            case "404" if model:
                return _error(404, f"No endpoints found for {model}.")
        status = status_of(fault)
        if status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        other = "Internal Server Error" if status >= 500 else "The request failed."
        text = _MESSAGES.get(status, other)
        return _error(status, text, headers=waiting_headers(fault))

    def bad(self, message: str) -> Refused:
        return _error(400, message)


_WORDS = _Envelope()


def build_app() -> web.Application:
    app = envelope.build_app(_WORDS, open_paths=frozenset({f"{PREFIX}/videos/models"}))
    app.router.add_post("/videos", create)
    app.router.add_get("/videos/models", models, allow_head=False)
    app.router.add_get("/videos/{id}", retrieve, allow_head=False)
    app.router.add_get("/videos/{id}/content", content, allow_head=False)
    app.router.add_get("/key", key, allow_head=False)
    return app


async def create(request: web.Request) -> web.Response:
    fields = await envelope.fields(request, _WORDS, _FIELDS)
    subscription = _subscription(request, fields.get("callback_url"))
    return await envelope.submitted(
        request,
        _WORDS,
        _order(fields),
        _new_id,
        _accepted,
        status=202,
        subscription=subscription,
    )


def _subscription(request: web.Request, url: object) -> Subscription | None:
    if not isinstance(url, str):
        return None
    engine = request.config_dict[ENGINE]

    def tell(job: Job) -> Mapping[str, Any]:
        video = _video(request, job, "")
        return {"type": f"video.generation.{video['status']}", "data": video}

    def event_id(job: Job) -> str:
        return f"{job.id}-{_STATUS[job.status(engine.now())]}"

    sign = timed(engine.settings.webhook_secret, prefix="X-OpenRouter-")
    return Subscription(url, sign, tell, event_id)


async def retrieve(request: web.Request) -> web.Response:
    def show(job: Job, lie: str) -> dict[str, Any]:
        return _video(request, job, lie)

    lies = frozenset({"signed_only"})
    return envelope.polled(request, _WORDS, show, _unknown, lies=lies)


async def models(request: web.Request) -> web.Response:
    """Open to all, as the catalogue of a shop is."""
    return web.json_response({"data": MODELS})


async def content(request: web.Request) -> web.StreamResponse:
    engine = request.config_dict[ENGINE]
    job, fault = engine.fetched(request.match_info["id"])
    if job is None:
        raise _unknown()
    if job.status(engine.now()) != "succeeded":
        raise _error(409, "The video is not completed yet.")
    match fault:
        case Fault("expired"):
            raise _error(410, "The video is no longer available.")
        case Fault(name) if name.isdigit():
            return envelope.bare(request, fault) or _WORDS.error(fault).answer()
    return await send_clip(request, job, fault)


async def key(request: web.Request) -> web.Response:
    """What the account's key has spent."""
    engine = request.config_dict[ENGINE]
    spent = engine.jobs.charged_seconds(engine.now()) * DOLLARS_A_SECOND
    return web.json_response({"data": _KEY | {"usage": spent, "limit_remaining": 100 - spent}})


# ---- orders --------------------------------------------------------------------------------------


def _order(fields: Mapping[str, Any]) -> Order:
    model = _model(fields.get("model"))
    prompt, seconds = fields.get("prompt"), fields.get("duration", 5)
    if not isinstance(prompt, str) or not prompt:
        raise _WORDS.bad("prompt: Required")
    if type(seconds) is not int or seconds not in (model["supported_durations"] or ()):
        raise _WORDS.bad(f"duration: {model['id']} makes {model['supported_durations']}")
    if not isinstance(fields.get("session_id", ""), str) or len(fields.get("session_id", "")) > 256:
        raise _WORDS.bad("session_id: at most 256 characters")
    if fields.get("generate_audio") and not model["generate_audio"]:
        raise _WORDS.bad(f"generate_audio: {model['id']} makes none")
    width, height = _size(fields, model)
    picture = _picture(fields.get("frame_images"), model)
    return Order(prompt, model["id"], seconds, width, height, picture.sha256, picture.url)


def _model(name: object) -> dict[str, Any]:
    found = next((model for model in MODELS if model["id"] == name), None)
    if found is None:
        raise _error(404, f"No endpoints found for {name}.")
    return found


def _size(fields: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[int, int]:
    if "size" in fields:
        return _exact_size(fields, model)
    resolution = _choice(fields, "resolution", model["supported_resolutions"])
    across, down = map(
        int, _choice(fields, "aspect_ratio", model["supported_aspect_ratios"]).split(":")
    )
    short = _SHORT_SIDE[resolution]
    long = round(short * max(across, down) / min(across, down) / 2) * 2
    return (long, short) if across >= down else (short, long)


def _exact_size(fields: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[int, int]:
    if {"resolution", "aspect_ratio"} & fields.keys():
        raise _WORDS.bad("size: cannot be combined with resolution or aspect_ratio")
    width, height = _choice(fields, "size", model["supported_sizes"]).split("x")
    return int(width), int(height)


def _choice(fields: Mapping[str, Any], name: str, choices: list[str] | None) -> str:
    value = fields.get(name, choices[0] if choices else None)
    if not isinstance(value, str) or value not in (choices or ()):
        raise _WORDS.bad(f"{name}: expected one of {choices}")
    return value


def _picture(frames: object, model: Mapping[str, Any]) -> pictures.Picture:
    match frames:
        case None | []:
            return pictures.Picture()
        case [{"type": "image_url", "image_url": {"url": url}, "frame_type": str(kind)}]:
            if kind in (model["supported_frame_images"] or ()):
                return pictures.read(url)
    raise _WORDS.bad(f"frame_images: {model['id']} takes {model['supported_frame_images']}")


# ---- answers -------------------------------------------------------------------------------------


def _new_id() -> str:
    letters = string.ascii_letters + string.digits
    return f"gen-vid-{int(time.time())}-" + "".join(secrets.choice(letters) for _ in range(20))


def _accepted(job: Job) -> dict[str, Any]:
    return {"id": job.id, "polling_url": _polling_url(job), "status": "pending"}


def _polling_url(job: Job) -> str:
    """A path without a host, as it is there."""
    return f"{PREFIX}/videos/{job.id}"


def _video(request: web.Request, job: Job, lie: str) -> dict[str, Any]:
    """No progress is told."""
    now = request.config_dict[ENGINE].now()
    status: str = _STATUS[job.status(now)]
    if status == "failed" and job.script.fail in _ENDS:
        status = job.script.fail
    shown = {"id": job.id, "polling_url": _polling_url(job), "status": status}
    match lie:
        case "stuck":
            return shown | {"status": "pending"}
        case "unknown_status":
            return shown | {"status": "rendering"}
    shown["generation_id"] = job.id
    if status == "failed":
        wanted = job.script.fail or "server_error"
        shown["error"] = _FAILURES.get(wanted, f"Video generation failed: {wanted}")
    return shown | _outputs(request, job, lie) if status == "completed" else shown


def _outputs(request: web.Request, job: Job, lie: str) -> dict[str, Any]:
    engine = request.config_dict[ENGINE]
    usage = {"usage": {"cost": job.order.seconds * DOLLARS_A_SECOND, "is_byok": False}}
    if lie == "no_output":
        return usage
    stored = int(engine.wall(job.finishes_at)) + _STORED_SECONDS
    signed = {"urls": [link(request, job)], "expires_at": stored}
    if lie == "signed_only":
        return usage | signed
    origin = f"{request.url.scheme}://{request.host}"
    return usage | signed | {"unsigned_urls": [f"{origin}{_polling_url(job)}/content?index=0"]}


def _error(
    status: int,
    message: str,
    metadata: Mapping[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Refused:
    """Its codes are the statuses, as numbers."""
    error: dict[str, Any] = {"code": status, "message": message}
    if metadata:
        error["metadata"] = dict(metadata)
    return Refused(status, {"error": error, "user_id": "user_simulated"}, headers)


def _flagged() -> Refused:
    metadata = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "ByteDance"}
    return _error(403, "The input was flagged.", metadata)


def _unknown() -> Refused:
    return _error(404, _MESSAGES[404])


_SPANS = ("", "_daily", "_weekly", "_monthly")
_KEY: dict[str, Any] = {
    **{f"{kind}usage{span}": 0.0 for kind in ("", "byok_") for span in _SPANS},
    "label": "sk-or-v1-sim...ulator",
    "limit": 100.0,
    "limit_reset": None,
    "include_byok_in_limit": False,
    "is_free_tier": False,
    "is_management_key": False,
    "is_provisioning_key": False,
    "creator_user_id": "user_simulated",
    "organization_id": None,
    "workspace_id": None,
    "expires_at": None,
    "allowed_data_regions": ["global"],
    "budgets": [],
    "effective_budget": None,
    "free_model_daily_requests": {"limit": 50, "remaining": 50, "used": 0},
    "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated."},
}
