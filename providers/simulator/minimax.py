"""MiniMax's video API, version 2 (Hailuo 3)."""

import secrets
from typing import Any

from aiohttp import web

from providers.simulator import envelope, tasks
from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE
from providers.simulator.envelope import Refused, Words
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job
from providers.simulator.tasks import Model

PREFIX = "/minimax"

MODELS = {
    "MiniMax-H3": Model(range(4, 16), {"768P": 768, "2K": 1440}),
    "MiniMax-H3-Max": Model(range(5, 16), {"480P": 480, "768P": 768}),
}
_FIELDS = {
    *("model", "content", "resolution", "duration", "ratio", "callback_url", "aigc_watermark"),
    "extra",
}
# status: type, message; MiniMax's own number stands behind the message
_ERRORS = {
    400: ("bad_request_error", "invalid params (2013)"),
    401: ("authorized_error", "login fail: Please carry the API secret key (1004)"),
    402: ("insufficient_balance_error", "insufficient balance (1008)"),
    403: ("permission_error", "the account may not do this"),
    404: ("not_found_error", "not found"),
    408: ("timeout_error", "timed out (1001)"),
    409: ("bad_request_error", "the task is running (2013)"),
    422: ("unprocessable_entity_error", "video description contains sensitive content (1026)"),
    429: ("rate_limit_error", "rate limit, please retry later (1002)"),
}
_OTHER = ("bad_request_error", "the request failed")
_INTERNAL = ("server_error", "internal error (1000)")
_FAILURES = {
    "moderation": ("1027", "the generated video contains sensitive content"),
    "server_error": ("1000", "internal error"),
}


class _Envelope(Words):
    def error(self, fault: Fault, model: str = "") -> Refused:
        match fault.name:
            case "moderation":
                return self.error(Fault("422"))
            case "balance":
                return self.error(Fault("402"))
            case "validation":
                return self.error(Fault("400"))
            case "in_body_error":
                return Refused(200, _base_response(1002, "rate limit"))
            case "404" if model:
                return _error(404, "not_found_error", f"model {model} not found")
        status = status_of(fault)
        if status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        other = _INTERNAL if status >= 500 else _OTHER
        return _error(status, *_ERRORS.get(status, other), headers=waiting_headers(fault))

    def bad(self, message: str) -> Refused:
        return _error(400, "bad_request_error", f"invalid params, {message} (2013)")


_WORDS = _Envelope()


def build_app() -> web.Application:
    app = envelope.build_app(_WORDS)
    app.router.add_post("/v2/video_generation", create)
    app.router.add_delete("/v2/video_generation/{id}", delete)
    app.router.add_get("/v2/query/video_generation", list_tasks, allow_head=False)
    app.router.add_get("/v2/query/video_generation/{id}", retrieve, allow_head=False)
    return app


async def create(request: web.Request) -> web.Response:
    fields = await envelope.fields(request, _WORDS, _FIELDS)
    order = tasks.read_order(fields, MODELS, _WORDS)
    resolution = str(fields["resolution"])

    def accepted(job: Job) -> dict[str, Any]:
        job.notes["resolution"] = resolution
        return {"task_id": job.id}

    return await envelope.submitted(request, _WORDS, order, _new_id, accepted)


async def retrieve(request: web.Request) -> web.Response:
    def show(job: Job, lie: str) -> dict[str, Any]:
        if lie == "in_body_error":
            return _base_response(1000, "unknown error")
        return {"task": _task(request, job, lie)}

    lies = frozenset({"in_body_error"})
    return envelope.polled(request, _WORDS, show, _unknown, lies=lies)


async def list_tasks(request: web.Request) -> web.Response:
    return tasks.listed(request, _WORDS, lambda job: _task(request, job))


async def delete(request: web.Request) -> web.Response:
    def answer(job: Job, done: str) -> web.Response:
        return web.json_response({"task_id": job.id, "status": done})

    return tasks.deleted(request, _WORDS, answer, _unknown)


def _new_id() -> str:
    return str(secrets.randbelow(9 * 10**14) + 10**14)


def _task(request: web.Request, job: Job, lie: str = "") -> dict[str, Any]:
    """The prompt is not in it, and no progress."""
    engine, order = request.config_dict[ENGINE], job.order
    now = engine.now()
    status = tasks.status(job, now, lie)
    task: dict[str, Any] = {
        "id": job.id,
        "model": order.model,
        "status": status,
        "task_type": "generation",
        "modality": "video",
        "created_at": int(engine.wall(job.created_at)),
        "updated_at": int(engine.wall(min(now, job.finishes_at))),
        "duration": order.seconds,
        "ratio": tasks.ratio_of(order),
        **job.notes,
    }
    if status == "failed":
        wanted = job.script.fail or "server_error"
        code, message = _FAILURES.get(wanted, (wanted, f"the task failed: {wanted}"))
        task["error"] = {"code": code, "message": message}
    if status == "succeeded":
        task["usage"] = {"total_seconds": order.seconds, "output_seconds": order.seconds}
        task["content"] = {} if lie == "no_output" else {"url": link(request, job)}
    return task


def _base_response(number: int, message: str) -> dict[str, Any]:
    """An error with status 200, as version 1 has them all."""
    return {"base_resp": {"status_code": number, "status_msg": message}}


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Refused:
    error = {"type": kind, "message": message, "http_code": str(status)}
    body = {"type": "error", "error": error, "request_id": secrets.token_hex(16)}
    return Refused(status, body, headers)


def _unknown() -> Refused:
    """An id that it does not know is an error of its own, says MiniMax."""
    return _error(500, "server_error", "record not found (1000)")
