"""The OpenAI Videos protocol, as the service spoke it until 2026-09-24 and relays still do."""

import asyncio
import secrets
from itertools import islice
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler

from providers.simulator import openai_errors as errors
from providers.simulator.desk import NotTaken, take
from providers.simulator.downloads import drop, html, send_clip
from providers.simulator.elsewhere import redirect
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job, Order
from providers.simulator.ledger import POST
from providers.simulator.openai_errors import Refused, scripted
from providers.simulator.openai_orders import MODELS, read_order

PREFIX = "/openai/v1"

_FILE_LIFETIME = 3600
_LIMITS = {str(n) for n in range(101)}
_STATUS = {
    "queued": "queued",
    "running": "in_progress",
    "succeeded": "completed",
    "failed": "failed",
    "canceled": "cancelled",
}
# What `fail=` asks for: code, message
_FAILURES = {
    "moderation": ("moderation_blocked", "Your request was blocked by our moderation system."),
    "server_error": ("server_error", "The server had an error while processing your request."),
}


def build_app() -> web.Application:
    app = web.Application(middlewares=[_in_the_envelope], client_max_size=64 * 1024 * 1024)
    app.router.add_get("/models", list_models, allow_head=False)
    app.router.add_post("/videos", create)
    app.router.add_get("/videos", list_videos, allow_head=False)
    app.router.add_get("/videos/{id}", retrieve, allow_head=False)
    app.router.add_delete("/videos/{id}", delete)
    app.router.add_post("/videos/{id}/cancel", cancel)
    app.router.add_get("/videos/{id}/content", content, allow_head=False)
    return app


async def list_models(request: web.Request) -> web.Response:
    data = [{"id": name, "object": "model", "owned_by": "simulator"} for name in sorted(MODELS)]
    return web.json_response({"object": "list", "data": data})


async def create(request: web.Request) -> web.Response:
    order = await read_order(request)
    try:
        job, fault = take(request, order, lambda: f"video_{secrets.token_hex(24)}")
    except NotTaken as refused:
        return _refuse(request, refused.fault, order)
    return await _accept(request, job, fault)


