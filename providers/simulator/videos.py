"""The protocol of `POST …/videos` with what its speakers share: routes, faults, the shape of a job.

A dialect is a subclass that says what it does otherwise: who gets in, what an order looks like, ids, envelopes.
"""

import asyncio
import secrets
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar, Literal

from aiohttp import web
from aiohttp.typedefs import Handler

from providers.simulator import orders
from providers.simulator.desk import NotTaken, status_of, take, waiting_headers
from providers.simulator.downloads import drop, html, send_clip
from providers.simulator.elsewhere import redirect
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job, Order
from providers.simulator.ledger import POST
from providers.simulator.refusals import Refused, Words, answer, openai_envelope, refuse

FILE_LIFETIME = 3600
_LIMITS = {str(n) for n in range(101)}

# A fault's name: how it is worded. A status that is not here is an overloaded server's.
WORDS: Mapping[str, Words] = {
    "400": Words(400, "Your request was blocked by our moderation system.", "moderation_blocked"),
    "moderation": Words(
        400, "Your request was blocked by our moderation system.", "moderation_blocked"
    ),
    "validation": Words(
        400,
        "Invalid value: '3'. Supported values are: '4', '8', and '12'.",
        "invalid_value",
        param="seconds",
    ),
    "401": Words(401, "Incorrect API key provided.", "invalid_api_key"),
    "402": Words(
        402, "Your balance is too low for this request.", "insufficient_balance", "billing_error"
    ),
    "balance": Words(
        402, "Your balance is too low for this request.", "insufficient_balance", "billing_error"
    ),
    "insufficient_quota": Words(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "403": Words(403, "You are not allowed to do this."),
    "404": Words(
        404, "The model does not exist or you do not have access to it.", "model_not_found"
    ),
    "408": Words(408, "The request timed out.", kind="server_error"),
    "409": Words(409, "The request conflicts with another one."),
    "410": Words(410, "This is no longer here."),
    "422": Words(422, "Your request could not be processed."),
    "429": Words(
        429, "Rate limit reached. Please try again later.", "rate_limit_exceeded", "requests"
    ),
}
_OVERLOADED = "The server had an error. Please try again later."


class Videos:
    """One dialect; OpenAI's own is it as it stands here."""

    words: ClassVar[Mapping[str, Words]] = WORDS
    statuses: ClassVar[Mapping[str, str]] = {
        "queued": "queued",
        "running": "in_progress",
        "succeeded": "completed",
        "failed": "failed",
        "canceled": "cancelled",
    }
    # What `fail=` asks for: code, message. Any other word is passed on as a code.
    failures: ClassVar[Mapping[str, tuple[str | None, str]]] = {
        "moderation": ("moderation_blocked", "Your request was blocked by our moderation system."),
        "server_error": ("server_error", "The server had an error while processing your request."),
    }
    models: ClassVar[frozenset[str]] = orders.MODELS
    lists = True
    posts_cancels = True  # where the settings say so

    # ---- what a dialect may say for itself -------------------------------------------------------

    def envelope(self, words: Words) -> dict[str, object]:
        return openai_envelope(words)

    def key_of(self, request: web.Request) -> str:
        """The key that a request brings; empty for none."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""

    def gets_in(self, engine: Engine, key: str) -> bool:
        return bool(key) and engine.api_key in (None, key)

    async def read_order(self, request: web.Request) -> Order:
        return orders.openai_order(await orders.fields_of(request))

    def new_id(self, order: Order) -> str:
        return f"video_{secrets.token_hex(24)}"

    def video(self, request: web.Request, job: Job) -> dict[str, Any]:
        """The job as it is shown."""
        engine = request.config_dict[ENGINE]
        now = engine.now()
        ended = int(engine.wall(job.finishes_at)) if job.finished(now) else None
        status = job.status(now)
        return {
            "id": job.id,
            "object": "video",
            "model": job.order.model,
            "status": self.statuses[status],
            "progress": progress(job, now),
            "created_at": int(engine.wall(job.created_at)),
            "completed_at": ended,
            "expires_at": ended + FILE_LIFETIME if ended and status == "succeeded" else None,
            "prompt": job.order.prompt,
            "seconds": str(job.order.seconds),
            "size": job.order.size,
            "remixed_from_video_id": None,
            "error": self.failure(job) if status == "failed" else None,
            "quality": "standard",
        }

    def failure(self, job: Job) -> dict[str, Any]:
        wanted = job.script.fail or "server_error"
        code, message = self.failures.get(wanted, (wanted, f"Video generation failed: {wanted}."))
        return {"code": code, "message": message}

    def polled(self, request: web.Request, job: Job) -> web.Response:
        return web.json_response(self.video(request, job))

    def deleted(self, request: web.Request, job: Job) -> web.Response:
        engine = request.config_dict[ENGINE]
        if not job.finished(engine.now()):
            raise refuse(409, "A video that is still being generated cannot be deleted.")
        engine.delete(job)
        return web.json_response({"id": job.id, "object": "video.deleted", "deleted": True})

    def not_found(self, job_id: str) -> Refused:
        return refuse(404, f"Video with id '{job_id}' not found.", param="video_id")

    def not_ready(self, job: Job) -> Refused:
        message = "Video is not ready yet, use GET /v1/videos/{video_id} to check status."
        return refuse(404, message)

    # ---- routes ----------------------------------------------------------------------------------

    def build_app(self) -> web.Application:
        app = web.Application(middlewares=[self._in_the_envelope], client_max_size=64 * 1024**2)
        app.router.add_get("/models", self.list_models, allow_head=False)
        app.router.add_post("/videos", self.create)
        if self.lists:
            app.router.add_get("/videos", self.list_videos, allow_head=False)
        app.router.add_get("/videos/{id}", self.retrieve, allow_head=False)
        app.router.add_delete("/videos/{id}", self.delete)
        app.router.add_post("/videos/{id}/cancel", self.cancel)
        app.router.add_get("/videos/{id}/content", self.content, allow_head=False)
        return app

    async def list_models(self, request: web.Request) -> web.Response:
        names = sorted(self.models)
        data = [{"id": name, "object": "model", "owned_by": "simulator"} for name in names]
        return web.json_response({"object": "list", "data": data})

    async def create(self, request: web.Request) -> web.Response:
        order = await self.read_order(request)
        try:
            job, fault = take(request, order, lambda: self.new_id(order))
        except NotTaken as refused:
            return self._refuse(request, refused.fault)
        return await self._accept(request, job, fault)

    async def retrieve(self, request: web.Request) -> web.Response:
        job_id = request.match_info["id"]
        job, fault = request.config_dict[ENGINE].polled(job_id)
        if job is None:
            raise self.not_found(job_id)
        match fault:
            case None:
                return self.polled(request, job)
            case Fault("stuck"):
                fresh = dict.fromkeys(("completed_at", "expires_at", "error"))
                queued = {"status": self.statuses["queued"], "progress": 0, **fresh}
                return web.json_response(self.video(request, job) | queued)
            case Fault("unknown_status"):
                return web.json_response(self.video(request, job) | {"status": "rendering"})
            case Fault("bad_json"):
                return bad_json(job)
            case Fault("html"):
                return html(200)
            case Fault("redirect"):
                return redirect(request)
            case Fault("drop"):
                return drop(request)
            case Fault("404"):
                raise self.not_found(job_id)
        return self.scripted(fault)

    async def list_videos(self, request: web.Request) -> web.Response:
        engine = request.config_dict[ENGINE]
        if engine.settings.list_status:
            return self.scripted(Fault(str(engine.settings.list_status)))
        limit = _limit(request)
        jobs = engine.jobs.after(self._cursor(request), newest_first=_order(request) == "desc")
        shown = (job for job in jobs if engine.shown_in_list(job))
        page = list(islice(shown, limit))
        has_more = next(jobs, None) is not None
        return web.json_response(
            {
                "object": "list",
                "data": [self.video(request, job) for job in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": has_more,
            }
        )

    async def delete(self, request: web.Request) -> web.Response:
        return self.deleted(request, self._found(request))

    async def cancel(self, request: web.Request) -> web.Response:
        engine = request.config_dict[ENGINE]
        job = engine.jobs.find(request.match_info["id"])
        if job is None or not self.posts_cancels or not engine.settings.cancel:
            raise no_such_url(request)
        match engine.cancel_fault(job):
            case Fault("unsupported"):
                raise no_such_url(request)
            case Fault("drop"):
                return drop(request)
            case Fault("500") as fault:
                return self.scripted(fault)
            case None if engine.cancel(job):
                return web.json_response(self.video(request, job))
        raise refuse(409, "The video is finished.", code="video_not_cancellable")

    async def content(self, request: web.Request) -> web.StreamResponse:
        engine = request.config_dict[ENGINE]
        job_id = request.match_info["id"]
        job, fault = engine.fetched(job_id)
        if job is None:
            raise self.not_found(job_id)
        _check_variant(request)
        if job.status(engine.now()) != "succeeded":
            raise self.not_ready(job)
        if engine.now() >= job.finishes_at + FILE_LIFETIME:
            raise _not_accessible(job)
        match fault:
            case Fault("403" | "expired"):
                raise _not_accessible(job)
            case Fault("404"):
                raise self.not_ready(job)
            case Fault(name) if name.isdigit():
                return self.scripted(fault)
        return await send_clip(request, job, fault)

    # ---- answers ---------------------------------------------------------------------------------

    def scripted(self, fault: Fault) -> web.Response:
        """The answer of a fault that has words, or is a bare status."""
        if fault.name == "502":
            return html(502)
        status = status_of(fault)
        words = self.words.get(fault.name) or self.words.get(str(status))
        if words is None and status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        words = words or Words(status or 500, _OVERLOADED, "server_error", "server_error")
        return answer(Refused(words, waiting_headers(fault)), self.envelope)

    def _refuse(self, request: web.Request, fault: Fault) -> web.Response:
        match fault.name:
            case "drop_before_create":
                return drop(request)
            case "html":
                return html(200)
            case "redirect":
                return redirect(request)
        return self.scripted(fault)

    async def _accept(self, request: web.Request, job: Job, fault: Fault | None) -> web.Response:
        """Answer a submit that made a job, which the client may or may not come to know."""
        video = self.accepted(request, job)
        match fault:
            case Fault("drop_after_create"):
                return drop(request)
            case Fault("500_after_create"):
                return self.scripted(Fault("500"))
            case Fault("bad_json"):
                return bad_json(job)
            case Fault("no_id"):
                video = {name: value for name, value in video.items() if value != job.id}
            case Fault("hang", seconds):
                await asyncio.sleep(seconds or 0)
        return web.json_response(video)

    def accepted(self, request: web.Request, job: Job) -> dict[str, Any]:
        """What a submit is answered with."""
        return self.video(request, job)

    def _found(self, request: web.Request) -> Job:
        job_id = request.match_info["id"]
        job = request.config_dict[ENGINE].jobs.find(job_id)
        if job is None:
            raise self.not_found(job_id)
        return job

    def _cursor(self, request: web.Request) -> Job | None:
        job_id = request.query.get("after")
        if not job_id:
            return None
        job = request.config_dict[ENGINE].jobs.find(job_id)
        if job is None:
            raise self.not_found(job_id)
        return job

    @property
    def _in_the_envelope(self) -> Any:
        @web.middleware
        async def in_the_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._check_access(request)
                return await handler(request)
            except Refused as refused:
                return self._recorded(request, refused)
            except UnknownDirective as unknown:
                return self._recorded(request, refuse(400, str(unknown), code="unknown_directive"))
            except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
                return self._recorded(request, no_such_url(request))

        return in_the_envelope

    def _recorded(self, request: web.Request, refused: Refused) -> web.Response:
        if POST in request:
            request[POST].outcome = refused.words.code or "invalid_request"
        return answer(refused, self.envelope)

    def _check_access(self, request: web.Request) -> None:
        engine = request.config_dict[ENGINE]
        if engine.settings.shutdown:
            raise Refused(self.words["404"])
        if not self.gets_in(engine, self.key_of(request)):
            raise Refused(self.words["401"])


def no_such_url(request: web.Request) -> Refused:
    return refuse(404, f"Invalid URL ({request.method} {request.path})")


def bad_json(job: Job) -> web.Response:
    return web.Response(text=f'{{"id": "{job.id[:12]}', content_type="application/json")


def progress(job: Job, now: float) -> int | str | None:
    percent = job.progress(now)
    match job.script.progress:
        case "none":
            return None
        case "text":
            return f"{percent}%"
        case "backwards" if not job.finished(now):
            return 100 - percent
    return percent


def _check_variant(request: web.Request) -> None:
    variant = request.query.get("variant", "video")
    if variant != "video":
        message = f"Invalid value: '{variant}'. The simulator makes no other variant than 'video'."
        raise refuse(400, message, code="invalid_value", param="variant")


def _not_accessible(job: Job) -> Refused:
    return refuse(403, f"Files [file_{job.id.removeprefix('video_')}] are not accessible")


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "20")
    if text not in _LIMITS:
        message = "Invalid 'limit': expected an integer from 0 to 100."
        raise refuse(400, message, code="invalid_value", param="limit")
    return int(text)


def _order(request: web.Request) -> Literal["asc", "desc"]:
    match request.query.get("order", "desc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
    message = "Invalid 'order': supported values are 'asc' and 'desc'."
    raise refuse(400, message, code="invalid_value", param="order")
