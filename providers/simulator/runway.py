"""Runway's API of the version 2024-11-06."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from providers.simulator import envelope
from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.envelope import Refused, Words
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.inputs import BadInput, Schema
from providers.simulator.jobs import Job

PREFIX = "/runway"

_VERSION = "2024-11-06"
_CREDITS_A_SECOND = 12
_HD = ("1280:720", "720:1280")
_FULL_HD = ("1920:1080", "1080:1920")
_NAMED = ("16:9", "9:16", "1:1")
_SOUND = {"audio": bool}


def _two(text: Schema, **changes: Any) -> tuple[Schema, Schema]:
    """From a text, and from a picture."""
    text = replace(text, prompt="promptText")
    return text, replace(text, image="promptImage", needs_image=True, **changes)


_GEN4 = Schema(range(2, 11), longest_prompt=1000, ratio="ratio", ratios=_HD)
_VEO = Schema(
    (4, 6, 8), longest_prompt=1000, ratio="ratio", ratios=(*_HD, *_FULL_HD), others=_SOUND
)
_SEEDANCE = Schema(range(4, 16), ratio="ratio", ratios=(*_HD, *_FULL_HD), others=_SOUND)
_WAN = Schema(range(2, 31), ratio="ratio", ratios=(*_HD, *_FULL_HD), others=_SOUND)
_GROK = Schema(range(1, 16), ratio="ratio", ratios=_NAMED, resolutions=("720p", "480p", "1080p"))
MODELS: dict[str, tuple[Schema, Schema]] = {
    "gen4.5": _two(_GEN4),
    "veo3.1": _two(_VEO),
    "veo3.1_fast": _two(_VEO),
    "kling3.0_pro": _two(Schema(range(3, 16), ratio="ratio", ratios=_FULL_HD, others=_SOUND)),
    "seedance2_5": _two(replace(_SEEDANCE, seconds=range(4, 31))),
    "seedance2": _two(_SEEDANCE),
    "wan3": _two(_WAN, ratios=("auto_480p", "auto_720p", "auto_1080p")),
    "hailuo3": _two(Schema(range(5, 16), ratio="ratio", ratios=_NAMED, resolutions=("768p", "2k"))),
    "grok_imagine_1_5": _two(_GROK, ratio=""),
}

_MESSAGES = {
    401: "The API key you supplied is invalid.",
    402: "Payment required.",
    403: "You do not have access to this.",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    429: "You have reached your daily task limit.",
}
_STATUS = {
    "queued": "PENDING",
    "running": "RUNNING",
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "canceled": "CANCELLED",
}
# What `fail=` asks for: the code, and words for a person
_FAILURES = {
    "moderation": ("SAFETY.OUTPUT.VIDEO", "The output was flagged by moderation."),
    "server_error": ("INTERNAL.BAD_OUTPUT.CODE01", "An internal error occurred."),
    "input_moderation": ("INPUT_PREPROCESSING.SAFETY.TEXT", "The prompt was flagged."),
    "asset": ("ASSET.INVALID", "The asset could not be used."),
}


class _Envelope(Words):
    def error(self, fault: Fault, model: str = "") -> Refused:
        match fault.name:
            case "moderation":
                text = "Your prompt was rejected by our content moderation system."
                return Refused(400, {"error": text})
            case "validation":
                return self.bad("duration: Number must be less than or equal to 10")
            case "balance":
                text = "You do not have enough credits to run this task."
                return Refused(400, {"error": text})
        status = status_of(fault)
        if status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        plain = "Internal server error" if status >= 500 else "Bad request"
        return Refused(status, {"error": _MESSAGES.get(status, plain)}, waiting_headers(fault))

    def bad(self, message: str) -> Refused:
        name, _, text = message.partition(": ")
        issue = {"code": "invalid", "path": [name], "message": text}
        return Refused(400, {"error": "Validation of body failed", "issues": [issue]})


_WORDS = _Envelope()


def build_app() -> web.Application:
    app = envelope.build_app(_WORDS)
    app.router.add_post("/v1/text_to_video", text_to_video)
    app.router.add_post("/v1/image_to_video", image_to_video)
    app.router.add_get("/v1/tasks/{id}", retrieve, allow_head=False)
    app.router.add_delete("/v1/tasks/{id}", delete)
    app.router.add_get("/v1/organization", organization, allow_head=False)
    return app


async def text_to_video(request: web.Request) -> web.Response:
    return await _create(request, lambda schemas: schemas[0])


async def image_to_video(request: web.Request) -> web.Response:
    return await _create(request, lambda schemas: schemas[1])


async def _create(
    request: web.Request, choose: Callable[[tuple[Schema, Schema]], Schema]
) -> web.Response:
    _check_version(request)
    given = await envelope.fields(request, _WORDS)
    name = given.pop("model", None)
    if name not in MODELS:
        raise _WORDS.bad("model: Invalid discriminator value")
    try:
        order = choose(MODELS[name]).read(name, given)
    except BadInput as bad:
        raise _WORDS.bad(f"{bad.name}: {bad}") from bad

    def accepted(job: Job) -> dict[str, Any]:
        return {"id": job.id, **_estimate(job)}

    return await envelope.submitted(request, _WORDS, order, lambda: str(uuid.uuid4()), accepted)


async def retrieve(request: web.Request) -> web.Response:
    _check_version(request)

    def show(job: Job, lie: str) -> dict[str, Any]:
        return _task(request, job, lie)

    return envelope.polled(request, _WORDS, show, _unknown)


async def delete(request: web.Request) -> web.Response:
    """Ends a task that has not ended, and forgets it; one that has ended is deleted with its file."""
    _check_version(request)
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    if job is None:
        raise _unknown()
    match engine.cancel_fault(job):
        case Fault("unsupported"):
            raise _WORDS.error(Fault("405"))
        case Fault("too_late"):
            raise Refused(400, {"error": "The task cannot be canceled."})
        case Fault() as fault:
            return envelope.bare(request, fault) or _WORDS.error(fault).answer()
    engine.cancel(job)
    engine.delete(job)
    return web.Response(status=204)


async def organization(request: web.Request) -> web.Response:
    _check_version(request)
    limits = {"maxConcurrentGenerations": 2, "maxDailyGenerations": 50}
    models = dict.fromkeys(MODELS, limits)
    tier = {"maxMonthlyCreditSpend": 100_000, "models": models}
    used = {"models": {name: {"dailyGenerations": 0} for name in MODELS}}
    return web.json_response({"creditBalance": 12_345, "tier": tier, "usage": used})


def _check_version(request: web.Request) -> None:
    if request.headers.get("X-Runway-Version") != _VERSION:
        raise Refused(400, {"error": "The X-Runway-Version header is required."})


# ---- answers -------------------------------------------------------------------------------------


def _task(request: web.Request, job: Job, lie: str) -> dict[str, Any]:
    engine = request.config_dict[ENGINE]
    status = _status(engine, job, lie)
    shown: dict[str, Any] = {
        "id": job.id,
        "createdAt": _iso(engine.wall(job.created_at)),
        "status": status,
    }
    match status:
        case "PENDING" | "RENDERING":
            return shown | _estimate(job)
        case "RUNNING":
            return shown | _estimate(job) | _progress(engine, job)
        case "SUCCEEDED":
            output = [] if lie == "no_output" else [link(request, job)]
            return shown | {"output": output, "cost": {"credits": _credits(job)}}
        case "FAILED":
            wanted = job.script.fail or "server_error"
            code, text = _FAILURES.get(wanted, (wanted, "An unexpected error occurred."))
            return shown | {"failure": text, "failureCode": code, "cost": {"credits": 0}}
    return shown | {"cost": {"credits": 0}}


def _status(engine: Engine, job: Job, lie: str) -> str:
    match lie:
        case "stuck":
            return "THROTTLED"
        case "unknown_status":
            return "RENDERING"
    return _STATUS[job.status(engine.now())]


def _progress(engine: Engine, job: Job) -> dict[str, float | str]:
    """From 0 to 1."""
    share = job.progress(engine.now()) / 100
    match job.script.progress:
        case "none":
            return {}
        case "text":
            return {"progress": str(share)}
        case "backwards":
            return {"progress": 1 - share}
    return {"progress": share}


def _estimate(job: Job) -> dict[str, Any]:
    return {"estimatedCost": {"credits": _credits(job)}}


def _credits(job: Job) -> int:
    return job.order.seconds * _CREDITS_A_SECOND


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _unknown() -> Refused:
    return Refused(404, {"error": "Task not found"})