async def retrieve(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    job_id = request.match_info["id"]
    job, fault = engine.polled(job_id)
    if job is None:
        raise errors.not_found(job_id)
    match fault:
        case None:
            return web.json_response(_video(engine, job))
        case Fault("stuck"):
            return web.json_response(_video(engine, job) | _just_queued())
        case Fault("unknown_status"):
            return web.json_response(_video(engine, job) | {"status": "rendering"})
        case Fault("bad_json"):
            return _bad_json(job)
        case Fault("html"):
            return html(200)
        case Fault("redirect"):
            return redirect(request)
        case Fault("drop"):
            return drop(request)
        case Fault("404"):
            raise errors.not_found(job_id)
    return scripted(fault)


async def list_videos(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    if engine.settings.list_status:
        return scripted(Fault(str(engine.settings.list_status)))
    limit = _limit(request)
    jobs = engine.jobs.after(_cursor(request), newest_first=_order(request) == "desc")
    shown = (job for job in jobs if engine.shown_in_list(job))
    page = list(islice(shown, limit))
    has_more = next(jobs, None) is not None
    return web.json_response(
        {
            "object": "list",
            "data": [_video(engine, job) for job in page],
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": has_more,
        }
    )


async def delete(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    if job is None:
        raise errors.not_found(request.match_info["id"])
    if not job.finished(engine.now()):
        raise Refused(409, "A video that is still being generated cannot be deleted.")
    engine.delete(job)
    return web.json_response({"id": job.id, "object": "video.deleted", "deleted": True})


async def cancel(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    fault = engine.cancel_fault(job) if job else None
    if job is None or not engine.settings.cancel:
        raise Refused(404, f"Invalid URL ({request.method} {request.path})")
    match fault:
        case Fault("unsupported"):
            raise Refused(404, f"Invalid URL ({request.method} {request.path})")
        case Fault("drop"):
            return drop(request)
        case Fault("500"):
            return scripted(fault)
    if fault or not engine.cancel(job):
        raise Refused(409, "The video is finished.", code="video_not_cancellable")
    return web.json_response(_video(engine, job))


async def content(request: web.Request) -> web.StreamResponse:
    engine = request.config_dict[ENGINE]
    job_id = request.match_info["id"]
    job, fault = engine.fetched(job_id)
    if job is None:
        raise errors.not_found(job_id)
    _check_downloadable(request, engine, job)
    match fault:
        case Fault("403" | "expired"):
            raise _not_accessible(job)
        case Fault("404"):
            raise _not_ready()
        case Fault(name) if name.isdigit():
            return scripted(fault)
    return await send_clip(request, job, fault)


@web.middleware
async def _in_the_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        _check_access(request)
        return await handler(request)
    except Refused as refused:
        return _recorded(request, refused)
    except UnknownDirective as unknown:
        return _recorded(request, Refused(400, str(unknown), code="unknown_directive"))
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _recorded(request, Refused(404, f"Invalid URL ({request.method} {request.path})"))


def _recorded(request: web.Request, refused: Refused) -> web.Response:
    if POST in request:
        request[POST].outcome = refused.code or "invalid_request"
    return refused.answer()


def _check_access(request: web.Request) -> None:
    engine = request.config_dict[ENGINE]
    if engine.settings.shutdown:
        raise errors.model_gone()
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    expected = engine.api_key
    if scheme.lower() != "bearer" or not key.strip() or (expected and key.strip() != expected):
        raise Refused(401, "Incorrect API key provided.", code="invalid_api_key")


def _refuse(request: web.Request, fault: Fault, order: Order) -> web.Response:
    match fault.name:
        case "drop_before_create":
            return drop(request)
        case "html":
            return html(200)
        case "redirect":
            return redirect(request)
        case "moderation" | "400":
            return errors.moderated().answer()
        case "validation":
            return errors.invalid().answer()
        case "balance":
            return scripted(Fault("402"))
        case "insufficient_quota":
            return errors.out_of_quota().answer()
        case "404":
            return errors.model_gone(order.model).answer()
    return scripted(fault)


async def _accept(request: web.Request, job: Job, fault: Fault | None) -> web.Response:
    """Answer a submit that made a job, which the client may or may not come to know."""
    video = _video(request.config_dict[ENGINE], job)
    match fault:
        case Fault("drop_after_create"):
            return drop(request)
        case Fault("500_after_create"):
            return scripted(Fault("500"))
        case Fault("bad_json"):
            return _bad_json(job)
        case Fault("no_id"):
            del video["id"]
        case Fault("hang", seconds):
            await asyncio.sleep(seconds or 0)
    return web.json_response(video)


def _bad_json(job: Job) -> web.Response:
    return web.Response(text=f'{{"id": "{job.id[:12]}', content_type="application/json")


def _video(engine: Engine, job: Job) -> dict[str, Any]:
    now = engine.now()
    ended = int(engine.wall(job.finishes_at)) if job.finished(now) else None
    status = job.status(now)
    return {
        "id": job.id,
        "object": "video",
        "model": job.order.model,
        "status": _STATUS[status],
        "progress": _progress(job, now),
        "created_at": int(engine.wall(job.created_at)),
        "completed_at": ended,
        "expires_at": ended + _FILE_LIFETIME if ended and status == "succeeded" else None,
        "prompt": job.order.prompt,
        "seconds": str(job.order.seconds),
        "size": job.order.size,
        "remixed_from_video_id": None,
        "error": _failure(job) if status == "failed" else None,
        "quality": "standard",
    }


def _just_queued() -> dict[str, Any]:
    fresh = dict.fromkeys(("completed_at", "expires_at", "error"))
    return {"status": "queued", "progress": 0, **fresh}


def _progress(job: Job, now: float) -> int | str | None:
    percent = job.progress(now)
    match job.script.progress:
        case "none":
            return None
        case "text":
            return f"{percent}%"
        case "backwards" if not job.finished(now):
            return 100 - percent
    return percent


def _failure(job: Job) -> dict[str, Any]:
    wanted = job.script.fail or "server_error"
    code, message = _FAILURES.get(wanted, (wanted, f"Video generation failed: {wanted}."))
    return {"code": code, "message": message}


def _check_downloadable(request: web.Request, engine: Engine, job: Job) -> None:
    variant = request.query.get("variant", "video")
    if variant != "video":
        message = f"Invalid value: '{variant}'. The simulator makes no other variant than 'video'."
        raise Refused(400, message, code="invalid_value", param="variant")
    if job.status(engine.now()) != "succeeded":
        raise _not_ready()
    if engine.now() >= job.finishes_at + _FILE_LIFETIME:
        raise _not_accessible(job)


def _not_ready() -> Refused:
    message = "Video is not ready yet, use GET /v1/videos/{video_id} to check status."
    return Refused(404, message)


def _not_accessible(job: Job) -> Refused:
    return Refused(403, f"Files [file_{job.id.removeprefix('video_')}] are not accessible")


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "20")
    if text not in _LIMITS:
        message = "Invalid 'limit': expected an integer from 0 to 100."
        raise Refused(400, message, code="invalid_value", param="limit")
    return int(text)


def _order(request: web.Request) -> Literal["asc", "desc"]:
    match request.query.get("order", "desc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
    message = "Invalid 'order': supported values are 'asc' and 'desc'."
    raise Refused(400, message, code="invalid_value", param="order")


def _cursor(request: web.Request) -> Job | None:
    job_id = request.query.get("after")
    if not job_id:
        return None
    job = request.config_dict[ENGINE].jobs.find(job_id)
    if job is None:
        raise errors.not_found(job_id)
    return job
